/**
 * Of a style sheet what can apply to elements that have no other classes than these, in its order: so
 * it looks the same with less. Nothing in it moves.
 */
export function rulesFor(rules: Iterable<CSSRule>, classes: ReadonlySet<string>): string {
	let css = '';
	for (const rule of rules) {
		if ('selectorText' in rule) {
			if (mayApply(rule.selectorText as string, classes)) css += rule.cssText;
		} else if ('cssRules' in rule) {
			const inner = isMotion(rule) ? '' : rulesFor(rule.cssRules as CSSRuleList, classes);
			if (inner) css += `${rule.cssText.slice(0, rule.cssText.indexOf('{'))}{${inner}}`;
		} else {
			css += rule.cssText;
		}
	}
	return css;
}

const isMotion = (rule: CSSRule) => rule.cssText.startsWith('@keyframes');

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
