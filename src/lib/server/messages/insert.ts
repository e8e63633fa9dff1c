import type { SendInput } from '#lib/shared/messages.ts';
import type { Sql } from '../platform/db.ts';
import { messageColumns, sentAt, type MessageRow } from './schema.ts';

/** A message and who sends it. */
export interface Sending {
	input: SendInput;
	senderId: string;
}

/**
 * Numbers and stores those whose sender is a member, in order, and moves the senders' read positions.
 * Returns the rows that it stored. Where one is stored already, nothing is, and the error is that of
 * its key: to look for it first would cost every message what only retries need, and a plan that
 * was made while the table was small would read all of it.
 */
export async function insert(sql: Sql, batch: Sending[]): Promise<MessageRow[]> {
	const [only] = batch;
	if (only && batch.length === 1) {
		const rows = await insertOne(sql, only);
		if (rows.length > 0) return rows;
	}
	return insertAll(sql, batch);
}

/**
 * For one alone, without waiting for locks first: the membership was seen at the conversation's
 * `version`, and every change of a membership takes the next, so where that is still the version
 * under the lock, so is the membership. Stores nothing where anything came in between.
 */
async function insertOne(sql: Sql, { input, senderId }: Sending): Promise<MessageRow[]> {
	const { id, conversationId, body } = input;
	const rows = await sql<Pick<MessageRow, 'seq' | 'version' | 'sent_at'>[]>`
		with standing as materialized (
			select c.id, c.version, m.person_id
			from conversation c join member m on m.conversation_id = c.id
			where c.id = ${conversationId} and m.person_id = ${senderId} and m.left_at is null
		), advanced as (
			update conversation c
			set version = c.version + 1, last_seq = c.last_seq + 1, active_at = now()
			from standing s where c.id = s.id and c.version = s.version
			returning c.id, c.version, c.last_seq, s.person_id
		), seen as (
			update member r set read_seq = a.last_seq
			from advanced a where r.conversation_id = a.id and r.person_id = a.person_id
		)
		insert into message (id, conversation_id, seq, version, sender_id, kind, body, sent_at)
		select ${id}, a.id, a.last_seq, a.version, a.person_id, 'text', ${body},
			date_trunc('milliseconds', clock_timestamp())
		from advanced a
		returning seq, version, ${sentAt(sql)}`;
	return rows.map((row) => ({
		...row,
		id,
		conversation_id: conversationId,
		sender_id: senderId,
		kind: 'text',
		body,
		notice: null
	}));
}

/**
 * One statement: locks the conversations in order of id, and finds the senders' memberships behind
 * that lock (who was removed while this waited is not found). Messages travel from step to step as
 * arrays of their conversation: a join of one step's rows with another's would be planned for a few
 * rows, as a loop in a loop, and take most of the time for hundreds.
 */
async function insertAll(sql: Sql, batch: Sending[]): Promise<MessageRow[]> {
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
		), seen as (
			update member r set read_seq = greatest(r.read_seq, s.seq)
			from (
				select conversation_id, sender_id, max(seq) as seq from inserted group by 1, 2
			) s
			where r.conversation_id = s.conversation_id and r.person_id = s.sender_id
		)
		select ${messageColumns(sql)} from inserted m`;
}
