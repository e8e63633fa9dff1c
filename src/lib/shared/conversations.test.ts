import { expect, test } from 'vitest';
import { CONVERSATION_NAME_MAX, createGroupInput, renameInput } from './conversations.ts';

const ID = '0198c5a2-7e3b-7cc1-9c1e-3f5a1b2c3d4e';

const accepts = (name: string) => [
	renameInput.safeParse({ conversationId: ID, name }).success,
	createGroupInput.safeParse({ id: ID, personIds: [ID], name }).success
];

test.each([
	['one letter', 'x'],
	['as much as fits', 'x'.repeat(CONVERSATION_NAME_MAX)],
	['pairs of surrogates', 'Té \ud83e\uded6']
])('%s can be the name of a group', (_, name) => {
	expect(accepts(name)).toEqual([true, true]);
});

test.each([
	['nothing', ''],
	['white space', ' \n\u00a0'],
	['one letter too many', 'x'.repeat(CONVERSATION_NAME_MAX + 1)],
	['NUL', 'a\0b'],
	['half of a pair of surrogates', 'a\ud83e']
])('%s cannot', (_, name) => {
	expect(accepts(name)).toEqual([false, false]);
});
