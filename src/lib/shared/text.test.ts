import { expect, test } from 'vitest';
import { characterCount, searchable } from './text.ts';

test.each([
	['  José   Ñandú ', 'jose nandu'],
	['Łucja Wiśniewska', 'lucja wisniewska'],
	['Jürgen Weiß', 'jurgen weiss'],
	['Bjørn Æsir Þór', 'bjorn aesir thor'],
	['İstanbul', 'istanbul'],
	['ﬁn', 'fin'],
	['東京', '東京']
])('%s is looked for as %s', (text, expected) => {
	expect(searchable(text)).toBe(expected);
	expect(searchable(expected)).toBe(expected);
});

test('characters are counted as code points', () => {
	expect(characterCount('año 🫖')).toBe(5);
});
