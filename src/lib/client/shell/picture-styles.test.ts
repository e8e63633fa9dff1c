import { describe, expect, test } from 'vitest';
import { pictureStyles } from './picture-styles.ts';

/** Rules as a browser gives them, as far as they are looked at. */
function styled(
	selectorText: string,
	declarations: Record<string, string> = { color: 'red' }
): CSSRule {
	const text = Object.entries(declarations).map((pair) => `${pair.join(': ')};`);
	const style = Object.assign(Object.keys(declarations), {
		getPropertyValue: (name: string) => declarations[name]
	});
	const cssText = `${selectorText} { ${text.join(' ')} }`;
	return { selectorText, cssText, style } as unknown as CSSRule;
}
const grouped = (head: string, ...cssRules: CSSRule[]): CSSRule =>
	({
		cssRules,
		cssText: `${head} {\n${cssRules.map(({ cssText }) => cssText).join('\n')}\n}`
	}) as unknown as CSSRule;

const surroundings = {
	matches: (condition: string) => condition === '(width > 1px)',
	token: (name: string) => ({ '--ink': 'black', '--size': '2rem', '--empty': '' })[name] ?? ''
};
const picture = (rules: CSSRule[], ...classes: string[]) =>
	pictureStyles(rules, new Set(classes), surroundings);
const kept = (rules: CSSRule[], ...classes: string[]) => picture(rules, ...classes).css;

describe('the styles of a picture', () => {
	test('are those whose classes are all in it, in their order', () => {
		const css = kept([styled('.b'), styled('.a.b'), styled('.a .c'), styled('.a')], 'a', 'b');
		expect(css).toBe('.b { color: red; }.a.b { color: red; }.a { color: red; }');
	});

	test('are all that name no class', () => {
		expect(kept([styled(':root'), styled('#app > a[href]')])).toContain('#app > a[href]');
	});

	test('are those of which one selector may apply', () => {
		expect(kept([styled('.x, .a')], 'a')).not.toBe('');
		expect(kept([styled('.x, .y')], 'a')).toBe('');
	});

	test('are not judged by what stands in parentheses', () => {
		expect(kept([styled('.a:not(.x, :is(.y))')], 'a')).not.toBe('');
		expect(kept([styled('.a:where(.x)')], 'a')).not.toBe('');
	});

	test('stand in their groups, without empty ones and without motion', () => {
		const css = kept(
			[
				grouped('@supports (gap: 1px)', styled('.a'), styled('.x')),
				grouped('@supports (gap: 2px)', styled('.x')),
				grouped('@keyframes appear', styled('from'))
			],
			'a'
		);
		expect(css).toBe('@supports (gap: 1px) {.a { color: red; }}');
	});

	test('say what holds of the window, and that it has to hold', () => {
		const { css, media } = picture(
			[
				grouped('@media (width > 1px)', styled('.a')),
				grouped('@media (hover: none)', styled('.a', { gap: '1px' })),
				grouped('@media (pointer: coarse)', styled('.x'))
			],
			'a'
		);
		expect(css).toBe('.a { color: red; }');
		expect(media).toBe('((width > 1px)) and (not ((hover: none)))');
	});

	test('have what the tokens of the root come to, also by what holds of the window', () => {
		const { css, media, inline } = picture(
			[
				styled(':root', { '--ink': 'red', display: 'block' }),
				grouped('@media (prefers-color-scheme: dark)', styled(':root', { '--ink': 'white' })),
				styled('.a', { color: 'var(--ink)', fill: 'var(--unknown)' })
			],
			'a'
		);
		expect(css).toBe(':root { display: block; }.a { color: black; fill: var(--unknown); }');
		expect(media).toBe('(not ((prefers-color-scheme: dark)))');
		expect(inline('color: var(--ink);')).toBe('color: black;');
	});

	test('leave alone what is set anew on the way down', () => {
		const css = kept(
			[
				styled(':root', { '--size': '1rem' }),
				styled('.a', { '--size': '3rem', width: 'var(--size)' })
			],
			'a'
		);
		expect(css).toBe(':root { --size: 2rem; }.a { --size: 3rem; width: var(--size); }');
	});
});
