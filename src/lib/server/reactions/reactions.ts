import { and, eq } from 'drizzle-orm';
import { AppError } from '#lib/shared/errors.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import { REACTIONS_MAX, type ReactInput } from '#lib/shared/reactions.ts';
import { changeMessage, lockMessage, takeSending } from '../messages/messages.ts';
import { wholeDelta } from '../messages/schema.ts';
import { write } from '../realtime/realtime.ts';
import type { Services } from '../services.ts';
import { reaction } from './schema.ts';

/**
 * Reacts to a message, or takes that back. What is so already is an answer. Throws `not_found` (no
 * member, no such message), `too_many_reactions` and `sending_too_fast`.
 */
export async function react(
	services: Services,
	viewerId: string,
	{ conversationId, messageId, emoji, on }: ReactInput
): Promise<ConversationDelta> {
	await takeSending(services, viewerId);
	return write(services.realtime, async (w) => {
		const row = await lockMessage(w, viewerId, conversationId, messageId);
		const reactions = row.reactions ?? [];
		const held = reactions.find((reaction) => reaction.emoji === emoji);
		if ((held?.personIds.includes(viewerId) ?? false) === on) return wholeDelta(row);
		if (!held && reactions.length >= REACTIONS_MAX) {
			throw new AppError('too_many_reactions', { max: REACTIONS_MAX });
		}
		const key = { conversationId, messageId };
		return changeMessage(w, key, async (version) => {
			if (on) {
				await w.tx.insert(reaction).values({ ...key, personId: viewerId, emoji, version });
				return;
			}
			await w.tx
				.delete(reaction)
				.where(
					and(
						eq(reaction.conversationId, conversationId),
						eq(reaction.messageId, messageId),
						eq(reaction.personId, viewerId),
						eq(reaction.emoji, emoji)
					)
				);
		});
	});
}
