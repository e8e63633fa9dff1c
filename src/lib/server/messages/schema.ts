import {
	bigint,
	jsonb,
	pgEnum,
	pgTable,
	text,
	timestamp,
	uniqueIndex,
	uuid
} from 'drizzle-orm/pg-core';
import type { MessageView, Notice } from '#lib/shared/messages.ts';
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
		body: text(),
		notice: jsonb().$type<Notice>(),
		sentAt: timestamp('sent_at', { withTimezone: true }).notNull().defaultNow()
	},
	(t) => [uniqueIndex('message_seq_key').on(t.conversationId, t.seq)]
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
}

/** Unix time in milliseconds. */
export const sentAt = (sql: Sql) =>
	sql`floor(extract(epoch from sent_at) * 1000)::float8 as sent_at`;

/** The columns of a message under the alias `m`. */
export const messageColumns = (sql: Sql) => sql`
	m.id, m.conversation_id, m.seq, m.version, m.sender_id, m.kind, m.body, m.notice,
	${sentAt(sql)}`;

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
	return { ...base, kind: 'text', body: row.body ?? '' };
}

/** Everybody whom a message names. */
export function peopleNamedIn(messages: MessageView[]): string[] {
	const ids = new Set<string>();
	for (const message of messages) {
		ids.add(message.senderId);
		if (message.kind !== 'notice') continue;
		if (message.notice.type === 'added') for (const id of message.notice.personIds) ids.add(id);
		if (message.notice.type === 'removed') ids.add(message.notice.personId);
	}
	return [...ids];
}
