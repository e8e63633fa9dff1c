import { Redis } from 'ioredis';
import type { Log } from './log.ts';

/** How long anybody waits for an answer of Redis before they go on without. */
const PATIENCE_MS = 500;
/** The same for the first connection, while the process starts. */
const START_PATIENCE_MS = 1500;
/** How long a Redis that failed is left alone: a hanging one must not slow down every request. */
const REST_MS = 5000;

/** A Redis that may go away at any time: then it is done without, and the log says so once. */
export class PatientRedis {
	readonly #redis: Redis;
	readonly #log: Log;
	readonly #words: { fails: string; again: string };
	/** Settled when the first attempt to connect has succeeded, failed or taken too long. */
	readonly #started: Promise<void>;
	#restUntil = 0;
	#troubled = false;

	/** `words`: what follows from its absence, for the log. `back`: it may have forgotten everything. */
	constructor(
		url: string,
		log: Log,
		words: { fails: string; again: string },
		back: () => void = () => {}
	) {
		this.#log = log;
		this.#words = words;
		this.#redis = new Redis(url, {
			lazyConnect: true,
			enableOfflineQueue: false,
			maxRetriesPerRequest: 0,
			connectTimeout: 5000,
			commandTimeout: PATIENCE_MS,
			retryStrategy: (times) => Math.min(times * 200, REST_MS)
		});
		this.#redis.on('error', (error) => this.#failed(error));
		this.#redis.on('ready', () => {
			this.#restUntil = 0;
			back();
		});
		const connected = this.#redis.connect().catch((error: unknown) => this.#failed(error));
		this.#started = Promise.race([connected, pause(START_PATIENCE_MS)]);
	}

	/** What `question` comes to, or null when Redis cannot be asked. */
	async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T | null> {
		await this.#started;
		if (Date.now() < this.#restUntil) return null;
		try {
			const answer = await question(this.#redis);
			if (this.#troubled) this.#log.info(this.#words.again);
			this.#troubled = false;
			return answer;
		} catch (error) {
			this.#failed(error);
			return null;
		}
	}

	close(): void {
		this.#restUntil = Infinity;
		this.#redis.disconnect();
	}

	#failed(error: unknown): void {
		if (this.#restUntil === Infinity) return;
		this.#restUntil = Date.now() + REST_MS;
		if (this.#troubled) return;
		this.#troubled = true;
		this.#log.warn({ err: error }, this.#words.fails);
	}
}

const pause = (ms: number) =>
	new Promise<void>((resolve) => {
		setTimeout(resolve, ms).unref();
	});
