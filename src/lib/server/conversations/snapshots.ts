import type { ConversationOpening, ConversationSnapshot, Role } from '#lib/shared/conversations.ts';
import { notFound } from '#lib/shared/errors.ts';
import { peopleById } from '../accounts/accounts.ts';
import { messageColumns, messageView, peopleNamedIn, type MessageRow } from '../messages/schema.ts';
import type { Sql } from '../platform/db.ts';
import type { Services } from '../services.ts';
import {
	conversationColumns,
	conversationOf,
	conversationView,
	type ConversationRow
} from './schema.ts';

/** A conversation as the viewer's membership finds it. */
export type OwnConversation = ConversationRow & {
	role: Role;
	read_seq: number;
	marked_unread: boolean;
};

/** One conversation, for a member who has just started or opened it. */
export async function opening(
	services: Services,
	viewerId: string,
	conversationId: string
): Promise<ConversationOpening> {
	const { sql, orm } = services.db;
	const [snapshot] = await snapshotsOf(
		sql,
		viewerId,
		await ownConversations(sql, viewerId, [conversationId])
	);
	if (!snapshot) throw notFound();
	return { snapshot, people: await peopleById(orm, peopleIn([snapshot])) };
}

/** Those of the conversations that the viewer is a member of. */
function ownConversations(sql: Sql, viewerId: string, ids: string[]) {
	return sql<OwnConversation[]>`
		select ${conversationColumns(sql)}, v.role, v.read_seq, v.marked_unread
		from unnest(${ids}::uuid[]) as k(id)
		join member v on v.conversation_id = k.id and v.person_id = ${viewerId}
		cross join lateral ${conversationOf(sql, 'v')} c
		where v.left_at is null`;
}

export async function snapshotsOf(
	sql: Sql,
	viewerId: string,
	rows: OwnConversation[]
): Promise<ConversationSnapshot[]> {
	if (rows.length === 0) return [];
	const ids = rows.map((row) => row.id);
	const [last, peers, own] = await Promise.all([
		sql<MessageRow[]>`
			select ${messageColumns(sql)}
			from unnest(
				${ids}::uuid[], ${rows.map((row) => row.last_seq)}::bigint[],
				${rows.map((row) => row.version)}::bigint[]
			) as k(id, seq, version)
			-- Who is removed at this very moment is not told what is edited from now on.
			join message m on m.conversation_id = k.id and m.seq = k.seq and m.version <= k.version`,
		sql<{ conversation_id: string; person_id: string }[]>`
			select m.conversation_id, m.person_id
			from member m join conversation c on c.id = m.conversation_id
			where m.conversation_id = any(${ids}::uuid[]) and c.kind = 'direct'
				and m.person_id <> ${viewerId}`,
		ownAfter(sql, viewerId, rows)
	]);
	const lastOf = new Map(last.map((row) => [row.conversation_id, messageView(row)]));
	const peerOf = new Map(peers.map((row) => [row.conversation_id, row.person_id]));
	return rows.map((row) => ({
		conversation: conversationView(row),
		version: row.version,
		lastSeq: row.last_seq,
		lastMessage: lastOf.get(row.id) ?? null,
		// The same moment as a client takes from the message itself.
		activeAt: lastOf.get(row.id)?.sentAt ?? row.active_at,
		peerId: peerOf.get(row.id) ?? null,
		role: row.role,
		readSeq: own.get(row.id) ?? row.read_seq,
		markedUnread: row.marked_unread
	}));
}

/** Where the viewer has sent something that their read position does not tell yet: its place. */
async function ownAfter(
	sql: Sql,
	viewerId: string,
	rows: OwnConversation[]
): Promise<Map<string, number>> {
	const ranges = rows
		.map((row) => ({ ...row, after: Math.max(row.read_seq, row.settled_seq) }))
		.filter((row) => row.last_seq > row.after);
	if (ranges.length === 0) return new Map();
	const found = await sql<{ id: string; seq: number }[]>`
		select k.id, max(m.seq) as seq
		from unnest(
			${ranges.map(({ id }) => id)}::uuid[], ${ranges.map(({ after }) => after)}::bigint[],
			${ranges.map((row) => row.last_seq)}::bigint[]
		) as k(id, after, until)
		join message m on m.conversation_id = k.id and m.seq > k.after and m.seq <= k.until
		where m.sender_id = ${viewerId}
		group by k.id`;
	return new Map(found.map(({ id, seq }) => [id, seq]));
}

/** Everybody whom the snapshots name. */
export function peopleIn(snapshots: ConversationSnapshot[]): string[] {
	const messages = snapshots.flatMap(({ lastMessage }) => lastMessage ?? []);
	return [...peopleNamedIn(messages), ...snapshots.flatMap(({ peerId }) => peerId ?? [])];
}
