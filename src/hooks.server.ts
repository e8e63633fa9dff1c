import { version } from '$app/env';
import type { RequestEvent } from '@sveltejs/kit';
import type { Handle, HandleServerError, ServerInit } from '@sveltejs/kit/hooks';
import { startApp } from '#lib/server/app.ts';
import { clientAddress, securityHeaders } from '#lib/server/platform/http.ts';
import { negotiateLocale } from '#lib/shared/locale.ts';
import { drawLastScreen, loadLater, SCREEN_ID, SCREEN_PREFIX } from '#lib/shared/last-screen.ts';
import { mendFrame } from '#lib/shared/mend-frame.ts';
import { CACHE_PREFIX, DRAFT_PREFIX, LATER, OFFLINE, SHELL_HEADER } from '#lib/shared/shell.ts';
import { knownTheme } from '#lib/shared/theme.ts';

/** Of app.html: what a page does before anything else, which only the frame has, without the mark. */
const FIRST_SCRIPT = /(<script nonce="[^"]*") data-first>\s*%first%\s*<\/script>/;
const BEGIN_FRAME = `(${mendFrame.toString()})(
	'${CACHE_PREFIX}${version}', '${OFFLINE}'
);
(${loadLater.toString()})(
	'${LATER}',
	(${drawLastScreen.toString()})('${SCREEN_PREFIX}', '${SCREEN_ID}', '${DRAFT_PREFIX}')
)`;

export const init: ServerInit = () => {
	startApp();
};

export const handle: Handle = async ({ event, resolve }) => {
	const app = startApp();
	const { env } = app.services;
	const { headers } = event.request;
	const setCookies: string[] = [];
	const { context, caller } = await app.enter({
		cookie: headers.get('cookie') ?? undefined,
		address: event.platform?.req
			? clientAddress(event.platform.req, env.TRUSTED_PROXIES)
			: event.getClientAddress(),
		userAgent: headers.get('user-agent') ?? '',
		setCookie: (cookie) => setCookies.push(cookie)
	});
	event.locals.viewer = context.session?.viewer ?? null;
	event.locals.caller = () => caller;
	event.locals.locale = negotiateLocale(
		headers.get('accept-language'),
		event.cookies.get('locale')
	);
	event.locals.theme = knownTheme(event.cookies.get('theme'));

	tellWhoIsSignedIn(event);

	const began = performance.now();
	const isFrame = headers.has(SHELL_HEADER) && event.route.id?.startsWith('/(app)') === true;
	const response = await resolve(event, {
		transformPageChunk: ({ html }) =>
			html
				.replace('%lang%', event.locals.locale)
				.replace('%theme%', event.locals.theme)
				.replace(FIRST_SCRIPT, (_, script: string) =>
					isFrame ? `${script}>${BEGIN_FRAME}</script>` : ''
				)
	});
	app.services.metrics.pages.since(began, event.route.id ?? 'none');
	for (const [name, value] of Object.entries(securityHeaders(env.ORIGIN))) {
		response.headers.set(name, value);
	}
	for (const cookie of setCookies) response.headers.append('set-cookie', cookie);
	// A page holds what only this person may see.
	if (!response.headers.has('cache-control')) {
		response.headers.set('cache-control', 'private, no-store');
	}
	return response;
};

/**
 * The session's cookie is not for script to read; this one tells the page whose data of those that
 * the device keeps it may be drawn from. It opens nothing.
 */
function tellWhoIsSignedIn({ cookies, locals, url }: RequestEvent): void {
	const id = locals.viewer?.id;
	if (id === cookies.get('person')) return;
	const options = {
		path: '/',
		httpOnly: false,
		sameSite: 'lax',
		secure: url.protocol === 'https:'
	} as const;
	if (id === undefined) cookies.delete('person', options);
	else cookies.set('person', id, { ...options, maxAge: 400 * 86_400 });
}

export const handleError: HandleServerError = ({ error, event, kind }) => {
	if (kind !== 'unknown') return;
	startApp().services.log.error({ err: error, route: event.route.id }, 'A page failed.');
};
