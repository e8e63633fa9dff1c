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
 * that lock (who was removed while this waited is not found).
 */
async function insertAll(sql: Sql, batch: Sending[]): Promise<MessageRow[]> {
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
		)
		select ${messageColumns(sql)} from inserted m`;
}
