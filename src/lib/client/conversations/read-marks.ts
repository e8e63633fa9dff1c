import { errorReason } from '#lib/client/trpc.ts';

/** At most so often per conversation, while somebody scrolls through what is unread. */
const PAUSE_MS = 250;

/**
 * Tells the server how far the viewer has read: at once, then the newest position when the last one
 * has been taken. What could not be told is kept for `flush`.
 */
export class ReadMarks {
	readonly #tell: (input: { conversationId: string; seq: number }) => Promise<unknown>;
	readonly #wanted = new Map<string, number>();
	readonly #busy = new Set<string>();

	constructor(tell: (input: { conversationId: string; seq: number }) => Promise<unknown>) {
		this.#tell = tell;
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
		} catch (error) {
			this.#busy.delete(conversationId);
			if (isPassing(errorReason(error))) {
				this.#wanted.set(conversationId, Math.max(seq, this.#wanted.get(conversationId) ?? 0));
			}
			return;
		}
		setTimeout(() => {
			this.#busy.delete(conversationId);
			void this.#send(conversationId);
		}, PAUSE_MS);
	}
}

const isPassing = (reason: string): boolean =>
	['network', 'internal', 'server_busy', 'too_many_attempts'].includes(reason);
