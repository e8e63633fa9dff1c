import type { ConversationSnapshot } from '#lib/shared/conversations.ts';
import { notFound } from '#lib/shared/errors.ts';
import type { ConversationChange, ConversationDelta, PersonChange } from '#lib/shared/events.ts';
import { DELTA_MAX, type SinceInput, type SyncAnswer } from '#lib/shared/sync.ts';
import { peopleTogether } from '../accounts/accounts.ts';
import { peopleIn, snapshotsOf, type OwnConversation } from '../conversations/conversations.ts';
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
import { gathered } from '../platform/gathering.ts';
import type {
	ChangeSource,
	Position,
	PositionAt,
	Standing,
	Told
} from '../realtime/change-source.ts';
import type { Services } from '../services.ts';

/** People asked about by one statement at the most; each has hundreds of conversations. */
const STANDINGS_MAX = 32;
/** Conversations asked about by one statement at the most. */
const CONVERSATIONS_MAX = 2000;
/** The same of conversations in each of which something is to be told, up to `DELTA_MAX` changes. */
const RANGES_MAX = 200;

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
	const { sql } = services.db;
	// Whoever listens here and has missed no change of their own standing: it need not be looked up.
	const heard = services.realtime.hub.standingOf(viewerId);
	const standing =
		heard?.version === knownPerson
			? { version: heard.version, conversations: heard.conversations, read: [] }
			: (await standingsWithReads(sql, [{ viewerId, knownPerson }]))[0];
	if (!standing) throw notFound();
	const asked: Asked[] = [];
	let named = 0;
	for (const id of standing.conversations) {
		const version = known[id];
		if (version === undefined) asked.push({ viewerId, id, known: NOTHING });
		else {
			named++;
			if (heard?.toldTo(id) !== version) asked.push({ viewerId, id, known: version });
		}
	}
	// Now: what the stream hears is the stream's, and changes while the tables are asked.
	const gone = named < Object.keys(known).length ? missing(known, standing.conversations) : [];
	const rows = (await movedConversations(sql, asked)).filter((row) => row !== undefined);
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
	for (const { id, base, version, changes } of await missedChanges(sql, behind)) {
		if (changes) deltas.push({ conversationId: id, base, version, changes });
	}
	const { syncBehind, resets } = services.metrics;
	const missed = deltas.reduce((sum, { base, version }) => sum + version - base, 0);
	syncBehind.observe(missed);
	resets.add(reset.length);
	const people = await peopleTogether(sql, peopleOf(snapshots, deltas));
	const read = standing.read.filter(([id]) => known[id] !== undefined);
	return {
		personVersion: standing.version,
		deltas,
		snapshots,
		reset,
		gone,
		readSeqs: Object.fromEntries(read.map(([id, seq]) => [id, seq])),
		marked: read.flatMap(([id, , isMarked]) => (isMarked ? id : [])),
		people: people.filter((person) => person !== undefined)
	};
}

function missing(known: Record<string, number>, conversations: Iterable<string>): string[] {
	const own = new Set(conversations);
	return Object.keys(known).filter((id) => !own.has(id));
}

interface StandingRow {
	n: number;
	version: number;
	conversations: string | null;
}

/** How far the viewer has read, and whether it is marked as unread nevertheless. */
type Read = [id: string, seq: number, markedUnread: boolean];

/** The viewers' own lines: version, memberships, and the read positions that moved since. */
const standingsWithReads = gathered<
	{ viewerId: string; knownPerson: number },
	(Standing & { read: Read[] }) | undefined
>(
	async (sql, asked) => {
		const rows = await sql<(StandingRow & { read: Read[] | null })[]>`
			select k.n, p.version, ${membershipsOf(sql)}, (
				select json_agg(json_build_array(m.conversation_id, m.read_seq, m.marked_unread))
				from member m
				where m.person_id = p.id and m.left_at is null
					-- Who knows more than there is has seen a database that was restored since.
					and (m.person_version > k.known or p.version < k.known)
			) as read
			from unnest(
				${asked.map(({ viewerId }) => viewerId)}::uuid[],
				${asked.map(({ knownPerson }) => knownPerson)}::bigint[]
			) with ordinality as k(id, known, n)
			join person p on p.id = k.id`;
		const found = new Map(rows.map((row) => [row.n, row]));
		return asked.map((_, index) => {
			const row = found.get(index + 1);
			return row && { ...standingOf(row), read: row.read ?? [] };
		});
	},
	{ most: STANDINGS_MAX }
);

const standings = gathered<{ personId: string; sessionId: string }, Standing | null>(
	async (sql, asked) => {
		const rows = await sql<StandingRow[]>`
			select k.n, p.version, ${membershipsOf(sql)}
			from unnest(
				${asked.map(({ personId }) => personId)}::uuid[],
				${asked.map(({ sessionId }) => sessionId)}::text[]
			) with ordinality as k(person_id, session_id, n)
			join session s on s.id = k.session_id and s.person_id = k.person_id
			join person p on p.id = k.person_id
			where s.expires_at > now()`;
		const found = new Map(rows.map((row) => [row.n, row]));
		return asked.map((_, index) => {
			const row = found.get(index + 1);
			return row ? standingOf(row) : null;
		});
	},
	{ most: STANDINGS_MAX }
);

/** Counts the statements, each of which sees one moment. */
let moments = 0;

const memberVersions = gathered<{ personId: string; id: string }, PositionAt | undefined>(
	async (sql, asked) => {
		const moment = ++moments;
		const rows = await sql<{ n: number; version: number }[]>`
			select k.n, c.version
			from unnest(
				${asked.map(({ personId }) => personId)}::uuid[], ${asked.map(({ id }) => id)}::uuid[]
			) with ordinality as k(person_id, id, n)
			cross join lateral ${membershipAt(sql)} m
			cross join lateral ${conversationOf(sql, 'm')} c`;
		const found: (PositionAt | undefined)[] = asked.map(() => undefined);
		for (const { n, version } of rows) found[n - 1] = { id: asked[n - 1]!.id, version, moment };
		return found;
	},
	{ most: CONVERSATIONS_MAX }
);

/** Below every version. */
const NOTHING = -1;

/** A conversation of which the viewer knows a version. */
interface Asked {
	viewerId: string;
	id: string;
	known: number;
}

/** The viewers' conversations, where they stand at another version than is known. */
const movedConversations = gathered<Asked, OwnConversation | undefined>(
	async (sql, asked) => {
		const rows = await sql<(OwnConversation & { n: number })[]>`
			select k.n, ${conversationColumns(sql)}, v.role, v.read_seq, v.marked_unread
			from unnest(
				${asked.map(({ viewerId }) => viewerId)}::uuid[], ${asked.map(({ id }) => id)}::uuid[],
				${asked.map(({ known }) => known)}::bigint[]
			) with ordinality as k(person_id, id, known, n)
			cross join lateral ${membershipAt(sql)} v
			cross join lateral ${conversationOf(sql, 'v')} c
			where c.version <> k.known`;
		const found: (OwnConversation | undefined)[] = asked.map(() => undefined);
		for (const { n, ...row } of rows) found[n - 1] = row;
		return found;
	},
	{ most: CONVERSATIONS_MAX }
);

/**
 * The membership of `k`, looked up by its key, however many are asked for (see `conversationOf`).
 */
const membershipAt = (sql: Sql) => sql`(
	select * from member x
	where x.conversation_id = k.id and x.person_id = k.person_id and x.left_at is null offset 0
)`;

/** Hundreds of ids as one text: as rows, or as an array, they would take most of the time to read. */
const membershipsOf = (sql: Sql) => sql`(
	select string_agg(m.conversation_id::text, ',') from member m
	where m.person_id = p.id and m.left_at is null
) as conversations`;

const standingOf = ({ version, conversations }: StandingRow): Standing => ({
	version,
	conversations: conversations ? conversations.split(',') : []
});

/** What the hub asks of the tables. */
export function changeSource({ sql }: Database): ChangeSource {
	return {
		conversationDeltas: (from) => conversationDeltas(sql, from),
		personDeltas: (from) => personDeltas(sql, from),
		async standing(personId, sessionId) {
			const [standing] = await standings(sql, [{ personId, sessionId }]);
			return standing ?? null;
		},
		async memberVersions(personId, ids) {
			const asked = ids.map((id) => ({ personId, id }));
			return (await memberVersions(sql, asked)).filter((position) => position !== undefined);
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
	const near = rows.filter(isNear);
	const messages =
		near.length === 0
			? []
			: await sql<(MessageRow & { n: number })[]>`
					select k.n, ${messageColumns(sql)}
					from ${rangesOf(sql, near)}
					join message m on m.conversation_id = k.id and m.seq > k.after
						and m.version > k.since and m.version <= k.until
					order by k.n, m.seq`;
	const messagesOf = Map.groupBy(messages, ({ n }) => near[n - 1]);
	// A version is one row's at the most: where new messages have all of them, nothing else changed.
	const others = near.filter((row) => {
		const found = (messagesOf.get(row)?.length ?? 0) + (row.changed > row.since ? 1 : 0);
		return found < row.version - row.since;
	});
	const [members, changed] =
		others.length === 0
			? [[], []]
			: await Promise.all([
					sql<(MemberRow & { n: number })[]>`
						select k.n, ${memberColumns(sql)}
						from ${rangesOf(sql, others)}
						join member m on m.conversation_id = k.id
							and m.version > k.since and m.version <= k.until
						join person p on p.id = m.person_id
						order by k.n, m.version`,
					sql<(MessageRow & { n: number })[]>`
						select k.n, ${messageColumns(sql)}
						from ${rangesOf(sql, others)}
						join message m on m.conversation_id = k.id and m.changed and m.seq <= k.after
							and m.version > k.since and m.version <= k.until
						order by k.n, m.seq`
				]);
	const membersOf = Map.groupBy(members, ({ n }) => others[n - 1]);
	const changedOf = Map.groupBy(changed, ({ n }) => others[n - 1]);
	return rows.map((row) => ({
		id: row.id,
		base: row.since,
		version: row.version,
		changes: isNear(row)
			? [
					...conversationChange(row),
					...(membersOf.get(row) ?? []).map(memberChange),
					...(changedOf.get(row) ?? []).map(messageChange),
					...(messagesOf.get(row) ?? []).map(messageChange)
				]
			: null
	}));
}

const isNear = (row: Behind) => row.version - row.since <= DELTA_MAX;

/**
 * What each is to be told, as the table `k`. Every new message took a version: those since `since`
 * are at the most so many, and come after the place `after`.
 */
const rangesOf = (sql: Sql, rows: Behind[]) => sql`unnest(
	${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.since)}::bigint[],
	${rows.map((row) => row.version)}::bigint[],
	${rows.map((row) => row.last_seq - (row.version - row.since))}::bigint[]
) with ordinality as k(id, since, until, after, n)`;

const conversationChange = (row: Behind): ConversationChange[] =>
	row.changed > row.since
		? [{ type: 'conversation.changed', conversation: conversationView(row) }]
		: [];

const memberChange = (row: MemberRow): ConversationChange => ({
	type: 'member.changed',
	member: memberView(row)
});

const messageChange = (row: MessageRow): ConversationChange => ({
	type: 'message.changed',
	message: messageView(row)
});

/** The same for many clients: of what all members of a conversation have missed, one is read. */
const missedChanges = gathered<Behind, Told<ConversationChange>>(
	async (sql, rows) => {
		const keyOf = ({ id, since, version }: Behind) => `${id} ${since} ${version}`;
		const different = new Map(rows.map((row) => [keyOf(row), row]));
		const told = await changesOf(sql, [...different.values()]);
		const found = new Map([...different.keys()].map((key, index) => [key, told[index]!]));
		return rows.map((row) => found.get(keyOf(row))!);
	},
	{ most: RANGES_MAX }
);

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
		{
			person_id: string;
			conversation_id: string;
			read_seq: number;
			marked_unread: boolean;
			gone: boolean;
		}[]
	>`
		select m.person_id, m.conversation_id, m.read_seq, m.marked_unread,
			m.left_at is not null as gone
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
				markedUnread: row.marked_unread,
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
