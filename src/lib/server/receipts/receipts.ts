/**
 * How far people have received and read a conversation, told to the others in it.
 *
 * Positions pass: no version counts them, and what gets lost is asked for again with the next
 * opening of the conversation. Who may be told, and of whom, is decided by the reading that tells.
 */
import { notFound, AppError } from '#lib/shared/errors.ts';
import { RECEIPTS_MEMBERS_MAX, type Receipt, type ReceivedInput } from '#lib/shared/receipts.ts';
import type { Database, Sql } from '../platform/db.ts';
import type { Limit, Limiter } from '../platform/limits.ts';
import type { Log } from '../platform/log.ts';
import type { ReceiptRing } from '../realtime/doorbell.ts';
import { isDeadlock, type Realtime } from '../realtime/realtime.ts';

/** A tab gathers for a second what it has received. */
const RECEIVED_LIMIT: Limit = { name: 'received', burst: 90, perMinute: 120 };
/** How far apart the events about one conversation are: many people read a message at once. */
const APART_MS = 500;
/** Conversations in one reading at the most. */
const READ_MAX = 200;
const ATTEMPTS = 3;

export interface ReceiptsOptions {
	/** Calls when there may be another event about the same conversation. */
	apart?: (over: () => void) => void;
}

interface Surroundings {
	db: Database;
	log: Log;
	limits: Limiter;
	realtime: Realtime;
}

interface PositionRow {
	conversation_id: string;
	person_id: string;
	received_seq: number;
	read_seq: number;
}

export class Receipts {
	readonly #db: Database;
	readonly #log: Log;
	readonly #limits: Limiter;
	readonly #realtime: Realtime;
	readonly #apart: (over: () => void) => void;
	/** Conversation → whose positions changed and were not told; it is there while one rests too. */
	readonly #untold = new Map<string, Set<string>>();
	/** Those of them that may be told now. */
	readonly #due = new Set<string>();
	#reading = false;
	#closed = false;

	constructor(
		{ db, log, limits, realtime }: Surroundings,
		{ apart = (over) => void setTimeout(over, APART_MS).unref() }: ReceiptsOptions = {}
	) {
		this.#db = db;
		this.#log = log;
		this.#limits = limits;
		this.#realtime = realtime;
		this.#apart = apart;
		realtime.onReceipts((receipts) => this.#changed(receipts));
	}

	/**
	 * A device has these conversations up to there. Where the viewer is no member, or the members are
	 * too many to be told, nothing happens, and nothing is said of it.
	 */
	async received(viewerId: string, input: ReceivedInput): Promise<void> {
		await this.#takeOrRefuse(viewerId);
		const moved = await this.#store(viewerId, input);
		this.#realtime.announceReceipts(
			moved.map((conversationId) => ({ conversationId, personId: viewerId }))
		);
	}

	/** The other present members who tell it, while the viewer does too. */
	async of(viewerId: string, conversationId: string): Promise<Receipt[]> {
		const { sql } = this.#db;
		const [standing] = await sql<{ told: boolean }[]>`
			select p.shows_receipts and ${areFew(sql)} as told
			from member v
			join conversation c on c.id = v.conversation_id
			join person p on p.id = v.person_id
			where v.conversation_id = ${conversationId} and v.person_id = ${viewerId}
				and v.left_at is null`;
		if (!standing) throw notFound();
		if (!standing.told) return [];
		const rows = await sql<PositionRow[]>`
			select ${positionColumns(sql)}
			from member m
			join member v on v.conversation_id = m.conversation_id and v.person_id = ${viewerId}
				and v.left_at is null
			join person p on p.id = m.person_id
			where m.conversation_id = ${conversationId} and m.person_id <> ${viewerId}
				and m.left_at is null and p.shows_receipts
			order by m.person_id`;
		return rows.map(receiptOf);
	}

	async show(personId: string, shows: boolean): Promise<void> {
		await this.#takeOrRefuse(personId);
		await this.#db.sql`update person set shows_receipts = ${shows} where id = ${personId}`;
	}

	async shows(personId: string): Promise<boolean> {
		const [row] = await this.#db.sql<{ shows_receipts: boolean }[]>`
			select shows_receipts from person where id = ${personId}`;
		return row?.shows_receipts ?? false;
	}

	close(): void {
		this.#closed = true;
	}

	async #takeOrRefuse(viewerId: string): Promise<void> {
		const retryAfter = await this.#limits.take(RECEIVED_LIMIT, viewerId);
		if (retryAfter > 0) throw new AppError('too_many_attempts', { retryAfter });
	}

	/** Moves what is further than before; returns where. */
	async #store(viewerId: string, input: ReceivedInput): Promise<string[]> {
		for (let attempt = 1; ; attempt++) {
			try {
				return await moveReceived(this.#db.sql, viewerId, input);
			} catch (error) {
				// Read positions of several conversations are settled in an order of their own.
				if (attempt < ATTEMPTS && isDeadlock(error)) continue;
				throw error;
			}
		}
	}

	#changed(receipts: ReceiptRing[]): void {
		if (this.#closed) return;
		for (const { conversationId, personId } of receipts) {
			const untold = this.#untold.get(conversationId);
			if (untold) untold.add(personId);
			else if (this.#isHeard(conversationId, personId)) {
				this.#untold.set(conversationId, new Set([personId]));
				this.#due.add(conversationId);
			}
		}
		if (this.#due.size > 0 && !this.#reading) void this.#tellDue();
	}

	/** By somebody else, that is. Where many listen here, the members are too many to be told. */
	#isHeard(conversationId: string, personId: string): boolean {
		const people = this.#realtime.hub.peopleIn(conversationId, RECEIPTS_MEMBERS_MAX);
		if (people.size > RECEIPTS_MEMBERS_MAX) return false;
		return people.size > (people.has(personId) ? 1 : 0);
	}

	/** What becomes due meanwhile goes together, in the next reading. */
	async #tellDue(): Promise<void> {
		this.#reading = true;
		while (this.#due.size > 0 && !this.#closed) {
			const changed = new Map<string, Set<string>>();
			for (const id of this.#due) {
				if (changed.size === READ_MAX) break;
				this.#due.delete(id);
				changed.set(id, this.#untold.get(id) ?? new Set());
				this.#untold.set(id, new Set());
			}
			this.#rest([...changed.keys()]);
			await this.#tell(changed).catch((error: unknown) =>
				this.#log.warn({ err: error }, 'Reading receipts failed; the next ones tell it.')
			);
		}
		this.#reading = false;
	}

	/** Nothing more is told of these for a while; what changes meanwhile is gathered. */
	#rest(conversationIds: string[]): void {
		this.#apart(() => {
			for (const id of conversationIds) {
				if (this.#untold.get(id)?.size) this.#due.add(id);
				else this.#untold.delete(id);
			}
			if (this.#due.size > 0 && !this.#reading) void this.#tellDue();
		});
	}

	/** One reading tells how far they are, who says so, and who may hear it. */
	async #tell(changed: Map<string, Set<string>>): Promise<void> {
		const pairs: ReceiptRing[] = [];
		for (const [conversationId, people] of changed) {
			const viewers = this.#realtime.hub.peopleIn(conversationId, RECEIPTS_MEMBERS_MAX);
			if (Math.max(viewers.size, people.size) > RECEIPTS_MEMBERS_MAX) continue;
			for (const personId of new Set([...people, ...viewers])) {
				pairs.push({ conversationId, personId });
			}
		}
		if (pairs.length === 0) return;
		const rows = await tellingAmong(this.#db.sql, pairs);
		for (const [conversationId, told] of Map.groupBy(rows, (row) => row.conversation_id)) {
			const receipts = told
				.filter((row) => changed.get(conversationId)?.has(row.person_id))
				.map(receiptOf);
			const [first, second] = receipts;
			if (!first) continue;
			const viewers = new Set(told.map((row) => row.person_id));
			// Of several, all are told the same, with their own among it.
			if (!second) viewers.delete(first.personId);
			const event = { type: 'receipts.changed' as const, conversationId, receipts };
			if (viewers.size > 0) this.#realtime.hub.tellIn(conversationId, viewers, event);
		}
	}
}

const receiptOf = (row: PositionRow): Receipt => ({
	personId: row.person_id,
	receivedSeq: row.received_seq,
	readSeq: row.read_seq
});

/** Who has read has received. */
const positionColumns = (sql: Sql) => sql`
	m.conversation_id, m.person_id, m.read_seq,
	greatest(m.received_seq, m.read_seq) as received_seq`;

/** Whether the present members of the conversation `c` are few enough to be told of each other. */
const areFew = (sql: Sql) => sql`(
	c.kind = 'direct' or (
		select count(*) from (
			select from member x where x.conversation_id = c.id and x.left_at is null
			limit ${RECEIPTS_MEMBERS_MAX + 1}
		) as present
	) <= ${RECEIPTS_MEMBERS_MAX}
)`;

/** Only forward, never past the end; returns the conversations in which it has moved. */
async function moveReceived(sql: Sql, viewerId: string, input: ReceivedInput): Promise<string[]> {
	const rows = await sql<{ conversation_id: string }[]>`
		with told as materialized (
			select k.id, max(k.seq) as seq
			from unnest(
				${input.map(([id]) => id)}::uuid[], ${input.map(([, seq]) => seq)}::bigint[]
			) as k(id, seq)
			-- Should it be forgotten by a crash, it is told again.
			where (select set_config('synchronous_commit', 'off', true)) is not null
			group by k.id
		), further as (
			select m.conversation_id, least(k.seq, c.last_seq) as seq
			from told k
			join member m on m.conversation_id = k.id and m.person_id = ${viewerId}
			join conversation c on c.id = k.id
			where m.left_at is null
				and greatest(m.received_seq, m.read_seq) < least(k.seq, c.last_seq)
				and ${areFew(sql)}
			order by m.conversation_id
			-- Who is removed while this waits is no member.
			for no key update of m
		)
		update member m set received_seq = further.seq from further
		where m.conversation_id = further.conversation_id and m.person_id = ${viewerId}
		returning m.conversation_id`;
	return rows.map((row) => row.conversation_id);
}

/** Those of them who are present, and tell; none where the members are too many. */
function tellingAmong(sql: Sql, pairs: ReceiptRing[]) {
	const conversationIds = pairs.map(({ conversationId }) => conversationId);
	return sql<PositionRow[]>`
		with few as materialized (
			select c.id from conversation c
			where c.id = any(${[...new Set(conversationIds)]}::uuid[]) and ${areFew(sql)}
		)
		select ${positionColumns(sql)}
		from unnest(
			${conversationIds}::uuid[], ${pairs.map(({ personId }) => personId)}::uuid[]
		) as k(conversation_id, person_id)
		join few on few.id = k.conversation_id
		join member m on m.conversation_id = k.conversation_id and m.person_id = k.person_id
		join person p on p.id = m.person_id
		where m.left_at is null and p.shows_receipts`;
}
