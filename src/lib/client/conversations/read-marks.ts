import { backoff, type Random } from '#lib/client/sync/backoff.ts';
import { browserStorage, keysOf } from '#lib/client/messages/storage.ts';
import { errorReason } from '#lib/client/trpc.ts';

const PREFIX = 'tertulia.read.';
/** At most so often per conversation, while somebody scrolls through what is unread. */
const PAUSE_MS = 250;

/** Read up to there, and marked as unread nevertheless or not. */
interface Mark {
	seq: number;
	unread: boolean;
}

type Tell = (input: { conversationId: string; seq: number; unread?: boolean }) => Promise<unknown>;

/**
 * Tells the server how far the viewer has read: at once, then the newest position when the last one
 * has been taken. What could not be told is told again: at once by `flush`, and in any case after a
 * while, since a call may fail long after the connection is back. Until it is taken it is kept on the
 * device, which shows it as read also to the page that comes after this one.
 */
export class ReadMarks {
	readonly #tell: Tell;
	readonly #wanted = new Map<string, Mark>();
	readonly #busy = new Set<string>();
	readonly #failures = new Map<string, number>();
	readonly #prefix: string;
	readonly #storage: Storage | null;
	readonly #random: Random;

	constructor(
		personId: string,
		tell: Tell,
		storage: Storage | null = browserStorage(),
		random: Random = Math.random
	) {
		this.#prefix = `${PREFIX}${personId}.`;
		this.#tell = tell;
		this.#storage = storage;
		this.#random = random;
	}

	mark(conversationId: string, seq: number, unread = false): void {
		this.#want(conversationId, { seq, unread });
		try {
			const kept = this.#kept(conversationId);
			if (!kept || kept.seq < seq || kept.unread !== unread) {
				const text = write({ seq: Math.max(seq, kept?.seq ?? 0), unread });
				this.#storage?.setItem(this.#prefix + conversationId, text);
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
			const kept = this.#kept(conversationId);
			if (kept) this.#want(conversationId, kept);
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
		const mark = this.#wanted.get(conversationId);
		if (!mark || this.#busy.has(conversationId)) return;
		this.#busy.add(conversationId);
		this.#wanted.delete(conversationId);
		try {
			const { seq, unread } = mark;
			await this.#tell({ conversationId, seq, ...(unread && { unread }) });
			this.#failures.delete(conversationId);
			this.#settle(conversationId, mark);
		} catch (error) {
			this.#busy.delete(conversationId);
			if (isPassing(errorReason(error))) this.#tellLater(conversationId, mark);
			else this.#settle(conversationId, mark);
			return;
		}
		setTimeout(() => {
			this.#busy.delete(conversationId);
			void this.#send(conversationId);
		}, PAUSE_MS);
	}

	/** The furthest position, and what was said last. */
	#want(conversationId: string, { seq, unread }: Mark): void {
		const before = this.#wanted.get(conversationId)?.seq ?? 0;
		this.#wanted.set(conversationId, { seq: Math.max(seq, before), unread });
	}

	/** Another tab may have read further, or said something else: it tells that itself. */
	#settle(conversationId: string, { seq, unread }: Mark): void {
		const kept = this.#kept(conversationId);
		if (kept && kept.seq <= seq && kept.unread === unread) {
			this.#storage?.removeItem(this.#prefix + conversationId);
		}
	}

	#kept(conversationId: string): Mark | null {
		const text = this.#storage?.getItem(this.#prefix + conversationId);
		return text ? read(text) : null;
	}

	#tellLater(conversationId: string, mark: Mark): void {
		const { unread } = this.#wanted.get(conversationId) ?? mark;
		this.#want(conversationId, { ...mark, unread });
		const failures = (this.#failures.get(conversationId) ?? 0) + 1;
		this.#failures.set(conversationId, failures);
		setTimeout(() => void this.#send(conversationId), backoff(failures, this.#random));
	}
}

const UNREAD = ' unread';
const write = ({ seq, unread }: Mark) => `${seq}${unread ? UNREAD : ''}`;
const read = (text: string): Mark => ({
	seq: Number.parseInt(text, 10) || 0,
	unread: text.endsWith(UNREAD)
});

/** Nobody is signed in: what was read is nobody's business any more. */
export function wipeReadMarks(storage = browserStorage()): void {
	for (const key of keysOf(storage, PREFIX)) storage?.removeItem(key);
}

const isPassing = (reason: string): boolean =>
	['network', 'internal', 'server_busy', 'too_many_attempts'].includes(reason);
