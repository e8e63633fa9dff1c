import type { RECEIVED_MAX, ReceivedInput } from '#lib/shared/receipts.ts';
import { backoff, type Random } from '#lib/client/sync/backoff.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';
import { errorSeconds } from '#lib/client/trpc.ts';

/** Only its type is imported, which is the number: zod stays out of the bundle. */
const MAX: typeof RECEIVED_MAX = 200;
/** What comes within this time is told together; what is read by then need not be told at all. */
const GATHER_MS = 1000;
/** After a restart of the server everybody comes back at once; what matters more goes first. */
const RETURN_WITHIN_MS = 3000;

export interface ReceivedOptions {
	store: ReplicaStore;
	tell: (input: ReceivedInput) => Promise<unknown>;
	/** Whether this tab speaks for the browser: what one has, all have. */
	speaks: () => boolean;
	random?: Random;
}

/**
 * Tells the server which messages of others have arrived in this browser. Reading tells it too, so
 * it is about what is unread. Who is refused, or not heard, tells it again later.
 */
export class Received {
	readonly #store: ReplicaStore;
	readonly #send: (input: ReceivedInput) => Promise<unknown>;
	readonly #speaks: () => boolean;
	readonly #random: Random;
	readonly #told = new Map<string, number>();
	#connected = false;
	#returning = false;
	#telling = false;
	#failures = 0;
	#next: ReturnType<typeof setTimeout> | undefined;
	#unwatch: (() => void) | undefined;

	constructor({ store, tell, speaks, random = Math.random }: ReceivedOptions) {
		this.#store = store;
		this.#send = tell;
		this.#speaks = speaks;
		this.#random = random;
	}

	/** The connection is live. */
	connected(): void {
		if (this.#connected) return;
		this.#connected = true;
		this.#unwatch ??= this.#store.watch({ changed: () => this.#tellWithin(GATHER_MS) });
		this.#tellWithin(GATHER_MS + (this.#returning ? this.#random() * RETURN_WITHIN_MS : 0));
		this.#returning = true;
	}

	lost(): void {
		this.#connected = false;
		clearTimeout(this.#next);
		this.#next = undefined;
	}

	stop(): void {
		this.lost();
		this.#unwatch?.();
		this.#unwatch = undefined;
	}

	#tellWithin(ms: number): void {
		if (!this.#connected || this.#next !== undefined || this.#telling) return;
		this.#next = setTimeout(() => {
			this.#next = undefined;
			void this.#tell();
		}, ms);
	}

	async #tell(): Promise<void> {
		const input = this.#speaks() ? this.#arrived() : [];
		if (input.length === 0) return;
		this.#telling = true;
		let wait = GATHER_MS;
		try {
			await this.#send(input);
			this.#failures = 0;
			for (const [id, seq] of input) this.#told.set(id, seq);
		} catch (error) {
			wait = (errorSeconds(error) ?? 0) * 1000 || backoff(++this.#failures, this.#random);
		}
		this.#telling = false;
		// What came meanwhile, and of very many the others.
		this.#tellWithin(wait);
	}

	/** Where something is unread that was not told: the latest active first. */
	#arrived(): ReceivedInput {
		return [...this.#store.replica.conversations.values()]
			.filter(({ conversation: { id }, lastSeq, readSeq }) => {
				return lastSeq > Math.max(readSeq, this.#told.get(id) ?? 0);
			})
			.sort((a, b) => b.activeAt - a.activeAt)
			.slice(0, MAX)
			.map(({ conversation: { id }, lastSeq }) => [id, lastSeq]);
	}
}
