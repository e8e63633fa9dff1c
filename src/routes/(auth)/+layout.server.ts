import { redirect } from '@sveltejs/kit';
import { safeNext } from './next.ts';
import type { LayoutServerLoad } from './$types';

/** Who is signed in already has no business at the door. */
export const load: LayoutServerLoad = ({ locals, url }) => {
	if (locals.viewer) redirect(303, safeNext(url.searchParams.get('next')));
};
