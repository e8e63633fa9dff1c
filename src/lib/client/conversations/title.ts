import type { PersonView } from '#lib/shared/accounts.ts';
import type { ConversationState } from '#lib/shared/replica.ts';

/** What a conversation is called: its name, or for a direct one the other person's. */
export function conversationTitle(
	{ conversation, peerId }: Pick<ConversationState, 'conversation' | 'peerId'>,
	people: { get(id: string): PersonView | undefined }
): string {
	if (conversation.name !== null) return conversation.name;
	return (peerId && people.get(peerId)?.name) || '';
}
