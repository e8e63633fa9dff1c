import { backoff, type Random } from '#lib/client/sync/backoff.ts';
import { browserStorage, keysOf } from '#lib/client/messages/storage.ts';
import { errorReason } from '#lib/client/trpc.ts';

const PREFIX = 'tertulia.read.';
/** At most so often per conversation, while somebody scrolls through what is unread. */
const PAUSE_MS = 250;

/**
 * Tells the server how far the viewer has read: at once, then the newest position when the last one
 * has been taken. What could not be told is told again: at once by `flush`, and in any case after a
 * while, since a call may fail long after the connection is back. Until it is taken it is kept on the
 * device, which shows it as read also to the page that comes after this one.
 */
export class ReadMarks {
	readonly #tell: (input: { conversationId: string; seq: number }) => Promise<unknown>;
	readonly #wanted = new Map<string, number>();
	readonly #busy = new Set<string>();
	readonly #failures = new Map<string, number>();
	readonly #prefix: string;
	readonly #storage: Storage | null;
	readonly #random: Random;

	constructor(
		personId: string,
		tell: (input: { conversationId: string; seq: number }) => Promise<unknown>,
		storage: Storage | null = browserStorage(),
		random: Random = Math.random
	) {
		this.#prefix = `${PREFIX}${personId}.`;
		this.#tell = tell;
		this.#storage = storage;
		this.#random = random;
	}

	mark(conversationId: string, seq: number): void {
		this.#want(conversationId, seq);
		try {
			if (this.#kept(conversationId) < seq) {
				this.#storage?.setItem(this.#prefix + conversationId, String(seq));
			}
		} catch {
			// Full or forbidden: it lives as long as the page.
		}
		void this.#send(conversationId);
	}

	/** Brings back what an earlier page could not tell; `flush` tells it. */
	load(): void {
		for (const key of keysOf(this.#storage, this.#prefix)) {
			const conversationId = key.slice(this.#prefix.length);
			this.#want(conversationId, this.#kept(conversationId));
		}
	}

	wipe(): void {
		this.#wanted.clear();
		for (const key of keysOf(this.#storage, this.#prefix)) this.#storage?.removeItem(key);
	}

	/** Tries again what failed for want of a connection. */
	flush(): void {
		for (const conversationId of this.#wanted.keys()) void this.#send(conversationId);
	}

	async #send(conversationId: string): Promise<void> {
		const seq = this.#wanted.get(conversationId);
		if (seq === undefined || this.#busy.has(conversationId)) return;
		this.#busy.add(conversationId);
		this.#wanted.delete(conversationId);
		try {
			await this.#tell({ conversationId, seq });
			this.#failures.delete(conversationId);
			this.#settle(conversationId, seq);
		} catch (error) {
			this.#busy.delete(conversationId);
			if (isPassing(errorReason(error))) this.#tellLater(conversationId, seq);
			else this.#settle(conversationId, seq);
			return;
		}
		setTimeout(() => {
			this.#busy.delete(conversationId);
			void this.#send(conversationId);
		}, PAUSE_MS);
	}

	#want(conversationId: string, seq: number): void {
		this.#wanted.set(conversationId, Math.max(seq, this.#wanted.get(conversationId) ?? 0));
	}

	/** Another tab may have read further, and tells it itself. */
	#settle(conversationId: string, seq: number): void {
		if (this.#kept(conversationId) <= seq) {
			this.#storage?.removeItem(this.#prefix + conversationId);
		}
	}

	#kept(conversationId: string): number {
		return Number(this.#storage?.getItem(this.#prefix + conversationId) ?? 0);
	}

	#tellLater(conversationId: string, seq: number): void {
		this.#want(conversationId, seq);
		const failures = (this.#failures.get(conversationId) ?? 0) + 1;
		this.#failures.set(conversationId, failures);
		setTimeout(() => void this.#send(conversationId), backoff(failures, this.#random));
	}
}

/** Nobody is signed in: what was read is nobody's business any more. */
export function wipeReadMarks(storage = browserStorage()): void {
	for (const key of keysOf(storage, PREFIX)) storage?.removeItem(key);
}

const isPassing = (reason: string): boolean =>
	['network', 'internal', 'server_busy', 'too_many_attempts'].includes(reason);
