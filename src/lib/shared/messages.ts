import { z } from 'zod';
import { personView } from './accounts.ts';
import type { ErrorCode, ErrorDetails } from './errors.ts';
import type { ConversationDelta } from './events.ts';
import { reaction } from './reactions.ts';
import { characterCount, isStorable } from './text.ts';

/** Characters (code points) in one message. */
export const BODY_MAX = 8000;
/** Messages in one page of history. */
export const PAGE_SIZE = 50;

/** What the timeline tells of the conversation itself. */
export const notice = z.discriminatedUnion('type', [
	z.object({ type: z.literal('created'), name: z.string() }),
	z.object({ type: z.literal('added'), personIds: z.array(z.uuid()) }),
	z.object({ type: z.literal('removed'), personId: z.uuid() }),
	z.object({ type: z.literal('left') }),
	z.object({ type: z.literal('renamed'), name: z.string() })
]);
export type Notice = z.infer<typeof notice>;

const messageBase = {
	id: z.uuid(),
	conversationId: z.uuid(),
	/** Place in the conversation: 1, 2, 3 … without gaps. */
	seq: z.number().int(),
	/** Version of the conversation at which this message last changed. */
	version: z.number().int(),
	senderId: z.uuid(),
	/** Milliseconds since the epoch, by the server's clock. */
	sentAt: z.number()
};

export const messageView = z.discriminatedUnion('kind', [
	z.object({
		...messageBase,
		kind: z.literal('text'),
		body: z.string(),
		/** How often it was edited; left out when never. */
		edits: z.number().int().optional(),
		/** In the order in which they first came; left out when there is none. */
		reactions: z.array(reaction).optional()
	}),
	z.object({ ...messageBase, kind: z.literal('notice'), notice }),
	/** What is left of a message that its sender has deleted, for everyone. */
	z.object({ ...messageBase, kind: z.literal('deleted') })
]);
export type MessageView = z.infer<typeof messageView>;
export type TextMessage = Extract<MessageView, { kind: 'text' }>;

const body = z
	.string()
	.refine((body) => body.trim() !== '', 'empty')
	.refine((body) => characterCount(body) <= BODY_MAX, 'too_long')
	.refine(isStorable, 'not_storable');

export const sendInput = z.object({
	/** Made by the sender (UUIDv7) and repeated on every retry. */
	id: z.uuid(),
	conversationId: z.uuid(),
	body
});
export type SendInput = z.infer<typeof sendInput>;

/** Messages in one request at most: what has waited in an outbox goes in few of them. */
export const SEND_MANY_MAX = 50;

/** In the order in which they were written; each is looked at by itself. */
export const sendManyInput = z.array(z.unknown()).min(1).max(SEND_MANY_MAX);

/** What became of one message, in the place that it had in the request. */
export type SendOutcome =
	{ delta: ConversationDelta } | { error: ErrorDetails & { reason: ErrorCode } };

const messageKey = { id: z.uuid(), conversationId: z.uuid() };

/**
 * The edit has its number: 1 is the first. So a retry is not a second edit, and who edits what has
 * been edited meanwhile, on another device, is told (`changed_meanwhile`).
 */
export const editInput = z.object({ ...messageKey, body, edit: z.number().int().min(1) });
export type EditInput = z.infer<typeof editInput>;

export const deleteInput = z.object(messageKey);
export type DeleteInput = z.infer<typeof deleteInput>;

export const textsInput = z.object(messageKey);

/** What a message said, the first text first and the present one last. */
export const messageTexts = z.array(
	z.object({
		body: z.string(),
		/** Since when, in milliseconds since the epoch. */
		at: z.number()
	})
);
export type MessageTexts = z.infer<typeof messageTexts>;

const seq = z.number().int().min(0);

/** A page of history: before a place, after a place, around one, or (none given) the newest. */
export const pageInput = z
	.object({
		conversationId: z.uuid(),
		before: seq.optional(),
		after: seq.optional(),
		around: seq.optional(),
		limit: z.number().int().min(1).max(100).default(PAGE_SIZE)
	})
	.refine((p) => [p.before, p.after, p.around].filter((v) => v !== undefined).length <= 1);
export type PageInput = z.input<typeof pageInput>;

export const messagePage = z.object({
	/** In order of `seq`, without gaps. */
	messages: z.array(messageView),
	/** Everybody whom these messages name. */
	people: z.array(personView),
	/** Version and end of the conversation when the page was read. */
	version: z.number().int(),
	lastSeq: z.number().int()
});
export type MessagePage = z.infer<typeof messagePage>;
