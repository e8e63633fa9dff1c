/**
 * What in a text is a link. A text never becomes markup: it is cut into parts, and the parts are
 * rendered as text and as anchors. Only http and https, and only what is shown is where it goes.
 */
export type TextPart =
	{ type: 'text'; text: string } | { type: 'link'; text: string; href: string };

/**
 * A run of characters that could be an address. Not in it: white space, quotes and angle brackets,
 * and what has no look of its own or turns the direction of the line, which would let an address
 * look like another one.
 */
const CANDIDATE =
	/(?<![\p{L}\p{N}@/])(?:https?:\/\/|www\.)[^\s<>"'`\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/giu;

/** What ends a sentence rather than an address. */
const TRAILING = /[.,;:!?…*_~|\\^»”’]$/u;

const BRACKETS: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

export function linkify(text: string): TextPart[] {
	const parts: TextPart[] = [];
	let from = 0;
	for (const match of text.matchAll(CANDIDATE)) {
		const shown = withoutTrailing(match[0]);
		const href = address(shown);
		if (href === null) continue;
		if (match.index > from) parts.push({ type: 'text', text: text.slice(from, match.index) });
		parts.push({ type: 'link', text: shown, href });
		from = match.index + shown.length;
	}
	if (from < text.length) parts.push({ type: 'text', text: text.slice(from) });
	return parts;
}

/** 'see (https://example.org/a_(b)).' keeps the inner bracket and gives back the outer one. */
function withoutTrailing(run: string): string {
	let end = run.length;
	while (end > 0) {
		const last = run.charAt(end - 1);
		const opening = BRACKETS[last];
		if (opening !== undefined) {
			const kept = run.slice(0, end);
			if (count(kept, last) <= count(kept, opening)) break;
		} else if (!TRAILING.test(last)) break;
		end--;
	}
	return run.slice(0, end);
}

function count(text: string, character: string): number {
	return text.split(character).length - 1;
}

function address(shown: string): string | null {
	const withScheme = /^www\./i.test(shown) ? `https://${shown}` : shown;
	const url = URL.parse(withScheme);
	if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
	// https://bank.example@evil.example goes to evil.example and reads like the bank.
	if (url.username !== '' || url.password !== '') return null;
	if (/^www\./i.test(shown) && url.hostname.split('.').filter(Boolean).length < 3) return null;
	return url.href;
}
