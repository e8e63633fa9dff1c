import { z } from 'zod';

/** Conversations in one call that tells what a device has received. */
export const RECEIVED_MAX = 200;
/** Present members of a conversation past which nobody is told how far the others are. */
export const RECEIPTS_MEMBERS_MAX = 200;

const seq = z.number().int().min(0);

/** How far somebody is in a conversation; what they wrote themselves they have read anyway. */
export const receipt = z.object({
	personId: z.uuid(),
	/** Never less than `readSeq`. */
	receivedSeq: seq,
	readSeq: seq
});
export type Receipt = z.infer<typeof receipt>;

/** Up to which place this device has each of these conversations. */
export const receivedInput = z
	.array(z.tuple([z.uuid(), seq]))
	.min(1)
	.max(RECEIVED_MAX);
export type ReceivedInput = z.infer<typeof receivedInput>;

export const receiptsOfInput = z.object({ conversationId: z.uuid() });

export const showReceiptsInput = z.object({ shows: z.boolean() });
