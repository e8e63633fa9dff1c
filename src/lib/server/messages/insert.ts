import type { SendInput } from '#lib/shared/messages.ts';
import type { Sql } from '../platform/db.ts';
import type { Place } from './known-senders.ts';
import { messageColumns, sentAt, type MessageRow } from './schema.ts';

/** A message and who sends it. */
export interface Sending {
	input: SendInput;
	senderId: string;
}

/** Messages to one conversation, whose senders were members when it stood at `place`. */
export interface KnownLine {
	conversationId: string;
	place: Place;
	sendings: Sending[];
}

type Numbered = Omit<MessageRow, 'sent_at'>;

/**
 * Stores the messages of the conversations that still stand where they were known to stand, and
 * nothing of the others; returns the rows that it stored. No membership is looked up: behind the lock
 * the version tells that it is what it was. Where one is stored already, nothing is, and the error
 * is that of its key.
 */
export async function insertKnown(sql: Sql, lines: KnownLine[]): Promise<MessageRow[]> {
	const rows = lines.flatMap(numbered);
	const [only] = rows;
	const stored =
		only && rows.length === 1 ? await storeOne(sql, only) : await storeLines(sql, lines, rows);
	const sentAts = new Map(stored.map(({ conversation_id, sent_at }) => [conversation_id, sent_at]));
	return rows.flatMap((row) => {
		const sent_at = sentAts.get(row.conversation_id);
		return sent_at === undefined ? [] : { ...row, sent_at };
	});
}

/** With the places that they take if nobody was faster. */
const numbered = ({ conversationId, place, sendings }: KnownLine): Numbered[] =>
	sendings.map(({ input, senderId }, index) => ({
		id: input.id,
		conversation_id: conversationId,
		seq: place.seq + index + 1,
		version: place.version + index + 1,
		sender_id: senderId,
		kind: 'text',
		body: input.body,
		notice: null,
		edits: 0,
		reactions: null
	}));

type Stored = Pick<MessageRow, 'conversation_id' | 'sent_at'>;

function storeOne(sql: Sql, row: Numbered): Promise<Stored[]> {
	return sql<Stored[]>`
		with advanced as (
			update conversation
			set version = ${row.version}, last_seq = ${row.seq}, active_at = now()
			where id = ${row.conversation_id} and version = ${row.version - 1}
			returning id
		)
		insert into message (id, conversation_id, seq, version, sender_id, kind, body, sent_at)
		select ${row.id}, advanced.id, ${row.seq}, ${row.version}, ${row.sender_id}, 'text', ${row.body},
			date_trunc('milliseconds', clock_timestamp())
		from advanced
		returning conversation_id, ${sentAt(sql)}`;
}

function storeLines(sql: Sql, lines: KnownLine[], rows: Numbered[]): Promise<Stored[]> {
	const conversationIds = lines.map(({ conversationId }) => conversationId);
	return sql<Stored[]>`
		with locked as materialized (
			select c.id from conversation c
			where c.id = any(${conversationIds.toSorted()}::uuid[])
			order by c.id for no key update
		), advanced as (
			update conversation c
			set version = k.version + k.n, last_seq = k.seq + k.n, active_at = now()
			from unnest(
				${conversationIds}::uuid[],
				${lines.map(({ place }) => place.version)}::bigint[],
				${lines.map(({ place }) => place.seq)}::bigint[],
				${lines.map(({ sendings }) => sendings.length)}::int[]
			) as k(id, version, seq, n)
			where c.id = k.id and c.version = k.version and (select count(*) from locked) > 0
			returning c.id
		), clock as materialized (
			select date_trunc('milliseconds', clock_timestamp()) as sent_at
		), inserted as (
			insert into message (id, conversation_id, seq, version, sender_id, kind, body, sent_at)
			select t.id, t.conversation_id, t.seq, t.version, t.sender_id, 'text', t.body,
				(select sent_at from clock)
			from unnest(
				${rows.map(({ id }) => id)}::uuid[],
				${rows.map((row) => row.conversation_id)}::uuid[],
				${rows.map(({ seq }) => seq)}::bigint[],
				${rows.map(({ version }) => version)}::bigint[],
				${rows.map((row) => row.sender_id)}::uuid[],
				${rows.map(({ body }) => body)}::text[]
			) as t(id, conversation_id, seq, version, sender_id, body)
			-- Not a join, which would be planned for a few rows, as a loop in a loop.
			where (t.conversation_id in (select id from advanced)) is true
		)
		select advanced.id as conversation_id, ${sentAt(sql)} from advanced, clock`;
}

/**
 * Numbers and stores those whose sender is a member, in order; returns the rows that it stored. Where
 * one is stored already, nothing is, and the error is that of its key: to look for it first would
 * cost every message what only retries need, and a plan that was made while the table was small would
 * read all of it.
 *
 * One statement: locks the conversations in order of id, and finds the senders' memberships behind
 * that lock (who was removed while this waited is not found). Messages travel from step to step as
 * arrays of their conversation: a join of one step's rows with another's would be planned for a few
 * rows, as a loop in a loop, and take most of the time for hundreds.
 */
export async function insert(sql: Sql, batch: Sending[]): Promise<MessageRow[]> {
	// Of those that came twice, the first.
	const seen = new Set<string>();
	const all = batch.filter(({ input }) => !seen.has(input.id) && seen.add(input.id));
	const ids = all.map(({ input }) => input.id);
	const conversationIds = all.map(({ input }) => input.conversationId);
	const senderIds = all.map(({ senderId }) => senderId);
	const bodies = all.map(({ input }) => input.body);
	return sql<MessageRow[]>`
		with locked as materialized (
			select c.id from conversation c
			where c.id = any(${[...new Set(conversationIds)].toSorted()}::uuid[])
			order by c.id for no key update
		), input as materialized (
			select t.conversation_id, t.sender_id, array_agg(t.id order by t.place) as ids,
				array_agg(t.body order by t.place) as bodies, array_agg(t.place order by t.place) as places
			from unnest(
				${ids}::uuid[], ${conversationIds}::uuid[], ${senderIds}::uuid[], ${bodies}::text[]
			) with ordinality as t(id, conversation_id, sender_id, body, place)
			group by t.conversation_id, t.sender_id
		), allowed as materialized (
			select i.*
			from input i join member m
				on m.conversation_id = i.conversation_id and m.person_id = i.sender_id
			where m.left_at is null and (select count(*) from locked) > 0
			for no key update of m
		), fresh as (
			select a.conversation_id, count(*) as n, array_agg(t.id order by t.place) as ids,
				array_agg(a.sender_id order by t.place) as sender_ids,
				array_agg(t.body order by t.place) as bodies
			from allowed a cross join unnest(a.ids, a.bodies, a.places) as t(id, body, place)
			group by a.conversation_id
		), advanced as (
			update conversation c
			set version = c.version + f.n, last_seq = c.last_seq + f.n, active_at = now()
			from fresh f where c.id = f.conversation_id
			returning c.id, c.version - f.n as base, c.last_seq - f.n as base_seq,
				f.ids, f.sender_ids, f.bodies
		), inserted as (
			insert into message (id, conversation_id, seq, version, sender_id, kind, body, sent_at)
			select t.id, a.id, a.base_seq + t.step, a.base + t.step, t.sender_id, 'text', t.body,
				date_trunc('milliseconds', clock_timestamp())
			from advanced a cross join unnest(a.ids, a.sender_ids, a.bodies)
				with ordinality as t(id, sender_id, body, step)
			returning *
		)
		select ${messageColumns(sql)} from inserted m`;
}
