import type { ConversationSnapshot } from '#lib/shared/conversations.ts';
import { notFound } from '#lib/shared/errors.ts';
import type { ConversationChange, ConversationDelta, PersonChange } from '#lib/shared/events.ts';
import { DELTA_MAX, type SinceInput, type SyncAnswer } from '#lib/shared/sync.ts';
import { peopleById } from '../accounts/accounts.ts';
import {
	ownConversations,
	peopleIn,
	snapshotsOf,
	type OwnConversation
} from '../conversations/conversations.ts';
import {
	conversationColumns,
	conversationOf,
	conversationView,
	memberColumns,
	memberView,
	type ConversationRow,
	type MemberRow
} from '../conversations/schema.ts';
import { messageColumns, messageView, peopleNamedIn, type MessageRow } from '../messages/schema.ts';
import type { Database, Sql } from '../platform/db.ts';
import type { ChangeSource, Position, Told } from '../realtime/hub.ts';
import type { Services } from '../services.ts';

/**
 * Brings a client from what it knows to now, all conversations together. Three cases per
 * conversation: a few changes come as a delta, many or an unknown conversation as a snapshot, and
 * what is not the viewer's (any more) is named as gone.
 */
export async function since(
	services: Services,
	viewerId: string,
	{ conversations: known, personVersion: knownPerson = 0 }: SinceInput
): Promise<SyncAnswer> {
	const { sql, orm } = services.db;
	// Whoever listens here and has missed no change of their own standing: it need not be looked up.
	const heard = services.realtime.hub.standingOf(viewerId);
	const standing =
		heard?.version === knownPerson
			? { version: heard.version, conversations: [...heard.conversations], read: [] }
			: await standingOf(sql, viewerId, knownPerson);
	if (!standing) throw notFound();
	const asked = standing.conversations.filter((id) => {
		const version = known[id];
		return version === undefined || heard?.toldTo(id) !== version;
	});
	const rows = asked.length > 0 ? await ownConversations(sql, viewerId, asked) : [];
	const behind: Behind[] = [];
	const fresh: OwnConversation[] = [];
	const reset: string[] = [];
	for (const row of rows) {
		const version = known[row.id];
		// A client that knows more than the database has seen one that was restored since.
		const lost =
			version !== undefined && (row.version - version > DELTA_MAX || version > row.version);
		if (version === undefined || lost) {
			fresh.push(row);
			if (lost) reset.push(row.id);
		} else if (row.version > version) behind.push({ ...row, since: version });
	}
	const snapshots = await snapshotsOf(sql, viewerId, fresh);
	const deltas: ConversationDelta[] = [];
	for (const { id, base, version, changes } of await changesOf(sql, behind)) {
		if (changes) deltas.push({ conversationId: id, base, version, changes });
	}
	const { syncBehind, resets } = services.metrics;
	const missed = deltas.reduce((sum, { base, version }) => sum + version - base, 0);
	syncBehind.observe(missed);
	resets.add(reset.length);
	const own = new Set(standing.conversations);
	return {
		personVersion: standing.version,
		deltas,
		snapshots,
		reset,
		gone: Object.keys(known).filter((id) => !own.has(id)),
		readSeqs: Object.fromEntries(standing.read.filter(([id]) => known[id] !== undefined)),
		people: await peopleById(orm, peopleOf(snapshots, deltas))
	};
}

/** The viewer's own line: version, memberships, and the read positions that moved since. */
async function standingOf(sql: Sql, viewerId: string, knownPerson: number) {
	const [row] = await sql<
		{ version: number; conversations: string | null; read: [id: string, seq: number][] | null }[]
	>`
		select p.version, ${membershipsOf(sql)}, (
			select json_agg(json_build_array(m.conversation_id, m.read_seq))
			from member m
			where m.person_id = p.id and m.left_at is null
				-- Who knows more than there is has seen a database that was restored since.
				and (m.person_version > ${knownPerson} or p.version < ${knownPerson})
		) as read
		from person p where p.id = ${viewerId}`;
	return row && { ...row, conversations: idsIn(row.conversations), read: row.read ?? [] };
}

/** Hundreds of ids as one text: as rows, or as an array, they would take most of the time to read. */
const membershipsOf = (sql: Sql) => sql`(
	select string_agg(m.conversation_id::text, ',') from member m
	where m.person_id = p.id and m.left_at is null
) as conversations`;

const idsIn = (text: string | null): string[] => (text ? text.split(',') : []);

/** What the hub asks of the tables. */
export function changeSource({ sql }: Database): ChangeSource {
	return {
		conversationDeltas: (from) => conversationDeltas(sql, from),
		personDeltas: (from) => personDeltas(sql, from),
		async standing(personId, sessionId) {
			const [row] = await sql<{ version: number; conversations: string | null }[]>`
				select p.version, ${membershipsOf(sql)}
				from person p join session s on s.person_id = p.id
				where p.id = ${personId} and s.id = ${sessionId} and s.expires_at > now()`;
			return row ? { ...row, conversations: idsIn(row.conversations) } : null;
		},
		async memberVersions(personId, ids) {
			return sql<Position[]>`
				select c.id, c.version
				from unnest(${ids}::uuid[]) as k(id)
				join member m on m.conversation_id = k.id and m.person_id = ${personId}
				cross join lateral ${conversationOf(sql, 'm')} c
				where m.left_at is null`;
		},
		async conversationVersions(ids) {
			return sql<Position[]>`select id, version from conversation where id = any(${ids}::uuid[])`;
		},
		async personVersions(ids) {
			return sql<Position[]>`select id, version from person where id = any(${ids}::uuid[])`;
		},
		async liveSessions(ids) {
			const rows = await sql<{ id: string }[]>`
				select id from session where id = any(${ids}::text[]) and expires_at > now()`;
			return rows.map((row) => row.id);
		}
	};
}

/** A conversation as it stood at one moment, for whoever knows it up to an earlier version. */
type Behind = ConversationRow & { since: number };

async function conversationDeltas(sql: Sql, from: Position[]): Promise<Told<ConversationChange>[]> {
	if (from.length === 0) return [];
	const rows = await sql<Behind[]>`
		select ${conversationColumns(sql)}, k.since
		from unnest(${from.map((f) => f.id)}::uuid[], ${from.map((f) => f.version)}::bigint[])
			as k(id, since)
		join conversation c on c.id = k.id
		where c.version > k.since`;
	return changesOf(sql, rows);
}

/**
 * What changed since, up to the version at which the conversation was read. None is missing, because
 * versions are taken under the row lock and become visible in their order. What has changed once more
 * since then is left to the next delta: whoever was a member at that version may not be one now, and
 * is told nothing of what came after.
 */
async function changesOf(sql: Sql, rows: Behind[]): Promise<Told<ConversationChange>[]> {
	const near = rows.filter((row) => row.version - row.since <= DELTA_MAX);
	const ids = near.map((row) => row.id);
	const bases = near.map((row) => row.since);
	const ends = near.map((row) => row.version);
	const messages =
		near.length === 0
			? []
			: await sql<MessageRow[]>`
					select ${messageColumns(sql)}
					from unnest(${ids}::uuid[], ${bases}::bigint[], ${ends}::bigint[])
						as k(id, since, until)
					join message m on m.conversation_id = k.id
						and m.version > k.since and m.version <= k.until
					order by m.conversation_id, m.seq`;
	// A version is one row's at the most: where messages have all of them, no member changed.
	const counts = Map.groupBy(messages, (row) => row.conversation_id);
	const others = near.filter((row) => {
		const found = (counts.get(row.id)?.length ?? 0) + (row.changed > row.since ? 1 : 0);
		return found < row.version - row.since;
	});
	const members =
		others.length === 0
			? []
			: await sql<MemberRow[]>`
					select ${memberColumns(sql)}
					from unnest(
						${others.map((row) => row.id)}::uuid[], ${others.map((row) => row.since)}::bigint[],
						${others.map((row) => row.version)}::bigint[]
					) as k(id, since, until)
					join member m on m.conversation_id = k.id
						and m.version > k.since and m.version <= k.until
					join person p on p.id = m.person_id
					order by m.version`;
	const changes = new Map<string, ConversationChange[]>(near.map((row) => [row.id, []]));
	for (const row of near) {
		if (row.changed <= row.since) continue;
		changes
			.get(row.id)
			?.push({ type: 'conversation.changed', conversation: conversationView(row) });
	}
	for (const row of members) {
		changes.get(row.conversation_id)?.push({ type: 'member.changed', member: memberView(row) });
	}
	for (const row of messages) {
		changes.get(row.conversation_id)?.push({ type: 'message.changed', message: messageView(row) });
	}
	return rows.map((row) => ({
		id: row.id,
		base: row.since,
		version: row.version,
		changes: changes.get(row.id) ?? null
	}));
}

async function personDeltas(sql: Sql, from: Position[]): Promise<Told<PersonChange>[]> {
	if (from.length === 0) return [];
	const rows = await sql<{ id: string; version: number; since: number }[]>`
		select p.id, p.version, k.since
		from unnest(${from.map((f) => f.id)}::uuid[], ${from.map((f) => f.version)}::bigint[])
			as k(id, since)
		join person p on p.id = k.id
		where p.version > k.since`;
	if (rows.length === 0) return [];
	const memberships = await sql<
		{ person_id: string; conversation_id: string; read_seq: number; gone: boolean }[]
	>`
		select m.person_id, m.conversation_id, m.read_seq, m.left_at is not null as gone
		from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.since)}::bigint[])
			as k(id, since)
		join member m on m.person_id = k.id and m.person_version > k.since
		order by m.person_version`;
	return rows.map(({ id, since: base, version }) => ({
		id,
		base,
		version,
		changes: memberships
			.filter((row) => row.person_id === id)
			.map((row) => ({
				type: 'membership.changed',
				conversationId: row.conversation_id,
				readSeq: row.read_seq,
				left: row.gone
			}))
	}));
}

function peopleOf(snapshots: ConversationSnapshot[], deltas: ConversationDelta[]): string[] {
	const messages = deltas.flatMap(({ changes }) =>
		changes.flatMap((change) => (change.type === 'message.changed' ? change.message : []))
	);
	return [...new Set([...peopleIn(snapshots), ...peopleNamedIn(messages)])];
}
