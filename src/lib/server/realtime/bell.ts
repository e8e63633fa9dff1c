import type { ConversationDelta } from '#lib/shared/events.ts';
import type { Log } from '../platform/log.ts';
import { encodeRing, type Range, type ReceiptRing } from './doorbell.ts';

/**
 * How far apart it rings when there is much to ring for. Each notification costs Postgres, and every
 * process that listens, as much as a small insert; others may hear of it so much later.
 */
const APART_MS = 5;

/**
 * Rings for what has been committed already. A notification inside the transaction would hold
 * Postgres' one lock for all notifying commits through the flush; outside, neither the sender's
 * answer nor the streams of this process wait for it, and what is committed while one is under way
 * goes with the next. Should the process die in between, the others' sweep finds it.
 */
export class Bell {
	readonly #processId: string;
	readonly #notify: (payloads: string[]) => Promise<void>;
	readonly #log: Log;
	#waiting = new Map<string, Range>();
	/** By conversation and person. */
	#receipts = new Map<string, ReceiptRing>();
	#ringing: Promise<void> | undefined;
	#notBefore = 0;

	constructor(processId: string, notify: (payloads: string[]) => Promise<void>, log: Log) {
		this.#processId = processId;
		this.#notify = notify;
		this.#log = log;
	}

	ring(conversations: ConversationDelta[]): void {
		for (const { conversationId: id, base, version } of conversations) {
			const range = this.#waiting.get(id);
			if (!range) this.#waiting.set(id, { id, base, version });
			else {
				range.base = Math.min(range.base, base);
				range.version = Math.max(range.version, version);
			}
		}
		if (this.#waiting.size > 0) this.#ringing ??= this.#ringAll();
	}

	ringReceipts(receipts: ReceiptRing[]): void {
		for (const receipt of receipts) {
			this.#receipts.set(`${receipt.conversationId} ${receipt.personId}`, receipt);
		}
		if (this.#receipts.size > 0) this.#ringing ??= this.#ringAll();
	}

	/** Resolves when everything has been rung for. */
	async settled(): Promise<void> {
		await this.#ringing;
	}

	async #ringAll(): Promise<void> {
		while (this.#waiting.size + this.#receipts.size > 0) {
			const wait = this.#notBefore - performance.now();
			// If at once, then after the answers and frames of this turn of the event loop.
			await new Promise<void>((resolve) => {
				if (wait > 0) setTimeout(resolve, wait);
				else setImmediate(resolve);
			});
			this.#notBefore = performance.now() + APART_MS;
			const conversations = [...this.#waiting.values()];
			this.#waiting = new Map();
			const receipts = [...this.#receipts.values()];
			this.#receipts = new Map();
			const ring = { conversations, people: [], sessions: [], receipts };
			await this.#notify(encodeRing(this.#processId, ring)).catch((error: unknown) =>
				this.#log.warn({ err: error }, 'Other processes were not told; their sweep finds it.')
			);
		}
		this.#ringing = undefined;
	}
}
