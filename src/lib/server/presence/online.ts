import { Redis } from 'ioredis';
import type { Clock } from '../platform/limits.ts';
import type { Log } from '../platform/log.ts';
import { PatientRedis } from '../platform/redis.ts';

/** What one tab looks at, for as long as it renews it. */
export interface Look {
	viewerId: string;
	sessionId: string;
	tab: string;
	/** Of whom it may be told. Nobody ends it. */
	personIds: string[];
}

/** What one process hears of the others, and of itself. */
export interface OnlineEars {
	/** These may have become something else: who wants to know has to ask. */
	rung(personIds: string[]): void;
	/** In another process; the stream that it is for may be in this one. */
	looked(look: Look): void;
}

/** Who is online, wherever their streams are. */
export interface Online {
	/** Somebody came to this process, or is gone from it. */
	set(personId: string, here: boolean): void;
	/** People who are in this process. */
	readonly size: number;
	/**
	 * Those of them who are in any process. Answers come in the order of the questions, and what was
	 * rung or set before the question is in its answer.
	 */
	among(personIds: readonly string[]): Promise<ReadonlySet<string>>;
	/** Tells all processes that they should ask again. */
	ring(personIds: string[]): void;
	/** Tells all other processes. Resolves when whatever is rung from now on is heard after it. */
	share(look: Look): Promise<void>;
	/** Says again who is here, before it is forgotten. */
	renew(): Promise<void>;
	/** `withinMs`: time for those who are here to come back to another process. */
	close(withinMs: number): Promise<void>;
}

export interface OnlineOptions {
	redisUrl: string | undefined;
	/** Names this process among the others. */
	processId: string;
	log: Log;
	ears: OnlineEars;
	clock?: Clock | undefined;
}

/** In Redis, where all processes meet, or in memory without one. */
export function openOnline({ redisUrl, ...options }: OnlineOptions): Online {
	return redisUrl ? new RedisOnline(redisUrl, options) : new MemoryOnline(options.ears);
}

class MemoryOnline implements Online {
	readonly #here = new Set<string>();
	readonly #ears: OnlineEars;

	constructor(ears: OnlineEars) {
		this.#ears = ears;
	}

	get size(): number {
		return this.#here.size;
	}

	set(personId: string, here: boolean): void {
		if (here === this.#here.has(personId)) return;
		if (here) this.#here.add(personId);
		else this.#here.delete(personId);
		this.#ears.rung([personId]);
	}

	async among(personIds: readonly string[]): Promise<ReadonlySet<string>> {
		return new Set(personIds.filter((id) => this.#here.has(id)));
	}

	ring(personIds: string[]): void {
		this.#ears.rung(personIds);
	}

	async share(): Promise<void> {}

	async renew(): Promise<void> {}

	async close(): Promise<void> {
		this.#here.clear();
	}
}

/** Milliseconds for which a process is believed that somebody is there: so long it may be dead. */
export const ENTRY_MS = 60_000;
/** People in one command: Redis does nothing else meanwhile, about a millisecond. */
const CHUNK = 500;
const CHANNEL = 'presence';
/** A Redis that comes back is tried so often, in milliseconds, by the connection that listens. */
const LISTEN_AGAIN_MS = 3000;

/**
 * Per person a sorted set of the processes in which they are, each until when it is to be believed;
 * by the clock of Redis, since processes do not agree about the time. Answers the places of those
 * who were nowhere before, or are nowhere any more. ARGV: process, milliseconds (0: gone), time.
 */
const SET = `
local now = tonumber(ARGV[3])
if not now then
	local time = redis.call('TIME')
	now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local ms = tonumber(ARGV[2])
local changed = {}
for place, key in ipairs(KEYS) do
	redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
	local before = redis.call('EXISTS', key)
	if ms > 0 then
		redis.call('ZADD', key, string.format('%.0f', now + ms), ARGV[1])
	else
		redis.call('ZREM', key, ARGV[1])
	end
	local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
	if last[2] then redis.call('PEXPIRE', key, string.format('%.0f', last[2] - now)) end
	if before ~= redis.call('EXISTS', key) then changed[#changed + 1] = place end
end
return changed`;

/** Answers the places of those who are anywhere. ARGV: time. */
const AMONG = `
local now = tonumber(ARGV[1])
if not now then
	local time = redis.call('TIME')
	now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local online = {}
for place, key in ipairs(KEYS) do
	local count = redis.call('ZCOUNT', key, '(' .. string.format('%.0f', now), '+inf')
	if count > 0 then online[#online + 1] = place end
end
return online`;

class RedisOnline implements Online {
	readonly #redis: PatientRedis;
	/** A connection that listens can do nothing else. */
	readonly #listener: Redis;
	readonly #processId: string;
	readonly #ears: OnlineEars;
	readonly #clock: Clock | undefined;
	readonly #here = new Set<string>();
	/** Who has come or gone, and has not been written yet. */
	#unwritten = new Map<string, boolean>();
	#writing: Promise<void> = Promise.resolve();
	#closed = false;

	constructor(url: string, { processId, log, ears, clock }: Omit<OnlineOptions, 'redisUrl'>) {
		this.#processId = processId;
		this.#ears = ears;
		this.#clock = clock;
		const words = {
			fails: 'Redis fails: each process knows only who is online in itself.',
			again: 'Redis answers again: who is online is known together.'
		};
		this.#redis = new PatientRedis(url, log, words, () => void this.renew());
		this.#listener = new Redis(url, {
			connectTimeout: 5000,
			maxRetriesPerRequest: null,
			retryStrategy: () => LISTEN_AGAIN_MS
		});
		// The other connection has the same trouble, and tells it.
		this.#listener.on('error', () => {});
		this.#listener.on('message', (_channel, word) => this.#hear(word));
		this.#listener.subscribe(CHANNEL).catch(() => {});
	}

	get size(): number {
		return this.#here.size;
	}

	set(personId: string, here: boolean): void {
		if (here === this.#here.has(personId)) return;
		if (here) this.#here.add(personId);
		else this.#here.delete(personId);
		this.#unwritten.set(personId, here);
		// Those who come in the same turn of the event loop go together.
		if (this.#unwritten.size === 1) setImmediate(() => void this.#write());
	}

	async among(personIds: readonly string[]): Promise<ReadonlySet<string>> {
		if (personIds.length === 0) return new Set();
		if (this.#unwritten.size > 0) void this.#write();
		await this.#writing;
		const online = new Set<string>();
		for (const chunk of chunks(personIds)) {
			const time = this.#clock?.() ?? '';
			const places = await this.#redis.ask((redis) =>
				redis.eval(AMONG, chunk.length, ...chunk.map(keyOf), time)
			);
			const found = places === null ? chunk.filter((id) => this.#here.has(id)) : at(chunk, places);
			for (const id of found) online.add(id);
		}
		return online;
	}

	ring(personIds: string[]): void {
		if (personIds.length === 0 || this.#closed) return;
		this.#ears.rung(personIds);
		for (const chunk of chunks(personIds)) void this.#tell(['ring', ...chunk]);
	}

	async share({ sessionId, viewerId, tab, personIds }: Look): Promise<void> {
		await this.#tell(['look', sessionId, viewerId, encodeURIComponent(tab), ...personIds]);
	}

	async renew(): Promise<void> {
		await this.#put([...this.#here], ENTRY_MS);
	}

	async close(withinMs: number): Promise<void> {
		this.#closed = true;
		this.#unwritten.clear();
		await this.#put([...this.#here], withinMs);
		this.#listener.disconnect();
		this.#redis.close();
	}

	/** One writing after the other: who came and went must not end as having come. */
	#write(): Promise<void> {
		const unwritten = this.#unwritten;
		this.#unwritten = new Map();
		this.#writing = this.#writing.then(async () => {
			const ids = [...unwritten.keys()];
			await this.#put(
				ids.filter((id) => unwritten.get(id)),
				ENTRY_MS
			);
			await this.#put(
				ids.filter((id) => !unwritten.get(id)),
				0
			);
		});
		return this.#writing;
	}

	async #put(personIds: string[], ms: number): Promise<void> {
		for (const chunk of chunks(personIds)) {
			const time = this.#clock?.() ?? '';
			const places = await this.#redis.ask((redis) =>
				redis.eval(SET, chunk.length, ...chunk.map(keyOf), this.#processId, ms, time)
			);
			// Without Redis they have changed as far as this process can know.
			this.ring(places === null ? chunk : at(chunk, places));
		}
	}

	async #tell(words: string[]): Promise<void> {
		const word = [this.#processId, ...words].join(' ');
		await this.#redis.ask((redis) => redis.publish(CHANNEL, word));
	}

	#hear(word: string): void {
		const [processId, verb, ...rest] = word.split(' ');
		if (processId === this.#processId || this.#closed) return;
		if (verb === 'ring') return this.#ears.rung(rest);
		const [sessionId, viewerId, tab, ...personIds] = rest;
		if (verb !== 'look' || !sessionId || !viewerId || tab === undefined) return;
		this.#ears.looked({ sessionId, viewerId, tab: decodeURIComponent(tab), personIds });
	}
}

const keyOf = (personId: string) => `online:${personId}`;

/** What Redis answers are places from 1. */
function at(chunk: string[], places: unknown): string[] {
	if (!Array.isArray(places)) return [];
	return places.flatMap((place) => chunk[Number(place) - 1] ?? []);
}

function* chunks(personIds: readonly string[]): Generator<string[]> {
	for (let from = 0; from < personIds.length; from += CHUNK) {
		yield personIds.slice(from, from + CHUNK);
	}
}
