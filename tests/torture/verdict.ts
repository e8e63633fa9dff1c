/** Holds what the clients were told and shown against the tables. */
import { isDeepStrictEqual } from 'node:util';
import type postgres from 'postgres';
import type { Replica } from '../../src/lib/shared/replica.ts';
import type { MessageView } from '../../src/lib/shared/messages.ts';
import type { Device, Heard, Reacting, World } from './device.ts';

/** Findings by what they are; each must be empty. */
export const KINDS = [
	'acknowledged and missing',
	'written and lost',
	'doubled',
	'out of order',
	'heard by outsiders',
	'heard and not stored',
	'let in by mistake',
	'shown differently',
	'tables not whole',
	'other'
] as const;
export type Findings = Record<(typeof KINDS)[number], string[]>;

interface MessageRow {
	id: string;
	conversation_id: string;
	seq: number;
	version: number;
	sender_id: string;
	kind: 'text' | 'notice';
	body: string | null;
	edits: number;
	notice: { type: string; personIds?: string[]; personId?: string } | null;
}

interface ReactionRow {
	conversation_id: string;
	message_id: string;
	person_id: string;
	emoji: string;
	version: number;
}

interface ConversationRow {
	id: string;
	kind: string;
	version: number;
	last_seq: number;
	changed: number;
	pair: string | null;
}

interface MemberRow {
	conversation_id: string;
	person_id: string;
	version: number;
	read_seq: number;
}

interface Tables {
	messages: Map<string, MessageRow>;
	/** All texts of a message, the first one first. None of what was deleted. */
	texts: Map<string, string[]>;
	/** Of a message: emoji, person and version, in the order in which they came. */
	reactions: Map<string, ReactionRow[]>;
	byConversation: Map<string, MessageRow[]>;
	conversations: Map<string, ConversationRow>;
	members: Map<string, MemberRow>;
}

/** Versions from (included) and until (excluded) which somebody was a member. */
interface Stay {
	from: number;
	until: number;
}

export async function judge(
	sql: postgres.Sql<{ bigint: number }>,
	world: World,
	clients: Device[]
): Promise<{ findings: Findings; messages: number }> {
	const tables = await readTables(sql);
	const findings = Object.fromEntries(KINDS.map((kind) => [kind, []])) as unknown as Findings;
	checkTables(tables, world, findings);
	const stays = staysOf(tables, world);
	checkReactions(clients, tables, stays, findings);
	for (const client of clients) {
		checkSent(client, tables, stays, findings);
		checkWritten(client, tables, findings);
		checkChanged(client, tables, findings);
		checkEdited(client, tables, stays, findings);
		checkHeard(client, tables, stays, findings);
		checkShown(client, tables, findings);
		for (const complaint of client.complaints) findings.other.push(`${client.name} ${complaint}`);
	}
	return { findings, messages: tables.messages.size };
}

async function readTables(sql: postgres.Sql<{ bigint: number }>): Promise<Tables> {
	const messages = await sql<MessageRow[]>`
		select id, conversation_id, seq, version, sender_id, kind, body, edits, notice from message
		order by conversation_id, seq`;
	const replaced = await sql<{ message_id: string; edit: number; body: string }[]>`
		select message_id, edit, body from message_edit order by message_id, edit`;
	const reactions = await sql<ReactionRow[]>`
		select conversation_id, message_id, person_id, emoji, version from reaction
		order by version`;
	const texts = new Map<string, string[]>();
	for (const { message_id: id, body } of replaced) texts.set(id, [...(texts.get(id) ?? []), body]);
	for (const { id, body } of messages) {
		if (body !== null) texts.set(id, [...(texts.get(id) ?? []), body]);
	}
	const conversations = await sql<ConversationRow[]>`
		select id, kind, version, last_seq, changed, pair from conversation`;
	const members = await sql<MemberRow[]>`
		select m.conversation_id, m.person_id, m.version, greatest(m.read_seq, (
			select max(x.seq) from message x
			where x.conversation_id = m.conversation_id and x.sender_id = m.person_id
		)) as read_seq
		from member m`;
	return {
		messages: new Map(messages.map((row) => [row.id, row])),
		texts,
		reactions: Map.groupBy(reactions, (row) => row.message_id),
		byConversation: Map.groupBy(messages, (row) => row.conversation_id),
		conversations: new Map(conversations.map((row) => [row.id, row])),
		members: new Map(members.map((row) => [`${row.conversation_id} ${row.person_id}`, row]))
	};
}

/** Places are dense, no version was given twice, the newest is the conversation's; no body twice. */
function checkTables(
	{ messages, texts, reactions, byConversation, conversations, members }: Tables,
	{ deletions }: World,
	found: Findings
) {
	const versions = new Map<string, number[]>();
	const add = (id: string, version: number) => {
		const list = versions.get(id);
		if (list) list.push(version);
		else versions.set(id, [version]);
	};
	for (const { conversation_id: id, version } of messages.values()) add(id, version);
	for (const { conversation_id: id, version } of members.values()) add(id, version);
	for (const { id, changed } of conversations.values()) if (changed > 0) add(id, changed);
	for (const { id, version, last_seq: lastSeq } of conversations.values()) {
		const rows = byConversation.get(id) ?? [];
		if (rows.length !== lastSeq || rows.some(({ seq }, index) => seq !== index + 1)) {
			found['tables not whole'].push(`${id} has ${rows.length} messages, and ${lastSeq} places`);
		}
		const given = versions.get(id) ?? [];
		if (new Set(given).size !== given.length || Math.max(0, ...given) !== version) {
			found['tables not whole'].push(`${id} has versions given twice, or past its own ${version}`);
		}
	}
	const bodies = new Set<string>();
	for (const body of [...texts.values()].flat()) {
		if (bodies.has(body)) found.doubled.push(body.slice(0, 40));
		bodies.add(body);
	}
	for (const { id, kind, body, edits } of messages.values()) {
		const isGone = kind === 'text' && body === null;
		if (isGone && !deletions.has(id)) found['written and lost'].push(`${id}: nobody deleted it`);
		if (kind === 'text' && (texts.get(id)?.length ?? 0) !== (isGone ? 0 : edits + 1)) {
			found['tables not whole'].push(`${id} has ${edits} edits and other texts`);
		}
		if (isGone && reactions.has(id)) {
			found['tables not whole'].push(`${id} is deleted and has reactions`);
		}
	}
}

/** Who was a member from when to when, as the timelines tell. */
function staysOf({ conversations, byConversation }: Tables, world: World): Map<string, Stay[]> {
	const stays = new Map<string, Stay[]>();
	const come = (id: string, person: string, from: number) => {
		const key = `${id} ${person}`;
		const list = stays.get(key) ?? [];
		stays.set(key, list);
		if (list.at(-1)?.until !== Infinity) list.push({ from, until: Infinity });
	};
	const go = (id: string, person: string, until: number) => {
		const last = stays.get(`${id} ${person}`)?.at(-1);
		if (last) last.until = until;
	};
	for (const { id, pair } of conversations.values()) {
		for (const person of pair?.split(':') ?? world.groups.get(id) ?? []) come(id, person, 0);
		for (const { notice, version, sender_id: sender } of byConversation.get(id) ?? []) {
			// The notice takes the version after those of the memberships that it tells of.
			if (notice?.type === 'added') {
				const added = notice.personIds ?? [];
				for (const person of added) come(id, person, version - added.length);
			}
			if (notice?.type === 'left') go(id, sender, version - 1);
			if (notice?.type === 'removed') go(id, notice.personId ?? '', version - 1);
		}
	}
	return stays;
}

const wasThere = (stays: Stay[] | undefined, version: number) =>
	stays?.some(({ from, until }) => from <= version && version < until) ?? false;

function checkSent(client: Device, tables: Tables, stays: Map<string, Stay[]>, found: Findings) {
	for (const { id, conversationId, body, message } of client.sent) {
		const row = tables.messages.get(id);
		if (!message) continue;
		const isWhole =
			row?.conversation_id === conversationId &&
			row.sender_id === client.personId &&
			saidFirst(tables, row, body) &&
			row.seq === message.seq &&
			row.version >= message.version;
		if (!isWhole) {
			found['acknowledged and missing'].push(`${client.name}: ${id} ${body.slice(0, 40)}`);
			// What was changed since has the version of the change.
		} else if (
			row.version === message.version &&
			!wasThere(stays.get(`${conversationId} ${client.personId}`), row.version)
		) {
			found['let in by mistake'].push(`${client.name} wrote ${id} into ${conversationId}`);
		}
	}
}

/** Of what was deleted nobody knows; that somebody did is looked at elsewhere. */
const saidFirst = ({ texts }: Tables, { id, body }: MessageRow, first: string) =>
	body === null || texts.get(id)?.[0] === first;

/**
 * What somebody wrote is there, or they know that it is not, whatever became of the page; and it is
 * there in the order of writing, since one goes after the other into a conversation.
 */
function checkWritten(client: Device, tables: Tables, found: Findings) {
	const { name, personId, written } = client;
	const last = new Map<string, number>();
	for (const { id, conversationId, body } of written) {
		const row = tables.messages.get(id);
		if (!row) {
			if (client.isGivenUp(id)) continue;
			found['written and lost'].push(`${name}: ${id} ${body.slice(0, 40)}`);
			continue;
		}
		if (row.sender_id !== personId || !saidFirst(tables, row, body)) {
			found['written and lost'].push(`${name}: ${id} became something else`);
		}
		if (!client.hasPlace(id)) continue;
		const before = last.get(conversationId) ?? 0;
		if (row.seq <= before) {
			found['out of order'].push(`${name}: ${id} has place ${row.seq} after ${before}`);
		}
		last.set(conversationId, row.seq);
	}
}

/** What else was acknowledged is there, or something newer in its place. */
function checkChanged(client: Device, tables: Tables, found: Findings) {
	const { name, personId } = client;
	const missing = found['acknowledged and missing'];
	for (const { conversationId, version, changes } of client.changed) {
		const conversation = tables.conversations.get(conversationId);
		if (!conversation || conversation.version < version) {
			missing.push(`${name}: version ${version} of ${conversationId}`);
			continue;
		}
		for (const change of changes) {
			if (change.type === 'message.changed') {
				const { id, seq } = change.message;
				if (tables.messages.get(id)?.seq !== seq) missing.push(`${name}: notice ${id}`);
			} else if (change.type === 'member.changed') {
				const { person, version: at } = change.member;
				const row = tables.members.get(`${conversationId} ${person.id}`);
				if (!row || row.version < at) missing.push(`${name}: standing of ${person.name}`);
			} else if (conversation.changed < change.conversation.changed) {
				missing.push(`${name}: name of ${conversationId}`);
			}
		}
	}
	for (const id of client.opened) {
		if (!tables.conversations.has(id)) missing.push(`${name}: conversation ${id}`);
	}
	for (const [id, seq] of client.marked) {
		const row = tables.members.get(`${id} ${personId}`);
		const end = tables.conversations.get(id)?.last_seq ?? 0;
		if ((row?.read_seq ?? 0) < Math.min(seq, end)) missing.push(`${name}: read up to ${seq}`);
	}
}

/** An edit that was acknowledged is among the texts, in its place; what was deleted has none. */
function checkEdited(client: Device, tables: Tables, stays: Map<string, Stay[]>, found: Findings) {
	const { name, personId } = client;
	const missing = found['acknowledged and missing'];
	for (const { id, conversationId, body, edit, version } of client.edited) {
		const row = tables.messages.get(id);
		if (!row || (row.body !== null && tables.texts.get(id)?.[edit] !== body)) {
			missing.push(`${name}: edit ${edit} of ${id}`);
		} else if (!wasThere(stays.get(`${conversationId} ${personId}`), version)) {
			found['let in by mistake'].push(`${name} edited ${id}`);
		}
	}
	for (const id of client.deleted) {
		if (tables.messages.get(id)?.body !== null) missing.push(`${name}: the deletion of ${id}`);
	}
}

/**
 * Each reaction is somebody's who was a member then, and what a device was told of its own last is
 * so. After a try without an answer either is right.
 */
function checkReactions(
	clients: Device[],
	{ messages, reactions }: Tables,
	stays: Map<string, Stay[]>,
	found: Findings
) {
	const keyOf = (person: string, { messageId, emoji }: Pick<Reacting, 'messageId' | 'emoji'>) =>
		`${person} ${messageId} ${emoji}`;
	const stored = new Map(
		[...reactions.values()]
			.flat()
			.map((row) => [keyOf(row.person_id, { ...row, messageId: row.message_id }), row])
	);
	const wanted = new Set<string>();
	for (const { name, personId, reacting } of clients) {
		for (const [key, tries] of Map.groupBy(reacting, (one) => keyOf(personId, one))) {
			if (tries.some(({ on }) => on)) wanted.add(key);
			const answered = tries.filter(({ outcome }) => outcome !== 'refused');
			const last = answered.at(-1);
			const isKnown = answered.every(({ outcome }) => outcome === 'acknowledged');
			if (!last || !isKnown || messages.get(last.messageId)?.body === null) continue;
			if (stored.has(key) !== last.on) {
				found['acknowledged and missing'].push(`${name}: ${last.emoji} at ${last.messageId}`);
			}
		}
	}
	for (const [key, row] of stored) {
		const { conversation_id: id, person_id: person, message_id: messageId, version } = row;
		if (!wanted.has(key)) found['tables not whole'].push(`nobody made ${key}`);
		if (messages.get(messageId)?.conversation_id !== id) {
			found['tables not whole'].push(`${key} is elsewhere`);
		}
		if (!wasThere(stays.get(`${id} ${person}`), version)) {
			found['let in by mistake'].push(`${person} reacted to ${messageId}`);
		}
	}
}

/** Changes of a conversation that one reading of them may be behind. */
const READ_BEHIND = 50;

/**
 * Whether it ends right before somebody came, and began long after they were there before. A stream
 * that is let in may hear the end of a reading that was under way: it was read before its person came,
 * and told when they were there, and could read all of it in the history. Who is told too much for
 * any other reason is so elsewhere as well: after they left, or where nobody let them in.
 */
function isJustBefore(stays: Stay[] | undefined, version: number, first: number): boolean {
	const next = stays?.find(({ from }) => from > version);
	const last = stays?.findLast(({ until }) => until <= first)?.until ?? 0;
	return next !== undefined && next.from - version <= READ_BEHIND && first - last > READ_BEHIND;
}

/**
 * Somebody who is a member now may be told what was said while they were not (they can read it in
 * the history); somebody who is not, nothing that came after.
 */
function checkHeard(client: Device, tables: Tables, stays: Map<string, Stay[]>, found: Findings) {
	const foreign = ({ conversationId, version, rows, by }: Heard) => {
		const own = stays.get(`${conversationId} ${client.personId}`);
		if (wasThere(own, version) || rows.every((row) => wasThere(own, row))) return false;
		return by !== 'stream' || !isJustBefore(own, version, Math.min(...rows));
	};
	for (const heard of client.heard) {
		// Empty ones say that there is something; that is foreign too.
		if (
			heard.rows.length === 0 &&
			wasThere(stays.get(`${heard.conversationId} ${client.personId}`), heard.version)
		)
			continue;
		if (heard.rows.length === 0 || foreign(heard)) {
			const { rows, conversationId, version, by } = heard;
			const own = stays.get(`${conversationId} ${client.personId}`) ?? [];
			const there = own.map(({ from, until }) => `${from} to ${until}`).join(', ') || 'never';
			found['heard by outsiders'].push(
				`${client.name} was told ${rows.join(', ')} of ${conversationId} up to ${version} by ${by}, there ${there}`
			);
		}
	}
	for (const id of client.followed) {
		if (!stays.has(`${id} ${client.personId}`)) {
			found['heard by outsiders'].push(`${client.name} follows ${id}`);
		}
	}
	for (const message of client.heardMessages.values()) {
		const { id, seq, version } = message;
		const row = tables.messages.get(id);
		const isStored =
			row?.seq === seq &&
			(row.version > version || (row.version === version && isAsStored(tables, row, message)));
		if (!isStored) found['heard and not stored'].push(`${client.name}: ${id}`);
	}
}

/** Every message that this device has to have is there, and all that it has are as in the table. */
function checkShown(client: Device, tables: Tables, found: Findings) {
	for (const [id, state] of client.replica.conversations) {
		const rows = tables.byConversation.get(id) ?? [];
		const ids = new Set([...state.messages.values()].map((message) => message.id));
		if (ids.size !== state.messages.size) found.doubled.push(`${client.name} shows one twice`);
		const from = client.shownFrom(state);
		for (const row of rows) {
			const shown = state.messages.get(row.seq);
			if (!shown && row.seq < from) continue;
			const same =
				shown?.id === row.id && shown.version === row.version && isAsStored(tables, row, shown);
			if (!same) found['shown differently'].push(`${client.name}: ${row.seq} of ${id}`);
		}
		for (const { person, version } of state.members.values()) {
			if (tables.members.get(`${id} ${person.id}`)?.version === version) continue;
			found['shown differently'].push(`${client.name}: standing of ${person.name} in ${id}`);
		}
	}
}

function isAsStored({ reactions }: Tables, row: MessageRow, message: MessageView): boolean {
	if (message.kind !== 'text') {
		return message.kind === (row.kind === 'notice' ? 'notice' : 'deleted') && row.body === null;
	}
	const byEmoji = Map.groupBy(reactions.get(row.id) ?? [], ({ emoji }) => emoji);
	const told = [...byEmoji].map(([emoji, rows]) => ({
		emoji,
		personIds: rows.map((reaction) => reaction.person_id)
	}));
	return (
		message.body === row.body &&
		(message.edits ?? 0) === row.edits &&
		isDeepStrictEqual(message.reactions ?? [], told)
	);
}

/** What a device shows other than one would that knows nothing and asks; undefined when it is the same. */
export function differenceFrom(fresh: Replica, replica: Replica): string | undefined {
	const [shown, told] = [view(replica), view(fresh)];
	for (const id of new Set([...told.keys(), ...shown.keys()])) {
		const [here, there] = [shown.get(id), told.get(id)];
		if (isDeepStrictEqual(here, there)) continue;
		const keys = Object.keys({ ...here, ...there }) as (keyof NonNullable<typeof here>)[];
		const differing = keys.filter((key) => !isDeepStrictEqual(here?.[key], there?.[key]));
		const values = differing.map(
			(key) => `${key} ${JSON.stringify(here?.[key])} for ${JSON.stringify(there?.[key])}`
		);
		return `${id}: ${values.join(', ').slice(0, 300)}`;
	}
	const { personVersion } = fresh;
	if (replica.personVersion === personVersion) return undefined;
	return `own version ${replica.personVersion} for ${personVersion}`;
}

const view = ({ conversations }: Replica) =>
	new Map(
		[...conversations].map(([id, state]) => [
			id,
			{
				conversation: state.conversation,
				version: state.version,
				lastSeq: state.lastSeq,
				lastMessage: state.lastMessage,
				activeAt: state.activeAt,
				peerId: state.peerId,
				role: state.role,
				readSeq: state.readSeq,
				markedUnread: state.markedUnread
			}
		])
	);
