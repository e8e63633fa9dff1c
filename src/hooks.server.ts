import type { Handle, HandleServerError, ServerInit } from '@sveltejs/kit/hooks';
import { startApp } from '#lib/server/app.ts';
import { clientAddress, securityHeaders } from '#lib/server/platform/http.ts';
import { negotiateLocale } from '#lib/shared/locale.ts';
import { knownTheme } from '#lib/shared/theme.ts';

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

	const began = performance.now();
	const response = await resolve(event, {
		transformPageChunk: ({ html }) =>
			html.replace('%lang%', event.locals.locale).replace('%theme%', event.locals.theme)
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

export const handleError: HandleServerError = ({ error, event, kind }) => {
	if (kind !== 'unknown') return;
	startApp().services.log.error({ err: error, route: event.route.id }, 'A page failed.');
};
