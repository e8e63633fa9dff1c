import type { ReactInput, Reaction } from './reactions.ts';

// Apart from the schemas: the client needs it, and zod stays out of its bundle.

/** The same reactions with one person's own as it shall be. */
export function withReaction(
	reactions: readonly Reaction[],
	personId: string,
	{ emoji, on }: Pick<ReactInput, 'emoji' | 'on'>
): Reaction[] {
	const held = reactions.find((reaction) => reaction.emoji === emoji);
	if ((held?.personIds.includes(personId) ?? false) === on) return [...reactions];
	if (!held) return [...reactions, { emoji, personIds: [personId] }];
	const personIds = on
		? [...held.personIds, personId]
		: held.personIds.filter((id) => id !== personId);
	return reactions.flatMap((reaction) => {
		if (reaction !== held) return reaction;
		return personIds.length > 0 ? { emoji, personIds } : [];
	});
}
