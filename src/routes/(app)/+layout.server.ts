import { redirect } from '@sveltejs/kit';
import { openingPage } from '#lib/shared/replica.ts';
import type { LayoutServerLoad } from './$types';

/**
 * All that the first page needs. It depends on neither address nor parameters, so it runs once:
 * from then on the client knows, and moving between conversations asks the server for nothing.
 */
export const load: LayoutServerLoad = async ({ locals, params, url, untrack }) => {
	const { viewer } = locals;
	if (!viewer) {
		const next = untrack(() => url.pathname + url.search);
		redirect(303, `/sign-in?next=${encodeURIComponent(next)}`);
	}
	const caller = locals.caller();
	const bootstrap = await caller.sync.since({ conversations: {} });

	const id = untrack(() => params.id);
	const opened = bootstrap.snapshots.find(({ conversation }) => conversation.id === id);
	if (!opened) return { viewer, bootstrap, opening: null };
	const conversationId = opened.conversation.id;
	const [page, members] = await Promise.all([
		caller.messages.page(openingPage(opened)),
		caller.conversations.members({ conversationId })
	]);
	return { viewer, bootstrap, opening: { conversationId, page, members } };
};
