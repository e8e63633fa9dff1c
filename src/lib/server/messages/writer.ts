import { AppError, notFound } from '#lib/shared/errors.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { SendInput } from '#lib/shared/messages.ts';
import { brokenUniqueKey, isAboutRows, isRefused, type Sql } from '../platform/db.ts';
import type { Log } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Realtime } from '../realtime/realtime.ts';
import { insert, insertKnown, type KnownLine, type Sending } from './insert.ts';
import { KnownSenders } from './known-senders.ts';
import { messageColumns, messageView, wholeDelta, type MessageRow } from './schema.ts';
import { settleReadPositions } from './settle.ts';

/** After so many messages in a conversation, the read positions of who sent them are settled. */
const SETTLE_EVERY = 32;
const SETTLE_AFTER_MS = 1000;

export interface WriterOptions {
	batchMax?: number;
	/** Messages that may wait in this process; beyond it the answer is an honest 'busy'. */
	queueMax?: number;
}

interface Waiting extends Sending {
	acceptedAt: number;
	/** The one before it, which it must not overtake. */
	after: Waiting | undefined;
	/** Whether its sender has been told to come back with it. */
	postponed: boolean;
	resolve(delta: ConversationDelta): void;
	reject(error: unknown): void;
}

/** A conversation's messages that wait, or are being written: in one batch at a time, in order. */
interface Line {
	readonly conversationId: string;
	waiting: Waiting[];
}

/**
 * Writes messages in group commits, since every commit waits for the disk, and a hot conversation's
 * row lock makes its writers wait for each other. There is no timer: a message that finds a lane idle
 * goes at once, and those that arrive while all are busy go together in the next batch.
 */
export class MessageWriter {
	/** Those that nothing is written on now; the one that was used last, whose caches are warm, is last. */
	readonly #idle: Sql[];
	readonly #realtime: Realtime;
	readonly #log: Log;
	readonly #metrics: Metrics;
	readonly #batchMax: number;
	readonly #queueMax: number;
	readonly #lines = new Map<string, Line>();
	/** Those that nobody is writing at the moment. */
	readonly #ready: Line[] = [];
	readonly #known = new KnownSenders();
	readonly #unsettled = new Set<string>();
	#settling: NodeJS.Timeout | undefined;
	#waiting = 0;

	/** Each of the connections is a lane: so many batches may be under way at once. */
	constructor(
		connections: readonly Sql[],
		realtime: Realtime,
		log: Log,
		{ batchMax = 500, queueMax = 20_000 }: WriterOptions = {}
	) {
		this.#idle = [...connections];
		this.#realtime = realtime;
		this.#log = log;
		this.#metrics = realtime.metrics;
		this.#metrics.gauge(
			'tertulia_messages_waiting',
			'Messages that wait for the batch before them.',
			() => this.#waiting
		);
		this.#batchMax = batchMax;
		this.#queueMax = queueMax;
		realtime.hub.onConversation((delta) => this.#known.changed(delta));
	}

	/**
	 * Sends a message, or returns what an earlier try with the same id has sent. Settles after the
	 * commit. Throws `not_found` (no member, or the id is somebody else's) and `server_busy`.
	 */
	send(input: SendInput, senderId: string): Promise<ConversationDelta> {
		const { settled } = this.#enqueue(input, senderId, undefined);
		this.#start();
		return settled;
	}

	/**
	 * Sends several in order. When one of a conversation is answered with `server_busy`, so are those
	 * after it.
	 */
	sendAll(inputs: SendInput[], senderId: string): Promise<ConversationDelta>[] {
		const last = new Map<string, Waiting>();
		const all = inputs.map((input) => {
			const before = last.get(input.conversationId);
			const { waiting, settled } = this.#enqueue(input, senderId, before);
			last.set(input.conversationId, waiting);
			return settled;
		});
		this.#start();
		return all;
	}

	/** What waits to be settled is left to whoever writes there next. */
	close(): void {
		clearTimeout(this.#settling);
	}

	#enqueue(input: SendInput, senderId: string, after: Waiting | undefined) {
		const { promise: settled, resolve, reject } = Promise.withResolvers<ConversationDelta>();
		const waiting: Waiting = {
			input,
			senderId,
			acceptedAt: performance.now(),
			after,
			postponed: false,
			resolve,
			reject
		};
		if (this.#waiting >= this.#queueMax) postpone(waiting, 1);
		else {
			this.#waiting++;
			this.#metrics.accepted.add();
			this.#lineOf(input.conversationId).waiting.push(waiting);
		}
		return { waiting, settled };
	}

	#lineOf(conversationId: string): Line {
		let line = this.#lines.get(conversationId);
		if (!line) {
			line = { conversationId, waiting: [] };
			this.#lines.set(conversationId, line);
			this.#ready.push(line);
		}
		return line;
	}

	#start(): void {
		while (this.#ready.length > 0) {
			const sql = this.#idle.pop();
			if (!sql) return;
			void this.#drain(sql);
		}
	}

	/** One lane at work. */
	async #drain(sql: Sql): Promise<void> {
		while (this.#ready.length > 0) {
			const { batch, lines } = this.#takeBatch();
			await this.#commit(sql, batch);
			for (const line of lines) {
				if (line.waiting.length > 0) this.#ready.push(line);
				else this.#lines.delete(line.conversationId);
			}
		}
		this.#idle.push(sql);
	}

	/** Whoever has waited longest first; of each conversation in order. */
	#takeBatch(): { batch: Waiting[]; lines: Line[] } {
		const batch: Waiting[] = [];
		let taken = 0;
		for (const { waiting } of this.#ready) {
			batch.push(...waiting.splice(0, this.#batchMax - batch.length));
			taken++;
			if (batch.length === this.#batchMax) break;
		}
		this.#waiting -= batch.length;
		return { batch, lines: this.#ready.splice(0, taken) };
	}

	/** Those whose senders are known go without a look at the memberships, then all others. */
	async #commit(sql: Sql, batch: Waiting[]): Promise<void> {
		const lines: (KnownLine & { sendings: Waiting[] })[] = [];
		const others: Waiting[] = [];
		for (const [conversationId, sendings] of Map.groupBy(inTurn(batch), conversationOf)) {
			const place = this.#known.placeFor(conversationId, sendings.map(senderOf));
			if (place) lines.push({ conversationId, place, sendings });
			else others.push(...sendings);
		}
		if (lines.length > 0) others.push(...(await this.#commitKnown(sql, lines)));
		if (others.length > 0) await this.#commitAny(sql, others);
	}

	/** Returns those of which nothing was stored, and more has to be asked. */
	async #commitKnown(sql: Sql, lines: (KnownLine & { sendings: Waiting[] })[]): Promise<Waiting[]> {
		const batch = lines.flatMap(({ sendings }) => sendings);
		try {
			const rows = await insertKnown(sql, lines);
			return this.#tell(batch, rows);
		} catch (error) {
			if (isAboutRows(error)) return batch;
			this.#postponeAll(batch, error);
			return [];
		}
	}

	async #commitAny(sql: Sql, all: Waiting[]): Promise<void> {
		const batch = inTurn(all);
		try {
			if (batch.length > 0) await this.#insert(sql, batch);
		} catch (error) {
			const [only] = batch;
			if (batch.length > 1 && brokenUniqueKey(error)) {
				await this.#commitNew(sql, batch);
			} else if (batch.length > 1 && isAboutRows(error)) {
				// One of them is bad: each goes alone, so that it harms no other.
				for (const waiting of batch) await this.#commitAny(sql, [waiting]);
			} else if (only && brokenUniqueKey(error)) {
				// The same message was written by another process meanwhile; its result is the answer.
				await this.#answerFromTable(sql, only).catch((cause: unknown) => only.reject(cause));
			} else if (only && isRefused(error)) {
				this.#log.error({ err: error }, 'The database refuses a message.');
				only.reject(new AppError('invalid_input'));
			} else {
				this.#postponeAll(batch, error);
			}
		}
	}

	/** Whether they were committed may be unknown; the sender's retry, with the same id, finds out. */
	#postponeAll(batch: Waiting[], error: unknown): void {
		this.#log.warn({ err: error }, 'Messages could not be written.');
		for (const waiting of batch) postpone(waiting, 2);
	}

	/** Some had been written by an earlier try: they are answered, and the others go on without them. */
	async #commitNew(sql: Sql, batch: Waiting[]): Promise<void> {
		let stored: Set<string>;
		try {
			const ids = batch.map(({ input }) => input.id);
			const rows = await sql<{ id: string }[]>`
				select id from message where id = any(${ids}::uuid[])`;
			stored = new Set(rows.map(({ id }) => id));
		} catch {
			for (const waiting of batch) postpone(waiting, 2);
			return;
		}
		const fresh = batch.filter(({ input }) => !stored.has(input.id));
		// Another process was faster with one, and has not committed it: who goes alone waits for it.
		if (stored.size === 0) for (const waiting of fresh) await this.#commitAny(sql, [waiting]);
		else {
			for (const waiting of batch) {
				if (!stored.has(waiting.input.id)) continue;
				await this.#answerFromTable(sql, waiting).catch((cause: unknown) => waiting.reject(cause));
			}
			if (fresh.length > 0) await this.#commitAny(sql, fresh);
		}
	}

	async #insert(sql: Sql, batch: Waiting[]): Promise<void> {
		const rows = await insert(sql, batch);
		for (const waiting of this.#tell(batch, rows)) {
			await this.#answerFromTable(sql, waiting).catch((error: unknown) => waiting.reject(error));
		}
	}

	/** Answers and announces what was stored; returns those of the batch that were not. */
	#tell(batch: Waiting[], rows: MessageRow[]): Waiting[] {
		const { batches, acceptToCommit } = this.#metrics;
		if (rows.length > 0) batches.observe(rows.length);
		const written = new Map(rows.map((row) => [row.id, row]));
		const unwritten: Waiting[] = [];
		for (const waiting of batch) {
			const row = written.get(waiting.input.id);
			// An id may be in a batch twice: only the first of its kind is in the rows.
			if (row?.sender_id !== waiting.senderId || !isSameConversation(row, waiting)) {
				unwritten.push(waiting);
				continue;
			}
			waiting.resolve(wholeDelta(row));
			acceptToCommit.since(waiting.acceptedAt);
		}
		const deltas: ConversationDelta[] = [];
		for (const [conversationId, own] of Map.groupBy(rows, (row) => row.conversation_id)) {
			own.sort((a, b) => a.version - b.version);
			const [first, last] = [own[0]!, own.at(-1)!];
			const base = first.version - 1;
			deltas.push({
				conversationId,
				base,
				version: last.version,
				changes: own.map((row) => ({ type: 'message.changed', message: messageView(row) }))
			});
			this.#known.wrote(
				conversationId,
				base,
				last,
				own.map((row) => row.sender_id)
			);
			if (Math.trunc(last.seq / SETTLE_EVERY) > Math.trunc((first.seq - 1) / SETTLE_EVERY)) {
				this.#settleLater(conversationId);
			}
		}
		this.#realtime.announce(deltas);
		return unwritten;
	}

	/** Many conversations together, and not before the messages that come now are through. */
	#settleLater(conversationId: string): void {
		this.#unsettled.add(conversationId);
		this.#settling ??= setTimeout(() => void this.#settle(), SETTLE_AFTER_MS).unref();
	}

	async #settle(): Promise<void> {
		const ids = [...this.#unsettled];
		this.#unsettled.clear();
		await settleReadPositions(this.#realtime.db.sql, ids).catch((error: unknown) =>
			this.#log.warn({ err: error }, 'Read positions were not settled; the next messages do it.')
		);
		this.#settling = undefined;
		for (const id of this.#unsettled) return this.#settleLater(id);
	}

	/** What an earlier try with this id has sent; `not_found` where that was not this sender's. */
	async #answerFromTable(sql: Sql, { input, senderId, resolve, reject }: Waiting): Promise<void> {
		const [row] = await sql<MessageRow[]>`
			select ${messageColumns(sql)} from message m
			where m.id = ${input.id} and m.conversation_id = ${input.conversationId}
				and m.sender_id = ${senderId} and m.kind = 'text'`;
		if (!row) return reject(notFound());
		this.#metrics.duplicates.add();
		resolve(wholeDelta(row));
	}
}

/** Without those that must not overtake one before them, which come back. */
function inTurn(batch: Waiting[]): Waiting[] {
	return batch.filter((waiting) => {
		if (waiting.after?.postponed) postpone(waiting, 2);
		return !waiting.postponed;
	});
}

const conversationOf = ({ input }: Sending) => input.conversationId;
const senderOf = ({ senderId }: Sending) => senderId;

/** Whoever sent it comes back with the same id; whether it was committed may be unknown. */
function postpone(waiting: Waiting, retryAfter: number): void {
	waiting.postponed = true;
	waiting.reject(new AppError('server_busy', { retryAfter }));
}

const isSameConversation = (row: MessageRow, { input }: Waiting) =>
	row.conversation_id === input.conversationId;
