const EMOJI = /^\p{RGI_Emoji}$/v;
const MOST = 6;

/**
 * How many emoji a message consists of, when it consists of nothing else and of no more than six;
 * otherwise 0. Such a message is shown large.
 */
export function emojiOnly(text: string): number {
	const bare = text.replace(/\s+/gu, '');
	// An emoji with skin tones and joiners takes up to about 40 units.
	if (bare === '' || bare.length > MOST * 40) return 0;
	let count = 0;
	for (const { segment } of segmenter().segment(bare)) {
		if (++count > MOST || !EMOJI.test(segment)) return 0;
	}
	return count;
}

let made: Intl.Segmenter | undefined;
const segmenter = () => (made ??= new Intl.Segmenter('en', { granularity: 'grapheme' }));
