import { AppError, notFound } from '#lib/shared/errors.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import {
	PAGE_SIZE,
	sendInput,
	type MessagePage,
	type PageInput,
	type SendInput,
	type SendOutcome
} from '#lib/shared/messages.ts';
import { peopleById } from '../accounts/accounts.ts';
import type { Sql } from '../platform/db.ts';
import type { Services } from '../services.ts';
import { sendLimit, takeSending } from './limits.ts';
import { messageColumns, messageView, peopleNamedIn, type MessageRow } from './schema.ts';

export { changeMessage, deleteMessage, editMessage, lockMessage, messageTexts } from './changes.ts';
export { takeSending } from './limits.ts';
export { MessageWriter } from './writer.ts';

/**
 * Sends a message as the viewer. The same id again returns the first result. Throws
 * `sending_too_fast` with the seconds to wait, `not_found` for who is no member.
 */
export async function sendMessage(
	services: Services,
	viewerId: string,
	input: SendInput
): Promise<ConversationDelta> {
	await takeSending(services, viewerId);
	return services.writer.send(input, viewerId);
}

/**
 * Sends what has waited in an outbox. Each message has its own outcome, in its place, and a bad one
 * harms no other. But none overtakes another of its conversation: where one is told to come back
 * later, so are those after it.
 */
export async function sendMessages(
	services: Services,
	viewerId: string,
	inputs: unknown[]
): Promise<SendOutcome[]> {
	const limit = sendLimit(services.env);
	const outcomes = new Array<SendOutcome>(inputs.length);
	const sending: { place: number; input: SendInput }[] = [];
	let retryAfter = 0;
	for (const [place, given] of inputs.entries()) {
		const { data: input, error } = sendInput.safeParse(given);
		if (error) {
			outcomes[place] = { error: { reason: 'invalid_input' } };
			continue;
		}
		// The one limit is for all conversations of a person.
		if (retryAfter === 0) retryAfter = await services.limits.take(limit, viewerId);
		if (retryAfter > 0) outcomes[place] = { error: { reason: 'sending_too_fast', retryAfter } };
		else sending.push({ place, input });
	}
	const written = services.writer.sendAll(
		sending.map(({ input }) => input),
		viewerId
	);
	await Promise.all(
		sending.map(async ({ place }, i) => {
			outcomes[place] = await outcomeOf(written[i]!);
		})
	);
	return outcomes;
}

async function outcomeOf(written: Promise<ConversationDelta>): Promise<SendOutcome> {
	try {
		return { delta: await written };
	} catch (error) {
		if (!(error instanceof AppError)) throw error;
		return { error: { ...error.details, reason: error.code } };
	}
}

/** A page of history for a member; for anyone else the conversation does not exist. */
export async function messagePage(
	services: Services,
	viewerId: string,
	{ conversationId, before, after, around, limit = PAGE_SIZE }: PageInput
): Promise<MessagePage> {
	const { sql, orm } = services.db;
	const standing = await standingOf(sql, viewerId, conversationId);
	const { from, to } = pageRange(standing.last_seq, { before, after, around, limit });
	// Who is removed at this very moment does not read what is said from now on.
	const end = Math.min(to, standing.last_seq);
	const rows = await sql<MessageRow[]>`
		select ${messageColumns(sql)} from message m
		where m.conversation_id = ${conversationId} and m.seq between ${from} and ${end}
		order by m.seq`;
	// Nor what is edited from now on.
	const isNewer = rows.some(({ version }) => version > standing.version);
	if (isNewer) await standingOf(sql, viewerId, conversationId);
	const messages = rows.map(messageView);
	return {
		messages,
		people: await peopleById(orm, peopleNamedIn(messages)),
		version: standing.version,
		lastSeq: standing.last_seq
	};
}

/** Where the conversation stands, for a member. */
async function standingOf(sql: Sql, viewerId: string, conversationId: string) {
	const [standing] = await sql<{ version: number; last_seq: number }[]>`
		select c.version, c.last_seq from conversation c
		join member v on v.conversation_id = c.id and v.person_id = ${viewerId} and v.left_at is null
		where c.id = ${conversationId}`;
	if (!standing) throw notFound();
	return standing;
}

/** Places are dense, so a page is a range of them and every jump costs the same. */
function pageRange(
	lastSeq: number,
	{ before, after, around, limit }: Omit<PageInput, 'conversationId'> & { limit: number }
): { from: number; to: number } {
	if (before !== undefined) return { from: Math.max(1, before - limit), to: before - 1 };
	if (after !== undefined) return { from: after + 1, to: after + limit };
	if (around !== undefined) {
		const to = Math.min(lastSeq, around + Math.floor(limit / 2));
		return { from: Math.max(1, to - limit + 1), to: Math.max(to, Math.min(lastSeq, limit)) };
	}
	return { from: Math.max(1, lastSeq - limit + 1), to: lastSeq };
}
