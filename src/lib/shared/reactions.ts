import { z } from 'zod';

/** Different emoji at one message at the most. */
export const REACTIONS_MAX = 20;
/** UTF-16 units of one emoji: a family with skin tones has about 40. */
const EMOJI_MAX = 64;

/** Who reacted to a message with one emoji. */
export const reaction = z.object({
	emoji: z.string(),
	/** In the order in which they did. */
	personIds: z.array(z.uuid())
});
export type Reaction = z.infer<typeof reaction>;

/** The viewer's own reaction as it shall be, so that saying it twice is harmless. */
export const reactInput = z.object({
	conversationId: z.uuid(),
	messageId: z.uuid(),
	emoji: z
		.string()
		.max(EMOJI_MAX)
		.regex(/^\p{RGI_Emoji}$/v),
	/** False takes it back. */
	on: z.boolean()
});
export type ReactInput = z.infer<typeof reactInput>;
