import { expect, test } from 'vitest';
import { BODY_MAX, sendInput } from './messages.ts';

const ID = '0198c5a2-7e3b-7cc1-9c1e-3f5a1b2c3d4e';

const accepts = (body: string) => sendInput.safeParse({ id: ID, conversationId: ID, body }).success;

test.each([
	['a letter', 'a'],
	['as many characters as fit', '🫖'.repeat(BODY_MAX)],
	['pairs of surrogates', '\ud83e\uded6'],
	['other controls', 'a\tb\nc\u0001\u001b'],
	['what is no character, and can be written', '\uffff\ufffd']
])('%s can be sent', (_, body) => {
	expect(accepts(body)).toBe(true);
});

test.each([
	['nothing', ''],
	['white space', ' \n\u00a0'],
	['one character too many', '🫖'.repeat(BODY_MAX) + '.'],
	['NUL', 'a\0b'],
	['the first half of a pair', 'a\ud83e'],
	['the second half of a pair', '\uded6b'],
	['the halves in the wrong order', '\uded6\ud83e']
])('%s cannot', (_, body) => {
	expect(accepts(body)).toBe(false);
});
