import { bigint, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import { message } from '../messages/schema.ts';

/** The key makes a retry safe: the same person reacts to a message with an emoji once. */
export const reaction = pgTable(
	'reaction',
	{
		conversationId: uuid('conversation_id').notNull(),
		messageId: uuid('message_id')
			.notNull()
			.references(() => message.id, { onDelete: 'cascade' }),
		personId: uuid('person_id').notNull(),
		emoji: text().notNull(),
		/** Version of the conversation that it took. */
		version: bigint({ mode: 'number' }).notNull()
	},
	(t) => [primaryKey({ columns: [t.conversationId, t.messageId, t.personId, t.emoji] })]
);
