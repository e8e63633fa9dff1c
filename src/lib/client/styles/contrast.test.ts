/**
 * The contrast of every pair of colours that meet on the screen, read from `tokens.css` itself and
 * computed as WCAG 2.2 does (relative luminance of sRGB; OKLCH by Björn Ottosson's matrices).
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8').replace(
	/\/\*[\s\S]*?\*\//g,
	''
);

interface Theme {
	name: string;
	scheme: 'light' | 'dark';
	highContrast: boolean;
}

const themes: Theme[] = [
	{ name: 'light', scheme: 'light', highContrast: false },
	{ name: 'dark', scheme: 'dark', highContrast: false },
	{ name: 'light, high contrast', scheme: 'light', highContrast: true },
	{ name: 'dark, high contrast', scheme: 'dark', highContrast: true }
];

const surfaces = ['canvas', 'surface', 'raised', 'floating', 'hover', 'selected', 'well'];
const hues = Array.from({ length: 10 }, (_, i) => i);

/** Text on what it is written on: 4.5:1, and 7:1 in high contrast. */
const texts: [string, string][] = [
	...surfaces.flatMap((s): [string, string][] => [
		['--color-text', `--color-${s}`],
		['--color-text-secondary', `--color-${s}`]
	]),
	...['canvas', 'surface', 'raised', 'floating', 'hover'].flatMap((s): [string, string][] => [
		['--color-accent-text', `--color-${s}`],
		['--color-link', `--color-${s}`],
		['--color-danger', `--color-${s}`],
		['--color-warning', `--color-${s}`],
		['--color-success', `--color-${s}`]
	]),
	['--color-text', '--color-bubble'],
	['--color-text-secondary', '--color-bubble'],
	['--color-link', '--color-bubble'],
	['--color-text', '--color-bubble-own'],
	['--color-link', '--color-bubble-own'],
	['--color-bubble-own-secondary', '--color-bubble-own'],
	['--color-danger', '--color-bubble-own'],
	['--color-text', '--color-selection'],
	['--color-text', '--color-accent-tint'],
	['--color-accent-text', '--color-accent-tint'],
	['--color-on-accent', '--color-accent'],
	['--color-on-accent', '--color-accent-hover'],
	['--color-on-danger', '--color-danger-fill'],
	['--color-success', '--color-success-tint'],
	['--color-warning', '--color-warning-tint'],
	['--color-danger', '--color-danger-tint'],
	['--color-text', '--color-success-tint'],
	['--color-text', '--color-warning-tint'],
	['--color-text', '--color-danger-tint'],
	// Tooltips are written in the inverse.
	['--color-surface', '--color-text'],
	...hues.map((h): [string, string] => [`--hue-${h}-ink`, `--hue-${h}-back`])
];

/** Edges of controls, marks and the focus ring: 3:1, and 4.5:1 in high contrast. */
const controls: [string, string][] = [
	...['canvas', 'surface', 'raised', 'floating'].flatMap((s): [string, string][] => [
		['--color-line-strong', `--color-${s}`],
		['--color-accent', `--color-${s}`],
		['--color-danger-fill', `--color-${s}`],
		['--color-success-fill', `--color-${s}`],
		['--color-warning-fill', `--color-${s}`]
	]),
	...surfaces.map((s): [string, string] => ['--color-focus', `--color-${s}`]),
	// The dot of who is online, on a row under the pointer and on the one that is open.
	...['hover', 'selected'].map((s): [string, string] => ['--color-success-fill', `--color-${s}`]),
	['--color-focus', '--color-bubble-own'],
	// The mark of what was read.
	['--color-accent', '--color-bubble-own']
];

describe.each(themes)('$name', (theme) => {
	const more = theme.highContrast;
	test.each(texts)('%s is readable on %s', (ink, back) => {
		// The pictures' initials repeat the name beside them: AA is enough for them in any theme.
		const needed = more && !ink.startsWith('--hue') ? 7 : 4.5;
		expect(contrast(theme, ink, back)).toBeGreaterThanOrEqual(needed);
	});
	test.each(controls)('%s stands out from %s', (mark, back) => {
		expect(contrast(theme, mark, back)).toBeGreaterThanOrEqual(more ? 4.5 : 3);
	});
});

test('the measure itself: black on white is 21, and oklch agrees with sRGB', () => {
	expect(ratio(luminance('oklch(0 0 0)'), luminance('oklch(1 0 0)'))).toBeCloseTo(21, 1);
	// The red of sRGB, #ff0000, is oklch(0.62796 0.25768 29.234); its share of white is 0.2126.
	expect(luminance('oklch(0.62796 0.25768 29.234)')).toBeCloseTo(0.2126, 3);
});

function contrast(theme: Theme, a: string, b: string): number {
	return ratio(luminance(resolve(theme, a)), luminance(resolve(theme, b)));
}

function ratio(a: number, b: number): number {
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function resolve(theme: Theme, name: string): string {
	let value = declared(theme, name);
	const reference = /^var\((--[\w-]+)\)$/.exec(value);
	if (reference?.[1]) return resolve(theme, reference[1]);
	const both = /^light-dark\((oklch\([^)]*\)), (oklch\([^)]*\))\)$/.exec(value);
	if (both) value = (theme.scheme === 'light' ? both[1] : both[2]) ?? '';
	return value;
}

function declared(theme: Theme, name: string): string {
	const at = css.indexOf('@media (prefers-contrast: more)');
	const end = css.indexOf('\n}', at);
	const ordinary = css.slice(0, at) + css.slice(end);
	const value =
		(theme.highContrast ? find(css.slice(at, end), name) : undefined) ?? find(ordinary, name);
	if (!value) throw new Error(`${name} is not in tokens.css`);
	return value;
}

function find(source: string, name: string): string | undefined {
	return new RegExp(`${name}:\\s*([^;]+);`).exec(source)?.[1]?.trim();
}

function luminance(colour: string): number {
	const parsed = /^oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)$/.exec(colour);
	if (!parsed) throw new Error(`not a plain oklch colour: ${colour}`);
	const [l = 0, c = 0, h = 0] = parsed.slice(1).map(Number);
	const a = c * Math.cos((h * Math.PI) / 180);
	const b = c * Math.sin((h * Math.PI) / 180);
	const L = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
	const M = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
	const S = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
	const rgb = [
		4.0767416621 * L - 3.3077115913 * M + 0.2309699292 * S,
		-1.2684380046 * L + 2.6097574011 * M - 0.3413193965 * S,
		-0.0041960863 * L - 0.7034186147 * M + 1.707614701 * S
	];
	// A colour outside sRGB is clipped by the screen; none of ours should be.
	for (const part of rgb)
		if (part < -0.02 || part > 1.02) throw new Error(`outside sRGB: ${colour}`);
	const [red = 0, green = 0, blue = 0] = rgb.map((part) => Math.min(1, Math.max(0, part)));
	return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
