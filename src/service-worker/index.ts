/**
 * Opens the app from the device, with or without a network.
 *
 * It keeps, per version of the app, all of its code and the pages of the app as they are for nobody:
 * frames that the page itself fills from what lies in IndexedDB (`sync/device.ts`). It never keeps an
 * answer that holds anything of anybody, and it does not touch calls and streams.
 *
 * A new version takes over at once. Pages that are open go on with the code that they began with,
 * whose cache stays until none of them is left.
 */
import { version } from '$app/env';
import { assets, immutable } from '$app/manifest';
import { self } from '$app/service-worker';
import {
	CACHE_PREFIX,
	CHOICE_CHANGED,
	DEVICE_PREFIX,
	LATER,
	OFFLINE,
	PAGE_OPENED,
	SHELL_HEADER
} from '#lib/shared/shell.ts';

const CACHE = CACHE_PREFIX + version;
/** One for each page of the app; an address is answered with the first that fits. */
const SHELLS: [path: string, fits: RegExp][] = [
	['/chats', /^\/chats$/],
	['/settings', /^\/settings$/],
	['/c/shell', /^\/c\/[^/]+$/]
];
/** Of an answer that came long ago, these say nothing any more. */
const PASSING = ['cache-control', 'content-encoding', 'content-length', 'date', 'etag', 'vary'];

const STYLE_LINK = /<link href="([^"]+)" rel="stylesheet"[^>]*>/;

const files = new Set([...immutable, ...assets].map(({ path }) => `/${path.replace(/^\//, '')}`));

self.addEventListener('install', (event) => {
	event.waitUntil(install());
});

self.addEventListener('activate', (event) => {
	event.waitUntil(Promise.all([self.clients.claim(), forgetOldVersions()]));
});

self.addEventListener('message', (event) => {
	// Without a network the pages stay as they are; each looks at the choices for itself too.
	if (event.data === CHOICE_CHANGED) event.waitUntil(keepPages().catch(() => undefined));
	// Asked for only now, since the page that it replaced is no longer there.
	if (event.data === PAGE_OPENED) {
		event.waitUntil(
			Promise.all([
				forgetOldVersions((event.source as Client).id),
				// If the server has another version by now, that one's worker keeps its own.
				keepWhatWent().catch(() => undefined)
			])
		);
	}
});

self.addEventListener('fetch', (event) => {
	const { request } = event;
	const url = new URL(request.url);
	if (request.method !== 'GET' || url.origin !== self.location.origin) return;
	if (request.mode === 'navigate') {
		event.respondWith(openPage(request, url.pathname));
	} else if (files.has(url.pathname) || url.pathname.startsWith('/_app/immutable/')) {
		event.respondWith(fromCache(url.pathname, request));
	}
});

async function install(): Promise<void> {
	await keepAll();
	await self.skipWaiting();
}

async function keepAll(): Promise<void> {
	const cache = await caches.open(CACHE);
	await Promise.all([cache.addAll(files), keepPages()]);
}

/** A page without its code has dropped all that was kept (`shared/mend-frame.ts`). */
async function keepWhatWent(): Promise<void> {
	const [[frame] = ['']] = SHELLS;
	if (!(await kept(frame))) await keepAll();
}

async function keepPages(): Promise<void> {
	const cache = await caches.open(CACHE);
	const pages = [OFFLINE, ...SHELLS.map(([path]) => path)];
	const kept = await Promise.all(
		pages.map(async (path) => [path, await askForPage(path)] as const)
	);
	for (const [path, page] of kept) await cache.put(path, page);
}

async function askForPage(path: string): Promise<Response> {
	const answer = await fetch(path, {
		headers: { [SHELL_HEADER]: '1' },
		cache: 'no-store',
		redirect: 'error'
	});
	if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}.`);
	const html = await answer.text();
	// While a deployment is under way, another process may speak for another version.
	if (path !== OFFLINE && !html.includes(`version: ${JSON.stringify(version)}`)) {
		throw new Error(`${path} is of another version.`);
	}
	return selfContained(path, html, answer.headers);
}

/**
 * A nonce is for one answer; what is kept names its scripts by their hashes (CSP 3, §8.2). A frame
 * asks for its styles and its code only after its first frame (`shared/last-screen.ts`).
 */
async function selfContained(path: string, html: string, headers: Headers): Promise<Response> {
	const policy = headers.get('content-security-policy') ?? '';
	const kept = new Headers(headers);
	for (const name of PASSING) kept.delete(name);

	if (path !== OFFLINE) {
		html = html
			.replace(STYLE_LINK, `<link href="$1" rel="${LATER}" data-styles>`)
			.replaceAll('rel="modulepreload"', `rel="${LATER}"`);
	}
	const nonce = /'nonce-([^']+)'/.exec(policy)?.[1];
	const opening = `<script nonce="${nonce}">`;
	const scripts = html
		.split(opening)
		.slice(1)
		.map((text) => hashOf(text.slice(0, text.indexOf('</script>'))));
	kept.set(
		'content-security-policy',
		policy.replace(`'nonce-${nonce}'`, (await Promise.all(scripts)).join(' '))
	);
	return new Response(html.replaceAll(opening, '<script>'), { headers: kept });
}

const hashOf = async (text: string): Promise<string> => `'sha256-${await sha256(text)}'`;

async function sha256(text: string): Promise<string> {
	const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
	return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

async function openPage(request: Request, path: string): Promise<Response> {
	const shell = SHELLS.find(([, fits]) => fits.test(path))?.[0];
	if ((shell !== undefined || path === '/') && (await somebodyIsKnown())) {
		if (shell === undefined) return Response.redirect('/chats', 303);
		const page = await kept(shell);
		if (page) return page;
	}
	try {
		return await fetch(request);
	} catch (error) {
		const page = await kept(OFFLINE);
		if (!page) throw error;
		return page;
	}
}

/** Whether there is anything on the device that a page could be drawn from. */
async function somebodyIsKnown(): Promise<boolean> {
	try {
		const databases = await indexedDB.databases();
		return databases.some(({ name }) => name?.startsWith(DEVICE_PREFIX));
	} catch {
		return false;
	}
}

async function kept(path: string): Promise<Response | undefined> {
	return (await caches.open(CACHE)).match(path);
}

/** Whichever version it belongs to: their names differ with what is in them. */
async function fromCache(path: string, request: Request | string = path): Promise<Response> {
	return (await kept(path)) ?? (await caches.match(path)) ?? fetch(request);
}

/** As soon as no page but the one that has just been opened could still need them. */
async function forgetOldVersions(opened?: string): Promise<void> {
	const { installing, waiting } = self.registration;
	if (installing || waiting) return;
	const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
	if (pages.some(({ id }) => id !== opened)) return;
	const names = await caches.keys();
	const old = names.filter((name) => name.startsWith(CACHE_PREFIX) && name !== CACHE);
	await Promise.all(old.map((name) => caches.delete(name)));
}
