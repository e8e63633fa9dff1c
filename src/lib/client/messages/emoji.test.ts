import { expect, test } from 'vitest';
import { emojiOnly } from './emoji.ts';

test.each([
	['🙂', 1],
	['🎉🎉 🎉', 3],
	['👩🏽‍🚀', 1],
	['👨‍👩‍👧‍👦🇪🇸', 2],
	['❤️', 1],
	['1️⃣', 1],
	['👍🏿\n👍', 2],
	['🙂🙂🙂🙂🙂🙂', 6]
])('%s is %i emoji and nothing else', (text, count) => {
	expect(emojiOnly(text)).toBe(count);
});

test.each([
	'',
	' ',
	'a',
	'1',
	'12',
	'#',
	'🙂 ok',
	'ok 🙂',
	'🙂🙂🙂🙂🙂🙂🙂',
	'©',
	'🙂'.repeat(4000)
])('%s is a text', (text) => {
	expect(emojiOnly(text)).toBe(0);
});
