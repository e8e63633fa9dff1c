import type { Messages } from '#lib/client/i18n/index.svelte.ts';

/** What is offered at each message. */
export const QUICK_REACTIONS = ['👍', '❤️', '😂', '😮', '😢', '🙏'] as const;

/** As it is read aloud. Another one stands for itself: screen readers have names for all. */
export function reactionName(emoji: string, { reactions }: Messages): string {
	const names: Record<string, string> = reactions.names;
	return names[emoji] ?? emoji;
}
