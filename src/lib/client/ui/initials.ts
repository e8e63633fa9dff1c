/** The pictures that stand for people and groups until they have one of their own. */

export const HUES = 10;

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The first letters of the first and the last word: `Ana María Ruiz` is `AR`. */
export function initials(name: string): string {
	const words = name
		.trim()
		.split(/\s+/)
		// Brackets and quotes say nothing: `(Ana) Ruiz` is `AR`.
		.map((word) => word.replace(/^[^\p{L}\p{N}\p{Extended_Pictographic}]+/u, ''))
		.filter((word) => word !== '');
	const first = letter(words[0]);
	// An emoji fills the picture by itself, and only there does one stand for a word.
	if (/\p{Extended_Pictographic}/u.test(first)) return first;
	const others = words.slice(1).filter((word) => /^[\p{L}\p{N}]/u.test(word));
	return first + letter(others.at(-1));
}

/** 0 to 9, always the same for the same text (FNV-1a). */
export function hueOf(text: string): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) {
		hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
	}
	// The low bits of FNV differ little between ids that differ in one character.
	return ((hash ^ (hash >>> 17)) >>> 0) % HUES;
}

function letter(word = ''): string {
	for (const { segment } of graphemes.segment(word)) return segment.toLocaleUpperCase();
	return '';
}
