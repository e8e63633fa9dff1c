import { loadMessages } from '#lib/client/i18n/index.svelte.ts';
import type { LayoutLoad } from './$types';

/** The texts are code, with functions in them, so they are imported and not sent as data. */
export const load: LayoutLoad = async ({ data }) => ({
	...data,
	text: await loadMessages(data.locale)
});
