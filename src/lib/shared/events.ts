/**
 * What happens, as both halves say it. Two lines of versions carry everything durable: one per
 * conversation, one per person. A delta takes a replica from `base` to `version`; the same shape
 * serves live events, sync answers and answers to own calls. A kind that is not known is skipped.
 */
import { z } from 'zod';
import { conversationView, memberView } from './conversations.ts';
import { messageView } from './messages.ts';
import { receipt } from './receipts.ts';

const version = z.number().int();

/** Rows as they are now, each with the version of its last change: applying one twice is harmless. */
export const conversationChange = z.discriminatedUnion('type', [
	z.object({ type: z.literal('message.changed'), message: messageView }),
	z.object({ type: z.literal('member.changed'), member: memberView }),
	z.object({ type: z.literal('conversation.changed'), conversation: conversationView })
]);
export type ConversationChange = z.infer<typeof conversationChange>;

export const conversationDelta = z.object({
	conversationId: z.uuid(),
	base: version,
	version,
	changes: z.array(conversationChange)
});
export type ConversationDelta = z.infer<typeof conversationDelta>;

export const personChange = z.discriminatedUnion('type', [
	z.object({
		type: z.literal('membership.changed'),
		conversationId: z.uuid(),
		readSeq: z.number().int(),
		markedUnread: z.boolean(),
		left: z.boolean()
	})
]);
export type PersonChange = z.infer<typeof personChange>;

export const personDelta = z.object({ base: version, version, changes: z.array(personChange) });
export type PersonDelta = z.infer<typeof personDelta>;

/** Everything that a stream says. */
export const streamEvent = z.discriminatedUnion('type', [
	/** The stream hears everything from now on: what came before is to be asked for (`sync.since`). */
	z.object({ type: z.literal('stream.opened') }),
	z.object({ type: z.literal('conversation.advanced'), delta: conversationDelta }),
	z.object({ type: z.literal('person.advanced'), delta: personDelta }),
	/** From this version on the stream hears this conversation too. */
	z.object({ type: z.literal('conversation.followed'), conversationId: z.uuid(), version }),
	/** Somebody at whom this browser looks (`presence.look`). It passes: no version counts it. */
	z.object({ type: z.literal('presence.changed'), personId: z.uuid(), online: z.boolean() }),
	/** How far these have received and read a conversation. It passes too. */
	z.object({
		type: z.literal('receipts.changed'),
		conversationId: z.uuid(),
		receipts: z.array(receipt)
	}),
	z.object({ type: z.literal('session.ended') }),
	/** The server is about to stop; come back after a random part of this time. */
	z.object({ type: z.literal('server.stopping'), withinMs: z.number() }),
	z.object({ type: z.literal('heartbeat') })
]);
export type StreamEvent = z.infer<typeof streamEvent>;

/** Milliseconds between heartbeats; a client that hears nothing for twice as long reconnects. */
export const HEARTBEAT_MS = 20_000;
