/**
 * Light, dark, or as the system has it. The server reads the cookie `theme` and writes
 * `<html data-theme>`, so that the first paint is right; from then on this class changes it.
 */
import { createContext } from 'svelte';
import { rememberChoice } from '#lib/client/i18n/cookie.ts';
import type { Theme } from '#lib/shared/theme.ts';

export class ThemeChoice {
	#theme: Theme;

	constructor(theme: Theme) {
		this.#theme = $state.raw(theme);
	}

	get theme(): Theme {
		return this.#theme;
	}

	choose(theme: Theme): void {
		this.#theme = theme;
		document.documentElement.dataset['theme'] = theme;
		rememberChoice('theme', theme);
		this.paintBrowser();
	}

	/** Gives the browser's own frame (the bar of a phone) the colour of the page. */
	paintBrowser(): void {
		// Read only where it is wanted: it makes the browser compute all styles at once.
		const colour =
			this.#theme === 'system' ? '' : getComputedStyle(document.documentElement).backgroundColor;
		for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]')) {
			// Where the system decides, the two metas with their media queries are right as they are.
			meta.dataset['own'] ??= meta.content;
			meta.content = colour || meta.dataset['own'];
		}
	}
}

const [useTheme, setTheme] = createContext<ThemeChoice>();

export { useTheme };

/** Called once, by the root layout, with what the cookie says. */
export function provideTheme(theme: Theme): ThemeChoice {
	const choice = new ThemeChoice(theme);
	$effect(() => choice.paintBrowser());
	return setTheme(choice);
}
