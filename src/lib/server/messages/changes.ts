/** What becomes of a message after it was sent. All of it happens under its conversation's lock. */
import { and, eq, sql } from 'drizzle-orm';
import { AppError, notFound } from '#lib/shared/errors.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { DeleteInput, EditInput, MessageTexts } from '#lib/shared/messages.ts';
import { lockConversation } from '../conversations/conversations.ts';
import { write, type Writer } from '../realtime/realtime.ts';
import { reaction } from '../reactions/schema.ts';
import type { Services } from '../services.ts';
import { takeSending } from './limits.ts';
import {
	message,
	messageColumnsInside,
	messageEdit,
	wholeDelta,
	type MessageRow
} from './schema.ts';

/**
 * Gives a message another text; the one before is kept. The same edit again returns what the first
 * try did. Throws `not_found` (no member, no such message), `not_allowed` (somebody else's) and
 * `changed_meanwhile` (another edit has this number).
 */
export async function editMessage(
	services: Services,
	viewerId: string,
	{ conversationId, id, body, edit }: EditInput
): Promise<ConversationDelta> {
	await takeSending(services, viewerId);
	return write(services.realtime, async (w) => {
		const row = await lockMessage(w, viewerId, conversationId, id);
		if (row.sender_id !== viewerId) throw new AppError('not_allowed');
		if (row.edits >= edit) {
			if ((await textAfter(w, row, edit)) !== body) throw new AppError('changed_meanwhile');
			return wholeDelta(row);
		}
		if (row.edits < edit - 1) throw new AppError('changed_meanwhile');
		if (row.body === body) return wholeDelta(row);
		return changeMessage(w, { conversationId, messageId: id }, async () => {
			await w.tx.execute(sql`
				insert into message_edit (conversation_id, message_id, edit, body, written_at)
				select conversation_id, id, ${edit}, body, coalesce(edited_at, sent_at)
				from message where id = ${id}`);
			await w.tx
				.update(message)
				.set({ body, edits: edit, editedAt: sql`now()` })
				.where(eq(message.id, id));
		});
	});
}

/**
 * Deletes a message for everyone: its text, the earlier ones and the reactions go, and its place
 * stays. Throws as `editMessage` does; what is deleted already is an answer.
 */
export async function deleteMessage(
	services: Services,
	viewerId: string,
	{ conversationId, id }: DeleteInput
): Promise<ConversationDelta> {
	return write(services.realtime, async (w) => {
		const row = await lockMessage(w, viewerId, conversationId, id, { deleted: true });
		if (row.sender_id !== viewerId) throw new AppError('not_allowed');
		if (row.body === null) return wholeDelta(row);
		return changeMessage(w, { conversationId, messageId: id }, async () => {
			await w.tx
				.delete(messageEdit)
				.where(and(eq(messageEdit.conversationId, conversationId), eq(messageEdit.messageId, id)));
			await w.tx
				.delete(reaction)
				.where(and(eq(reaction.conversationId, conversationId), eq(reaction.messageId, id)));
			await w.tx
				.update(message)
				.set({ body: null, edits: 0, editedAt: null })
				.where(eq(message.id, id));
		});
	});
}

/** All texts of a message, for the members of its conversation. */
export async function messageTexts(
	services: Services,
	viewerId: string,
	{ conversationId, id }: DeleteInput
): Promise<MessageTexts> {
	const { sql: ask } = services.db;
	const rows = await ask<{ body: string; at: number }[]>`
		with own as (
			select m.* from message m
			join member v on v.conversation_id = m.conversation_id
				and v.person_id = ${viewerId} and v.left_at is null
			where m.id = ${id} and m.conversation_id = ${conversationId} and m.kind = 'text'
				and m.body is not null
		), texts as (
			select e.edit, e.body, e.written_at
			from own join message_edit e on e.conversation_id = own.conversation_id
				and e.message_id = own.id
			union all
			select own.edits + 1, own.body, coalesce(own.edited_at, own.sent_at) from own
		)
		select body, floor(extract(epoch from written_at) * 1000)::float8 as at
		from texts order by edit`;
	if (rows.length === 0) throw notFound();
	return [...rows];
}

/**
 * A text message of which nothing changes until the commit, for a member of its conversation; to all
 * others there is none, nor is there when it was deleted, unless that is asked for.
 */
export async function lockMessage(
	w: Writer,
	viewerId: string,
	conversationId: string,
	messageId: string,
	{ deleted = false } = {}
): Promise<MessageRow> {
	await lockConversation(w, viewerId, conversationId);
	const row = await messageRow(w, { conversationId, messageId });
	if (row?.kind !== 'text' || (row.body === null && !deleted)) throw notFound();
	return row;
}

/** Takes a version for what `change` does to the message, or to what hangs on it, and tells of it. */
export async function changeMessage(
	w: Writer,
	key: MessageKey,
	change: (version: number) => Promise<void>
): Promise<ConversationDelta> {
	const { conversationId, messageId } = key;
	const { version: base } = await w.take(conversationId, { versions: 1 });
	const version = base + 1;
	await change(version);
	await w.tx.update(message).set({ version, changed: true }).where(eq(message.id, messageId));
	const row = await messageRow(w, key);
	if (!row) throw notFound();
	const { changes } = wholeDelta(row);
	return w.conversationChanged(conversationId, base, version, changes);
}

interface MessageKey {
	conversationId: string;
	messageId: string;
}

async function messageRow(w: Writer, { conversationId, messageId }: MessageKey) {
	const [row] = await w.tx.execute<MessageRow & Record<string, unknown>>(sql`
		select ${messageColumnsInside} from message m
		where m.id = ${messageId} and m.conversation_id = ${conversationId}`);
	return row;
}

/** What the message said after that edit. */
async function textAfter(w: Writer, row: MessageRow, edit: number): Promise<string | null> {
	if (edit === row.edits) return row.body;
	const [replaced] = await w.tx
		.select({ body: messageEdit.body })
		.from(messageEdit)
		.where(
			and(
				eq(messageEdit.conversationId, row.conversation_id),
				eq(messageEdit.messageId, row.id),
				eq(messageEdit.edit, edit + 1)
			)
		);
	return replaced?.body ?? null;
}
