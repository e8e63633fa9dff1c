/**
 * The language of the page. The root layout's `load` fetches the texts (`loadMessages`), the root
 * layout calls `provideLanguage`, and components read `useLanguage().text.signIn.title`. Only the
 * language in use is downloaded; the server has both.
 */
import { createContext } from 'svelte';
import { locales, type Locale } from '#lib/shared/locale.ts';
import type { Messages } from './en.ts';
import {
	formatAgo,
	formatDay,
	formatListTime,
	formatMoment,
	formatNumber,
	formatTime,
	type Place
} from './format.ts';
import { rememberChoice } from './cookie.ts';
import { clock } from './clock.svelte.ts';

export type { Messages } from './en.ts';

/** What an error brings with it, as far as its text wants it. */
export interface ErrorFacts {
	/** Until it may be tried again. */
	seconds?: number | undefined;
	/** The greatest length. */
	max?: number | undefined;
}

const loaders: Record<Locale, () => Promise<Messages>> = {
	en: () => import('./en.ts').then((module) => module.en),
	es: () => import('./es.ts').then((module) => module.es)
};

export const loadMessages = (locale: Locale): Promise<Messages> => loaders[locale]();

/** Names of the languages in themselves: they are the same in each. */
export const languageNames: Record<Locale, string> = { en: 'English', es: 'Español' };

export class Language {
	#locale: Locale;
	#text: Messages;
	#timeZone: string;

	constructor(locale: Locale, text: Messages, timeZone: string) {
		this.#locale = $state.raw(locale);
		this.#text = $state.raw(text);
		this.#timeZone = $state.raw(timeZone);
	}

	get locale(): Locale {
		return this.#locale;
	}

	/** All texts, by section: `language.text.composer.send`. */
	get text(): Messages {
		return this.#text;
	}

	get timeZone(): string {
		return this.#timeZone;
	}

	/** Changes the language of the page at once and remembers it. */
	async choose(locale: Locale): Promise<void> {
		this.#text = await loadMessages(locale);
		this.#locale = locale;
		document.documentElement.lang = locale;
		rememberChoice('locale', locale);
	}

	/** Once in the browser: from now on times are told where the person is, on the server too. */
	adoptTimeZone(): void {
		const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
		if (!timeZone || timeZone === this.#timeZone) return;
		this.#timeZone = timeZone;
		rememberChoice('timezone', timeZone);
	}

	/** An error's one line, by its code; a code that we do not know is `internal`. */
	error(code: string, { seconds = 30, max = 0 }: ErrorFacts = {}): string {
		const { errors } = this.#text;
		if (!Object.hasOwn(errors, code)) return errors.internal;
		const known = code as keyof typeof errors;
		if (known === 'too_long') return max > 0 ? errors.too_long(max) : errors.invalid_input;
		if (known === 'too_many_reactions') return errors[known](max);
		const text = errors[known];
		return typeof text === 'function' ? text(seconds) : text;
	}

	// Times that depend on now are `$derived`-friendly: they are told anew each minute.
	time = (at: number): string => formatTime(at, this.#place);
	day = (at: number): string => formatDay(at, clock.now, this.#place);
	listTime = (at: number): string => formatListTime(at, clock.now, this.#place);
	moment = (at: number): string => formatMoment(at, this.#place);
	ago = (at: number): string => formatAgo(at, clock.now, this.#place);
	number = (value: number): string => formatNumber(value, this.#locale);

	get #place(): Place {
		return { locale: this.#locale, timeZone: this.#timeZone };
	}
}

const [useLanguage, setLanguage] = createContext<Language>();

export { locales, useLanguage };

/**
 * Called once, by the root layout. `timeZone` is the cookie `timezone`, checked by
 * `knownTimeZone`, so that what the server wrote is what the browser first shows.
 */
export function provideLanguage(locale: Locale, text: Messages, timeZone: string): Language {
	const language = new Language(locale, text, timeZone);
	$effect(() => language.adoptTimeZone());
	return setLanguage(language);
}
