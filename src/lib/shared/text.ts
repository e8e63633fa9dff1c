/** Latin letters that Unicode does not take apart, as a keyboard without them writes them. */
const PLAIN: Readonly<Record<string, string>> = {
	ß: 'ss',
	æ: 'ae',
	œ: 'oe',
	ø: 'o',
	đ: 'd',
	ð: 'd',
	ħ: 'h',
	ı: 'i',
	ł: 'l',
	þ: 'th'
};

/**
 * Text as it is looked for: without accents, in lower case, white space folded. "José Ñandú" is
 * found by "jose nandu"; the same function is applied to what is stored and to what is typed.
 */
export function searchable(text: string): string {
	return text
		.normalize('NFKD')
		.replace(/\p{M}+/gu, '')
		.toLowerCase()
		.replace(/[ßæœøđðħıłþ]/g, (letter) => PLAIN[letter] ?? letter)
		.replace(/\s+/g, ' ')
		.trim();
}

/** Length as a person counts, and as Postgres does: code points, not UTF-16 units. */
export function characterCount(text: string): number {
	let count = 0;
	for (const _ of text) count++;
	return count;
}

/** Whether it can be kept as it is: Postgres has no NUL, and UTF-8 no half of a surrogate pair. */
export function isStorable(text: string): boolean {
	return !text.includes('\0') && text.isWellFormed();
}

/** As it can be kept. */
export function storable(text: string): string {
	return text.replaceAll('\0', '\uFFFD').replace(/\p{Surrogate}/gu, '\uFFFD');
}
