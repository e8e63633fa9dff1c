import type { Sql } from 'postgres';

/**
 * Puts `count` messages of two people into an empty conversation, at once, as if each had been sent:
 * places and versions without gaps, one message in ten long, a new day after every two hundred.
 */
export async function fillConversation(
	sql: Sql,
	conversationId: string,
	count: number,
	readBy: { personId: string; seq: number }
): Promise<void> {
	await sql.begin(async (tx) => {
		await tx`
			insert into message (id, conversation_id, seq, version, sender_id, kind, body, sent_at)
			select gen_random_uuid(), c.id, c.last_seq + n, c.version + n,
				-- Three in a row by one, then two by the other. Who writes has read what is before it.
				(select person_id from member where conversation_id = c.id order by person_id =
					${readBy.personId} offset case when n % 5 < 3 or n > ${readBy.seq} then 0 else 1 end limit 1),
				'text',
				'Message ' || n || case
					when n % 10 = 0 then ' ' || repeat('goes on about the bread of that morning ', 3 + n % 7)
					when n % 4 = 0 then ' with a few more words in it, but not many'
					else '' end,
				now() - make_interval(secs => (${count} - n) * 432)
			from conversation c, generate_series(1, ${count}) n
			where c.id = ${conversationId}`;
		await tx`
			update conversation set last_seq = last_seq + ${count}, version = version + ${count},
				settled_seq = last_seq + ${count}, active_at = now()
			where id = ${conversationId}`;
		// Both have read everything, except for the one who has not.
		await tx`
			update member m set read_seq = c.last_seq from conversation c
			where c.id = m.conversation_id and c.id = ${conversationId}`;
		await tx`
			update member set read_seq = ${readBy.seq}
			where conversation_id = ${conversationId} and person_id = ${readBy.personId}`;
	});
}
