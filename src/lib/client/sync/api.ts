import type { ConversationOpening, MemberList } from '#lib/shared/conversations.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type {
	DeleteInput,
	EditInput,
	MessagePage,
	MessageTexts,
	PageInput,
	SendInput,
	SendOutcome
} from '#lib/shared/messages.ts';
import type { LookAnswer, LookInput } from '#lib/shared/presence.ts';
import type { ReactInput } from '#lib/shared/reactions.ts';
import type { Receipt, ReceivedInput } from '#lib/shared/receipts.ts';
import type { SinceInput, SyncAnswer } from '#lib/shared/sync.ts';

interface Query<Input, Output> {
	query(input: Input): Promise<Output>;
}
interface Mutation<Input, Output> {
	mutate(input: Input): Promise<Output>;
}
interface InConversation {
	conversationId: string;
}

/** The procedures that the client's state lives on; `trpc.ts` is one, tests make another. */
export interface Api {
	accounts: { viewer: { query(): Promise<unknown> } };
	presence: { look: Mutation<LookInput, LookAnswer> };
	sync: { since: Mutation<SinceInput, SyncAnswer> };
	messages: {
		send: Mutation<SendInput, ConversationDelta>;
		sendMany: Mutation<SendInput[], SendOutcome[]>;
		page: Query<PageInput, MessagePage>;
		edit: Mutation<EditInput, ConversationDelta>;
		delete: Mutation<DeleteInput, ConversationDelta>;
		texts: Query<DeleteInput, MessageTexts>;
	};
	reactions: { set: Mutation<ReactInput, ConversationDelta> };
	receipts: {
		received: Mutation<ReceivedInput, unknown>;
		of: Query<InConversation, Receipt[]>;
	};
	conversations: {
		startDirect: Mutation<{ personId: string }, ConversationOpening>;
		createGroup: Mutation<{ id: string; name: string; personIds: string[] }, ConversationOpening>;
		rename: Mutation<InConversation & { name: string }, ConversationDelta>;
		addPeople: Mutation<InConversation & { personIds: string[] }, ConversationDelta>;
		removePerson: Mutation<InConversation & { personId: string }, ConversationDelta>;
		leave: Mutation<InConversation, unknown>;
		members: Query<InConversation, MemberList>;
		markRead: Mutation<InConversation & { seq: number; unread?: boolean }, unknown>;
	};
}
