import type { PageServerLoad } from './$types';

/** The demonstration people, where there are any: in development, on a seeded database. */
export const load: PageServerLoad = async ({ locals }) => ({
	demo: await locals.caller().accounts.demoPeople()
});
