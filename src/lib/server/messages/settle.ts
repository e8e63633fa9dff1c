import type { Sql } from '../platform/db.ts';

/**
 * Moves the senders' read positions (sending is reading) up to what they have sent. A message does
 * not do that itself: it would cost each as much as half an insert. Until it is done here, whoever
 * reads a position looks for own messages after `settled_seq` too (`snapshotsOf`); so nothing depends
 * on when it happens, or on the process that stored a message.
 */
export async function settleReadPositions(sql: Sql, conversationIds: string[]): Promise<void> {
	// Apart from what locks: a busy conversation may have thousands of them.
	const sent = await sql<{ conversation_id: string; sender_id: string; seq: number }[]>`
		select m.conversation_id, m.sender_id, max(m.seq) as seq
		from conversation c join message m on m.conversation_id = c.id and m.seq > c.settled_seq
		where c.id = any(${conversationIds}::uuid[])
		group by 1, 2`;
	if (sent.length === 0) return;
	// Places are visible in their order: whoever sees the last sees all before it.
	const ends = new Map<string, number>();
	for (const { conversation_id: id, seq } of sent) ends.set(id, Math.max(ends.get(id) ?? 0, seq));
	const ids = [...ends.keys()].toSorted();
	// Should it be forgotten by a crash, then with all that it did.
	await sql`
		with locked as materialized (
			select c.id from conversation c
			where c.id = any(${ids}::uuid[])
				and (select set_config('synchronous_commit', 'off', true)) is not null
			order by c.id for no key update
		), settled as (
			update conversation c set settled_seq = greatest(c.settled_seq, k.seq)
			from unnest(${ids}::uuid[], ${ids.map((id) => ends.get(id)!)}::bigint[]) as k(id, seq)
			where c.id = k.id and (select count(*) from locked) > 0
			returning c.id
		)
		update member m set read_seq = k.seq
		from unnest(
			${sent.map((row) => row.conversation_id)}::uuid[],
			${sent.map((row) => row.sender_id)}::uuid[],
			${sent.map(({ seq }) => seq)}::bigint[]
		) as k(conversation_id, person_id, seq)
		where m.conversation_id = k.conversation_id and m.person_id = k.person_id
			and m.read_seq < k.seq and (select count(*) from settled) > 0`;
}
