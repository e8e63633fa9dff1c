import { sql } from 'drizzle-orm';
import {
	bigint,
	boolean,
	index,
	pgTable,
	text,
	timestamp,
	uniqueIndex,
	uuid
} from 'drizzle-orm/pg-core';

export const person = pgTable(
	'person',
	{
		id: uuid().primaryKey(),
		name: text().notNull(),
		/** Lower case. */
		username: text().notNull(),
		/** Lower case. */
		email: text().notNull(),
		/** Argon2id, in PHC form. */
		passwordHash: text('password_hash').notNull(),
		/** Name and username as they are looked for (`shared/text.ts`). */
		searchable: text().notNull(),
		/** The person's own line of changes: memberships, read positions. */
		version: bigint({ mode: 'number' }).notNull().default(0),
		/** Whether others are told when the person is online, and so whether these tell it. */
		showsPresence: boolean('shows_presence').notNull().default(true),
		/** Whether others are told what the person has received and read, and so whether these tell it. */
		showsReceipts: boolean('shows_receipts').notNull().default(true),
		createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow()
	},
	(t) => [
		uniqueIndex('person_username_key').on(t.username),
		uniqueIndex('person_email_key').on(t.email),
		index('person_searchable_idx').using('gin', sql`${t.searchable} gin_trgm_ops`)
	]
);

export const session = pgTable(
	'session',
	{
		/** SHA-256 of the cookie's value, in hex: who reads the table cannot sign in with it. */
		id: text().primaryKey(),
		personId: uuid('person_id')
			.notNull()
			.references(() => person.id, { onDelete: 'cascade' }),
		expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
		createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
		lastSeenAt: timestamp('last_seen_at', { withTimezone: true }).notNull().defaultNow(),
		userAgent: text('user_agent').notNull().default(''),
		address: text().notNull().default('')
	},
	(t) => [index('session_person_idx').on(t.personId), index('session_expires_idx').on(t.expiresAt)]
);
