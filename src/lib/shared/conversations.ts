import { z } from 'zod';
import { personView } from './accounts.ts';
import { messageView } from './messages.ts';
import { isStorable } from './text.ts';

export const CONVERSATION_NAME_MAX = 80;
/** People who can be added in one go; a group itself has no limit. */
export const ADD_MAX = 100;

export const conversationKind = z.enum(['direct', 'group', 'room']);

export const role = z.enum(['owner', 'admin', 'moderator', 'member']);
export type Role = z.infer<typeof role>;

export const conversationView = z.object({
	id: z.uuid(),
	kind: conversationKind,
	/** Null for a direct conversation, which is called by the other person's name. */
	name: z.string().nullable(),
	createdAt: z.number(),
	/** Version at which name or settings last changed. */
	changed: z.number().int()
});
export type ConversationView = z.infer<typeof conversationView>;

export const memberView = z.object({
	person: personView,
	role,
	/** A tombstone: who has left or was removed stays known, so that every client learns of it. */
	left: z.boolean(),
	/** Version at which this standing last changed. */
	version: z.number().int()
});
export type MemberView = z.infer<typeof memberView>;

/** A conversation as one of its members finds it: enough for the list, and to catch up from. */
export const conversationSnapshot = z.object({
	conversation: conversationView,
	version: z.number().int(),
	lastSeq: z.number().int(),
	lastMessage: messageView.nullable(),
	/** Milliseconds since the epoch: order of the list. */
	activeAt: z.number(),
	/** The other person of a direct conversation. */
	peerId: z.uuid().nullable(),
	/** The viewer's own standing. */
	role,
	readSeq: z.number().int(),
	/** By hand, although it is read up to `readSeq`. */
	markedUnread: z.boolean()
});
export type ConversationSnapshot = z.infer<typeof conversationSnapshot>;

/** A snapshot with everybody that it names, as given to who has just started or opened one. */
export const conversationOpening = z.object({
	snapshot: conversationSnapshot,
	people: z.array(personView)
});
export type ConversationOpening = z.infer<typeof conversationOpening>;

export const memberList = z.object({
	version: z.number().int(),
	members: z.array(memberView)
});
export type MemberList = z.infer<typeof memberList>;

const conversationName = z
	.string()
	.trim()
	.min(1)
	.max(CONVERSATION_NAME_MAX)
	.refine(isStorable, 'not_storable');

export const startDirectInput = z.object({ personId: z.uuid() });
export const createGroupInput = z.object({
	/** Made by the client (UUIDv7), so that a retry makes no second group. */
	id: z.uuid(),
	name: conversationName,
	personIds: z.array(z.uuid()).min(1).max(ADD_MAX)
});
export const renameInput = z.object({ conversationId: z.uuid(), name: conversationName });
export const addPeopleInput = z.object({
	conversationId: z.uuid(),
	personIds: z.array(z.uuid()).min(1).max(ADD_MAX)
});
export const removePersonInput = z.object({ conversationId: z.uuid(), personId: z.uuid() });
export const conversationInput = z.object({ conversationId: z.uuid() });
export const markReadInput = z.object({
	conversationId: z.uuid(),
	/** Everything up to and with this place has been seen. */
	seq: z.number().int().min(0),
	/** Marked as unread nevertheless. */
	unread: z.boolean().default(false)
});
