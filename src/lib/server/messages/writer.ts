import { AppError, notFound } from '#lib/shared/errors.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { SendInput } from '#lib/shared/messages.ts';
import { brokenUniqueKey, isAboutRows, type Sql } from '../platform/db.ts';
import type { Log } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import { CHANNEL } from '../realtime/doorbell.ts';
import type { Realtime } from '../realtime/realtime.ts';
import { messageColumns, messageView, type MessageRow } from './schema.ts';

export interface WriterOptions {
	/** Batches that may be under way at once; a conversation always has the same lane. */
	lanes?: number;
	batchMax?: number;
	/** Messages that may wait in this process; beyond it the answer is an honest 'busy'. */
	queueMax?: number;
}

interface Waiting {
	input: SendInput;
	senderId: string;
	acceptedAt: number;
	/** The one before it, which it must not overtake. */
	after: Waiting | undefined;
	/** Whether its sender has been told to come back with it. */
	postponed: boolean;
	resolve(delta: ConversationDelta): void;
	reject(error: unknown): void;
}

/** Conversations in one batch, so that its notification stays under Postgres' 8,000 bytes. */
const CONVERSATIONS_MAX = 100;

/**
 * Writes messages in group commits. Postgres serialises the commits of transactions that notify, and
 * a hot conversation's row lock does the same to its writers; so those that arrive while a batch is
 * under way go together in the next. There is no timer: a message that finds its lane idle goes at
 * once.
 */
export class MessageWriter {
	readonly #sql: Sql;
	readonly #realtime: Realtime;
	readonly #log: Log;
	readonly #metrics: Metrics;
	readonly #batchMax: number;
	readonly #queueMax: number;
	readonly #lanes: Lane[];
	#waiting = 0;

	constructor(
		sql: Sql,
		realtime: Realtime,
		log: Log,
		{ lanes = 2, batchMax = 500, queueMax = 20_000 }: WriterOptions = {}
	) {
		this.#sql = sql;
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
		this.#lanes = Array.from({ length: lanes }, () => new Lane());
	}

	/**
	 * Sends a message, or returns what an earlier try with the same id has sent. Settles after the
	 * commit. Throws `not_found` (no member, or the id is somebody else's) and `server_busy`.
	 */
	send(input: SendInput, senderId: string): Promise<ConversationDelta> {
		return this.#send(input, senderId, undefined).settled;
	}

	/**
	 * Sends several in order. When one of a conversation is answered with `server_busy`, so are those
	 * after it.
	 */
	sendAll(inputs: SendInput[], senderId: string): Promise<ConversationDelta>[] {
		const last = new Map<string, Waiting>();
		return inputs.map((input) => {
			const { waiting, settled } = this.#send(input, senderId, last.get(input.conversationId));
			last.set(input.conversationId, waiting);
			return settled;
		});
	}

	#send(input: SendInput, senderId: string, after: Waiting | undefined) {
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
			const lane = this.#laneOf(input.conversationId);
			lane.waiting.push(waiting);
			if (!lane.busy) void this.#drain(lane);
		}
		return { waiting, settled };
	}

	#laneOf(conversationId: string): Lane {
		// The last characters of a UUIDv7 are random.
		const index = parseInt(conversationId.slice(-4), 16) % this.#lanes.length;
		const lane = this.#lanes[index];
		if (!lane) throw new Error('A writer needs at least one lane.');
		return lane;
	}

	async #drain(lane: Lane): Promise<void> {
		lane.busy = true;
		while (lane.waiting.length > 0) {
			const batch = lane.takeBatch(this.#batchMax);
			this.#waiting -= batch.length;
			await this.#commit(batch);
		}
		lane.busy = false;
	}

	async #commit(batch: Waiting[]): Promise<void> {
		try {
			await this.#insert(batch);
		} catch (error) {
			const [only] = batch;
			if (batch.length > 1 && isAboutRows(error)) {
				// One of them is bad: each goes alone, so that it harms no other.
				for (const waiting of batch) await this.#commit([waiting]);
			} else if (only && brokenUniqueKey(error)) {
				// The same message was written by another process meanwhile; its result is the answer.
				await this.#answerFromTable(only).catch((cause: unknown) => only.reject(cause));
			} else {
				// Whether it was committed may be unknown; the sender's retry, with the same id, finds out.
				this.#log.warn({ err: error }, 'Messages could not be written.');
				for (const waiting of batch) postpone(waiting, 2);
			}
		}
	}

	async #insert(all: Waiting[]): Promise<void> {
		const batch = all.filter((waiting) => {
			if (waiting.after?.postponed) postpone(waiting, 2);
			return !waiting.postponed;
		});
		if (batch.length === 0) return;
		const rows = await insertMessages(this.#sql, this.#realtime.processId, batch);
		const { batches, acceptToCommit } = this.#metrics;
		if (rows.length > 0) batches.observe(rows.length);
		const written = new Map(rows.map((row) => [row.id, row]));
		const deltas = new Map<string, ConversationDelta>();
		const unwritten: Waiting[] = [];
		for (const waiting of batch) {
			const row = written.get(waiting.input.id);
			// An id may be in a batch twice: only the first of its kind is in the rows.
			if (row?.sender_id !== waiting.senderId || !isSameConversation(row, waiting)) {
				unwritten.push(waiting);
				continue;
			}
			waiting.resolve(deltaOf(row));
			acceptToCommit.since(waiting.acceptedAt);
		}
		for (const row of rows.toSorted((a, b) => a.version - b.version)) {
			const next = deltaOf(row);
			const delta = deltas.get(row.conversation_id);
			if (!delta) deltas.set(row.conversation_id, next);
			else {
				delta.changes.push(...next.changes);
				delta.version = next.version;
			}
		}
		this.#realtime.publish({ conversations: [...deltas.values()], people: [], sessions: [] });
		for (const waiting of unwritten) {
			await this.#answerFromTable(waiting).catch((error: unknown) => waiting.reject(error));
		}
	}

	/** What an earlier try with this id has sent; `not_found` where that was not this sender's. */
	async #answerFromTable({ input, senderId, resolve, reject }: Waiting): Promise<void> {
		const [row] = await this.#sql<MessageRow[]>`
			select ${messageColumns(this.#sql)} from message m
			where m.id = ${input.id} and m.conversation_id = ${input.conversationId}
				and m.sender_id = ${senderId} and m.kind = 'text'`;
		if (!row) return reject(notFound());
		this.#metrics.duplicates.add();
		resolve(deltaOf(row));
	}
}

/** Whoever sent it comes back with the same id; whether it was committed may be unknown. */
function postpone(waiting: Waiting, retryAfter: number): void {
	waiting.postponed = true;
	waiting.reject(new AppError('server_busy', { retryAfter }));
}

class Lane {
	busy = false;
	waiting: Waiting[] = [];

	/** The next ones in order, of no more conversations than one notification can name. */
	takeBatch(max: number): Waiting[] {
		const conversations = new Set<string>();
		let end = 0;
		for (const { input } of this.waiting) {
			conversations.add(input.conversationId);
			if (end === max || conversations.size > CONVERSATIONS_MAX) break;
			end++;
		}
		return this.waiting.splice(0, end);
	}
}

const isSameConversation = (row: MessageRow, { input }: Waiting) =>
	row.conversation_id === input.conversationId;

const deltaOf = (row: MessageRow): ConversationDelta => ({
	conversationId: row.conversation_id,
	base: row.version - 1,
	version: row.version,
	changes: [{ type: 'message.changed', message: messageView(row) }]
});

/**
 * One statement: locks the conversations in order of id, finds the senders' memberships behind that
 * lock (who was removed while this waited is not found), numbers and stores what is new, moves the
 * senders' read positions, and rings. Returns the rows that it stored.
 */
async function insertMessages(
	sql: Sql,
	processId: string,
	batch: Waiting[]
): Promise<MessageRow[]> {
	const ids = batch.map((w) => w.input.id);
	const conversationIds = batch.map((w) => w.input.conversationId);
	const senderIds = batch.map((w) => w.senderId);
	const bodies = batch.map((w) => w.input.body);
	return sql<MessageRow[]>`
		with input as materialized (
			select distinct on (t.id) t.* from unnest(
				${ids}::uuid[], ${conversationIds}::uuid[], ${senderIds}::uuid[], ${bodies}::text[]
			) with ordinality as t(id, conversation_id, sender_id, body, place)
			order by t.id, t.place
		), locked as materialized (
			select c.id from conversation c
			where c.id in (select conversation_id from input)
			order by c.id for no key update
		), allowed as materialized (
			select m.conversation_id, m.person_id
			from locked join member m on m.conversation_id = locked.id
			where m.left_at is null
				and (m.conversation_id, m.person_id) in (select conversation_id, sender_id from input)
			for no key update of m
		), fresh as materialized (
			select i.*, row_number() over (partition by i.conversation_id order by i.place) as step
			from input i
			join allowed a on a.conversation_id = i.conversation_id and a.person_id = i.sender_id
			where not exists (select from message x where x.id = i.id)
		), counted as (
			select conversation_id, count(*) as n from fresh group by conversation_id
		), advanced as (
			update conversation c
			set version = c.version + k.n, last_seq = c.last_seq + k.n, active_at = now()
			from counted k where c.id = k.conversation_id
			returning c.id, c.version - k.n as base, c.last_seq - k.n as base_seq, k.n
		), inserted as (
			insert into message (id, conversation_id, seq, version, sender_id, kind, body, sent_at)
			select f.id, f.conversation_id, a.base_seq + f.step, a.base + f.step, f.sender_id,
				'text', f.body, date_trunc('milliseconds', clock_timestamp())
			from fresh f join advanced a on a.id = f.conversation_id
			returning *
		), seen as (
			update member r set read_seq = greatest(r.read_seq, s.seq)
			from (
				select conversation_id, sender_id, max(seq) as seq from inserted group by 1, 2
			) s
			where r.conversation_id = s.conversation_id and r.person_id = s.sender_id
		), rung as (
			select pg_notify(
				${CHANNEL},
				${processId + ' '} || string_agg('c:' || id || ':' || base || ':' || n, ',')
			) from advanced having count(*) > 0
		)
		select ${messageColumns(sql)}
		from inserted m left join rung on true`;
}
