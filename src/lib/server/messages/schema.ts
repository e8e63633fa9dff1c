import { sql as drizzleSql } from 'drizzle-orm';
import {
	bigint,
	boolean,
	index,
	integer,
	jsonb,
	pgEnum,
	pgTable,
	primaryKey,
	text,
	timestamp,
	uniqueIndex,
	uuid
} from 'drizzle-orm/pg-core';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { MessageView, Notice } from '#lib/shared/messages.ts';
import type { Reaction } from '#lib/shared/reactions.ts';
import type { Sql } from '../platform/db.ts';

export const messageKind = pgEnum('message_kind', ['text', 'notice']);

export const message = pgTable(
	'message',
	{
		/** Made by the sender: the key that makes a retry return the first try's result. */
		id: uuid().primaryKey(),
		// No foreign keys here: the writer finds conversation and sender through the membership, in
		// the same statement, and a check per row would cost more than the insert itself.
		conversationId: uuid('conversation_id').notNull(),
		seq: bigint({ mode: 'number' }).notNull(),
		/** Version of the conversation at which this message last changed. */
		version: bigint({ mode: 'number' }).notNull(),
		senderId: uuid('sender_id').notNull(),
		kind: messageKind().notNull().default('text'),
		/** Null in a notice, and in what was deleted. */
		body: text(),
		notice: jsonb().$type<Notice>(),
		sentAt: timestamp('sent_at', { withTimezone: true }).notNull().defaultNow(),
		/** Whether anything about it has changed since it was sent: text or reactions. */
		changed: boolean().notNull().default(false),
		edits: integer().notNull().default(0),
		editedAt: timestamp('edited_at', { withTimezone: true })
	},
	(t) => [
		uniqueIndex('message_seq_key').on(t.conversationId, t.seq),
		// What is new is found by its place; an insert does not pay for this one.
		index('message_changed_idx')
			.on(t.conversationId, t.version)
			.where(drizzleSql`changed`)
	]
);

/** The texts that edits have replaced. */
export const messageEdit = pgTable(
	'message_edit',
	{
		conversationId: uuid('conversation_id').notNull(),
		messageId: uuid('message_id')
			.notNull()
			.references(() => message.id, { onDelete: 'cascade' }),
		/** Of the edit that replaced this text; 1 is the first. */
		edit: integer().notNull(),
		body: text().notNull(),
		writtenAt: timestamp('written_at', { withTimezone: true }).notNull()
	},
	(t) => [primaryKey({ columns: [t.conversationId, t.messageId, t.edit] })]
);

/** A row of `message` as `messageColumns` selects it. */
export interface MessageRow {
	id: string;
	conversation_id: string;
	seq: number;
	version: number;
	sender_id: string;
	kind: 'text' | 'notice';
	body: string | null;
	notice: Notice | null;
	sent_at: number;
	edits: number;
	reactions: Reaction[] | null;
}

/** Unix time in milliseconds. */
export const sentAt = (sql: Sql) =>
	sql`floor(extract(epoch from sent_at) * 1000)::float8 as sent_at`;

/** Reactions are looked for only where something has changed, which is told by the row itself. */
const COLUMNS = `
	m.id, m.conversation_id, m.seq, m.version, m.sender_id, m.kind, m.body, m.notice, m.edits,
	floor(extract(epoch from m.sent_at) * 1000)::float8 as sent_at,
	case when m.changed then (
		select json_agg(json_build_object('emoji', r.emoji, 'personIds', r.person_ids) order by r.since)
		from (
			select x.emoji, json_agg(x.person_id order by x.version) as person_ids, min(x.version) as since
			from reaction x
			where x.conversation_id = m.conversation_id and x.message_id = m.id
			group by x.emoji
		) r
	) end as reactions`;

/** The columns of a message under the alias `m`. */
export const messageColumns = (sql: Sql) => sql.unsafe(COLUMNS);

/** The same inside a transaction. */
export const messageColumnsInside = drizzleSql.raw(COLUMNS);

export function messageView(row: MessageRow): MessageView {
	const base = {
		id: row.id,
		conversationId: row.conversation_id,
		seq: row.seq,
		version: row.version,
		senderId: row.sender_id,
		sentAt: row.sent_at
	};
	if (row.kind === 'notice' && row.notice) return { ...base, kind: 'notice', notice: row.notice };
	if (row.body === null) return { ...base, kind: 'deleted' };
	return {
		...base,
		kind: 'text',
		body: row.body,
		...(row.edits > 0 && { edits: row.edits }),
		...(row.reactions && { reactions: row.reactions })
	};
}

/** A message as it is, for whoever may know it already. */
export const wholeDelta = (row: MessageRow): ConversationDelta => ({
	conversationId: row.conversation_id,
	base: row.version - 1,
	version: row.version,
	changes: [{ type: 'message.changed', message: messageView(row) }]
});

/** Everybody whom a message names. */
export function peopleNamedIn(messages: MessageView[]): string[] {
	const ids = new Set<string>();
	for (const message of messages) {
		ids.add(message.senderId);
		if (message.kind === 'text') {
			for (const { personIds } of message.reactions ?? []) for (const id of personIds) ids.add(id);
		}
		if (message.kind !== 'notice') continue;
		if (message.notice.type === 'added') for (const id of message.notice.personIds) ids.add(id);
		if (message.notice.type === 'removed') ids.add(message.notice.personId);
	}
	return [...ids];
}
