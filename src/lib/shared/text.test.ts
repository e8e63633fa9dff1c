import { expect, test } from 'vitest';
import { characterCount, isStorable, searchable, storable } from './text.ts';

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

test('what Postgres or UTF-8 cannot keep is replaced, and nothing else is', () => {
	expect(storable('a\0b\0')).toBe('a\ufffdb\ufffd');
	expect(storable('\ud83e, \uded6, \uded6\ud83e')).toBe('\ufffd, \ufffd, \ufffd\ufffd');
	const kept = 'Ñandú\n\t\u0001 🫖 👩‍👩‍👧 \uffff';
	expect(storable(kept)).toBe(kept);
	expect(isStorable(kept)).toBe(true);
	for (const text of ['a\0b', 'a\ud83e', '\uded6b']) expect(isStorable(text)).toBe(false);
});
