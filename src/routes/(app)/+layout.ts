import { redirect } from '@sveltejs/kit';
import { browser } from '$app/env';
import { openHere } from '#lib/client/opening.ts';
import type { LayoutLoad } from './$types';

/** What the server rendered is true now; a frame that the service worker kept is filled here. */
export const load: LayoutLoad = async ({ data, params, url, untrack }) => {
	if (data.served || !browser) return { opening: data.served };
	const opening = await openHere(untrack(() => params.id));
	if (opening !== 'signed out') return { opening };
	const next = untrack(() => url.pathname + url.search);
	redirect(303, `/sign-in?next=${encodeURIComponent(next)}`);
};
