import { browser } from '$app/env';
import { rememberedChoice } from '#lib/client/i18n/cookie.ts';
import { loadMessages } from '#lib/client/i18n/index.svelte.ts';
import { isLocale, knownTimeZone } from '#lib/shared/locale.ts';
import { knownTheme } from '#lib/shared/theme.ts';
import type { LayoutLoad } from './$types';

// On its way while the rest of the page is: nothing is drawn without it.
if (browser) {
	const { lang } = document.documentElement;
	if (isLocale(lang)) void loadMessages(lang);
}

/** The texts are code, with functions in them, so they are imported and not sent as data. */
export const load: LayoutLoad = async ({ data }) => {
	const chosen = browser ? chosenSince(data) : data;
	return { ...chosen, text: await loadMessages(chosen.locale) };
};

/** A page that the service worker kept may be older than the choices. */
function chosenSince(data: Parameters<LayoutLoad>[0]['data']): typeof data {
	const locale = rememberedChoice('locale');
	const theme = rememberedChoice('theme');
	const timeZone = rememberedChoice('timezone');
	return {
		locale: isLocale(locale) ? locale : data.locale,
		theme: theme === undefined ? data.theme : knownTheme(theme),
		timeZone: timeZone === undefined ? data.timeZone : knownTimeZone(timeZone)
	};
}
