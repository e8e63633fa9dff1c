import { backoff, type Random } from '#lib/client/sync/backoff.ts';
import { errorReason } from '#lib/client/trpc.ts';

/** At most so often per conversation, while somebody scrolls through what is unread. */
const PAUSE_MS = 250;

/**
 * Tells the server how far the viewer has read: at once, then the newest position when the last one
 * has been taken. What could not be told is told again: at once by `flush`, and in any case after a
 * while, since a call may fail long after the connection is back.
 */
export class ReadMarks {
	readonly #tell: (input: { conversationId: string; seq: number }) => Promise<unknown>;
	readonly #wanted = new Map<string, number>();
	readonly #busy = new Set<string>();
	readonly #failures = new Map<string, number>();
	readonly #random: Random;

	constructor(
		tell: (input: { conversationId: string; seq: number }) => Promise<unknown>,
		random: Random = Math.random
	) {
		this.#tell = tell;
		this.#random = random;
	}

	mark(conversationId: string, seq: number): void {
		this.#wanted.set(conversationId, Math.max(seq, this.#wanted.get(conversationId) ?? 0));
		void this.#send(conversationId);
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
		} catch (error) {
			this.#busy.delete(conversationId);
			if (isPassing(errorReason(error))) this.#tellLater(conversationId, seq);
			return;
		}
		setTimeout(() => {
			this.#busy.delete(conversationId);
			void this.#send(conversationId);
		}, PAUSE_MS);
	}

	#tellLater(conversationId: string, seq: number): void {
		this.#wanted.set(conversationId, Math.max(seq, this.#wanted.get(conversationId) ?? 0));
		const failures = (this.#failures.get(conversationId) ?? 0) + 1;
		this.#failures.set(conversationId, failures);
		setTimeout(() => void this.#send(conversationId), backoff(failures, this.#random));
	}
}

const isPassing = (reason: string): boolean =>
	['network', 'internal', 'server_busy', 'too_many_attempts'].includes(reason);
