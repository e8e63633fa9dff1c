import { redirect } from '@sveltejs/kit';
import type { ServerOpening } from '#lib/client/session.svelte.ts';
import { openingPage } from '#lib/shared/replica.ts';
import { SHELL_HEADER } from '#lib/shared/shell.ts';
import type { LayoutServerLoad } from './$types';

/**
 * All that the first page needs. It depends on neither address nor parameters, so it runs once:
 * from then on the client knows, and moving between conversations asks the server for nothing.
 */
export const load: LayoutServerLoad = async ({ locals, params, url, untrack, request }) => {
	// The service worker keeps this one for everybody, to be filled on the device (+layout.ts).
	if (request.headers.has(SHELL_HEADER)) return { served: null };
	const { viewer } = locals;
	if (!viewer) {
		const next = untrack(() => url.pathname + url.search);
		redirect(303, `/sign-in?next=${encodeURIComponent(next)}`);
	}
	const id = untrack(() => params.id);
	const opening = await openingOf(locals.caller(), id);
	return { served: { viewer, ...opening } satisfies ServerOpening };
};

async function openingOf(
	caller: ReturnType<App.Locals['caller']>,
	id: string | undefined
): Promise<Omit<ServerOpening, 'viewer'>> {
	const bootstrap = await caller.sync.since({ conversations: {} });
	const opened = bootstrap.snapshots.find(({ conversation }) => conversation.id === id);
	if (!opened) return { bootstrap, opening: null };
	const conversationId = opened.conversation.id;
	const [page, members] = await Promise.all([
		caller.messages.page(openingPage(opened)),
		caller.conversations.members({ conversationId })
	]);
	return { bootstrap, opening: { conversationId, page, members } };
}
