import { knownTimeZone } from '#lib/shared/locale.ts';
import type { LayoutServerLoad } from './$types';

export const load: LayoutServerLoad = ({ locals, cookies }) => ({
	locale: locals.locale,
	theme: locals.theme,
	timeZone: knownTimeZone(cookies.get('timezone'))
});
