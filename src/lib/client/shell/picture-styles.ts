/** Where a picture is made: what may be another there when it is looked at. */
export interface Surroundings {
	/** Whether a condition of `@media` holds. */
	matches(condition: string): boolean;
	/** What a custom property of the root comes to; empty where there is none. */
	token(name: string): string;
}

export interface PictureStyles {
	css: string;
	/** The condition of `@media` under which they say the same as the style sheet. */
	media: string;
	/** Of a `style` attribute, the same with what its tokens come to. */
	inline(style: string): string;
}

const ROOT = /^:root(\[[^\]]*\])*$/;
const TOKEN = /var\((--[\w-]+)\)/g;

/**
 * Of a style sheet what can apply to elements that have no other classes than these, in its order: so
 * it looks the same with less. What holds of `@media` where it is made is settled, and what the
 * tokens of the root come to there: for each element a browser would work these out anew. Nothing
 * in it moves.
 */
export function pictureStyles(
	rules: Iterable<CSSRule>,
	classes: ReadonlySet<string>,
	surroundings: Surroundings
): PictureStyles {
	const media = new Map<string, boolean>();
	const bare =
		rulesFor(rules, classes, (condition) => {
			const holds = surroundings.matches(condition);
			media.set(condition, holds);
			return holds;
		}) ?? '';
	// What is set anew on the way down is another thing for each element.
	const local = new Set([...bare.matchAll(/[{;]\s*(--[\w-]+)\s*:/g)].map(([, name = '']) => name));
	const inline = (css: string) =>
		css.replace(TOKEN, (use, name: string) =>
			local.has(name) ? use : surroundings.token(name) || use
		);
	const atRoot = [...local]
		.filter((name) => surroundings.token(name) !== '')
		.map((name) => `${name}: ${surroundings.token(name)};`)
		.join(' ');
	return {
		css: inline(atRoot ? `:root { ${atRoot} }${bare}` : bare),
		media: [...media]
			.map(([condition, holds]) => (holds ? `(${condition})` : `(not (${condition}))`))
			.join(' and '),
		inline
	};
}

/** Undefined where nothing in it concerns the picture. */
function rulesFor(
	rules: Iterable<CSSRule>,
	classes: ReadonlySet<string>,
	holds: (condition: string) => boolean
): string | undefined {
	let css: string | undefined;
	for (const rule of rules) {
		const own = ruleFor(rule, classes, holds);
		if (own !== undefined) css = (css ?? '') + own;
	}
	return css;
}

function ruleFor(
	rule: CSSRule,
	classes: ReadonlySet<string>,
	holds: (condition: string) => boolean
): string | undefined {
	const { cssText } = rule;
	if ('selectorText' in rule) return styleFor(rule as CSSStyleRule, classes);
	if (!('cssRules' in rule)) return cssText;
	if (cssText.startsWith('@keyframes')) return undefined;
	const inner = rulesFor(rule.cssRules as CSSRuleList, classes, holds);
	if (inner === undefined) return undefined;
	const head = cssText.slice(0, cssText.indexOf('{')).trim();
	const condition = /^@media\s+(.*)$/.exec(head)?.[1];
	if (condition === undefined) return `${head} {${inner}}`;
	return holds(condition) ? inner : '';
}

/** The tokens of the root are not in it: they stand where they are used. */
function styleFor(
	{ selectorText, cssText, style }: CSSStyleRule,
	classes: ReadonlySet<string>
): string | undefined {
	if (!mayApply(selectorText, classes)) return undefined;
	if (!ROOT.test(selectorText)) return cssText;
	const declarations = [...style].filter((name) => !name.startsWith('--'));
	if (declarations.length === 0) return '';
	const own = declarations.map((name) => `${name}: ${style.getPropertyValue(name)};`);
	return `${selectorText} { ${own.join(' ')} }`;
}

/** What stands in parentheses may be an exception: it decides nothing here. */
function mayApply(selectors: string, classes: ReadonlySet<string>): boolean {
	let bare = selectors;
	for (let before = ''; before !== bare;) {
		before = bare;
		bare = bare.replace(/\([^()]*\)/g, '');
	}
	return bare
		.split(',')
		.some((selector) =>
			[...selector.matchAll(/\.([\w-]+)/g)].every(([, name]) => classes.has(name ?? ''))
		);
}
