import { sql } from 'drizzle-orm';
import {
	bigint,
	boolean,
	index,
	pgEnum,
	pgTable,
	primaryKey,
	text,
	timestamp,
	uniqueIndex,
	uuid
} from 'drizzle-orm/pg-core';
import type { ConversationView, MemberView, Role } from '#lib/shared/conversations.ts';
import { person } from '../accounts/schema.ts';
import type { Sql } from '../platform/db.ts';

export const conversationKind = pgEnum('conversation_kind', ['direct', 'group', 'room']);
export const memberRole = pgEnum('member_role', ['owner', 'admin', 'moderator', 'member']);

export const conversation = pgTable(
	'conversation',
	{
		id: uuid().primaryKey(),
		kind: conversationKind().notNull(),
		name: text(),
		/** Both people's ids in order, for a direct conversation: there is one per pair. */
		pair: text(),
		/** Count of changes; every change takes the next one under this row's lock. */
		version: bigint({ mode: 'number' }).notNull().default(0),
		/** Place of the newest message. */
		lastSeq: bigint('last_seq', { mode: 'number' }).notNull().default(0),
		/** Up to it, own messages are in the members' read positions (`messages/settle.ts`). */
		settledSeq: bigint('settled_seq', { mode: 'number' }).notNull().default(0),
		/** Version at which name or settings last changed. */
		changed: bigint({ mode: 'number' }).notNull().default(0),
		createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
		activeAt: timestamp('active_at', { withTimezone: true }).notNull().defaultNow()
	},
	(t) => [uniqueIndex('conversation_pair_key').on(t.pair)]
);

export const member = pgTable(
	'member',
	{
		conversationId: uuid('conversation_id')
			.notNull()
			.references(() => conversation.id, { onDelete: 'cascade' }),
		personId: uuid('person_id')
			.notNull()
			.references(() => person.id, { onDelete: 'cascade' }),
		role: memberRole().notNull().default('member'),
		joinedAt: timestamp('joined_at', { withTimezone: true }).notNull().defaultNow(),
		/** Set when the person has left: the row stays, so that every client learns of it. */
		leftAt: timestamp('left_at', { withTimezone: true }),
		/** Version of the conversation at which this standing last changed. */
		version: bigint({ mode: 'number' }).notNull().default(0),
		/** Read up to and with this place, or an own message that is not settled yet. */
		readSeq: bigint('read_seq', { mode: 'number' }).notNull().default(0),
		/** How far some device of the person has it; or `readSeq`, where that is further. */
		receivedSeq: bigint('received_seq', { mode: 'number' }).notNull().default(0),
		/** By hand, until something is read here again; the read position stays where it is. */
		markedUnread: boolean('marked_unread').notNull().default(false),
		/** Version of the person at which membership or read position last changed. */
		personVersion: bigint('person_version', { mode: 'number' }).notNull().default(0)
	},
	(t) => [
		primaryKey({ columns: [t.conversationId, t.personId] }),
		index('member_person_idx').on(t.personId, t.personVersion),
		// Somebody's conversations from a few pages, however scattered their rows are.
		index('member_of_idx')
			.on(t.personId, t.conversationId)
			.where(sql`left_at is null`)
	]
);

/** A row of `conversation` as `conversationColumns` selects it. */
export interface ConversationRow {
	id: string;
	kind: ConversationView['kind'];
	name: string | null;
	version: number;
	last_seq: number;
	settled_seq: number;
	changed: number;
	created_at: number;
	active_at: number;
}

/** The columns of a conversation under the alias `c`. */
export const conversationColumns = (sql: Sql) => sql`
	c.id, c.kind, c.name, c.version, c.last_seq, c.settled_seq, c.changed,
	floor(extract(epoch from c.created_at) * 1000)::float8 as created_at,
	floor(extract(epoch from c.active_at) * 1000)::float8 as active_at`;

/**
 * The conversation of one membership, looked up by its key. `offset 0` keeps Postgres from reading
 * all conversations for the few hundred of a person: in one sync of 5,000 people that was nearly all
 * of its work (60,000 rows read for each of them).
 */
export const conversationOf = (sql: Sql, membership: 'm' | 'v') => sql`(
	select * from conversation x where x.id = ${sql(membership)}.conversation_id offset 0
)`;

export const conversationView = (row: ConversationRow): ConversationView => ({
	id: row.id,
	kind: row.kind,
	name: row.name,
	createdAt: row.created_at,
	changed: row.changed
});

/** A row of `member` with its person as `memberColumns` selects it. */
export interface MemberRow {
	conversation_id: string;
	person_id: string;
	name: string;
	username: string;
	role: Role;
	gone: boolean;
	version: number;
}

/** The columns of a member under the aliases `m` (member) and `p` (person). */
export const memberColumns = (sql: Sql) => sql`
	m.conversation_id, m.person_id, p.name, p.username, m.role, m.left_at is not null as gone,
	m.version`;

export const memberView = (row: MemberRow): MemberView => ({
	person: { id: row.person_id, name: row.name, username: row.username },
	role: row.role,
	left: row.gone,
	version: row.version
});
