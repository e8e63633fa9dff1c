import { describe, expect, test } from 'vitest';
import { rulesFor } from './rules-for.ts';

/** Rules as a browser gives them, as far as they are looked at. */
const styled = (selectorText: string): CSSRule =>
	({ selectorText, cssText: `${selectorText} { color: red; }` }) as unknown as CSSRule;
const grouped = (head: string, ...cssRules: CSSRule[]): CSSRule =>
	({
		cssRules,
		cssText: `${head} {\n${cssRules.map(({ cssText }) => cssText).join('\n')}\n}`
	}) as unknown as CSSRule;

const kept = (rules: CSSRule[], ...classes: string[]) => rulesFor(rules, new Set(classes));

describe('the rules for a picture', () => {
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
				grouped('@media (width > 1px)', styled('.a'), styled('.x')),
				grouped('@media print', styled('.x')),
				grouped('@keyframes appear', styled('from'))
			],
			'a'
		);
		expect(css).toBe('@media (width > 1px) {.a { color: red; }}');
	});
});
