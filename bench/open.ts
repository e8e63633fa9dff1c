import { uuidv7 } from 'uuidv7';
import { Problem } from '../scripts/lib/problem.ts';
import { findChromium } from '../scripts/lib/chromium.ts';
import { startServer } from '../tests/setup/server.ts';
import { withDatabase } from './lib/house.ts';
import { distribution, type Measurement } from './lib/measurement.ts';
import { BareBrowser, type Tab, type Visitor } from './lib/tab.ts';
import { fill } from './open-server.ts';

const RUNS = 10;
/** Of what is promised. */
const LATER_VISITS = 20;
const CPU_SLOWDOWN = 4;
/** As many as the window has room for. */
const ROWS = 10;
const TARGET_MS = 300;
/** What is shown may be older than that for as long, once online. */
const BEHIND_MS = 1000;
const SETTLE_MS = 700;
/** The least page that there is, with the same headers: what a browser takes for any. */
const LEAST = '/healthz';
/** Nothing is asked of a page for so long, while it opens. */
const QUIET_MS = 2000;
/** Messages on the device after which the first visit may end. */
const ENOUGH = 300;

/**
 * From the beginning of a navigation (or the click on a row of the list) to the frame that shows the
 * list (as far as the window shows it) and the last messages of a conversation, in Chromium at a
 * quarter of this machine's speed. Cold is a browser that was never here; warm has visited before and
 * kept what it saw. It needs the build (`pnpm build`).
 */
export async function measureOpening(): Promise<Measurement[]> {
	if (!findChromium()) throw new Problem('This benchmark needs a Chromium.');
	return withDatabase(async (databaseUrl) => {
		const server = await startServer({ databaseUrl });
		const browser = await BareBrowser.launch();
		try {
			return await measure(browser, server.url, databaseUrl);
		} finally {
			await browser.close();
			await server.stop();
		}
	});
}

async function measure(
	browser: BareBrowser,
	url: string,
	databaseUrl: string
): Promise<Measurement[]> {
	const cookies = new Map<string, string>();
	const viewer = await call<{ id: string }>(url, cookies, 'accounts.signUp', {
		name: 'Viewer',
		username: 'viewer',
		email: 'viewer@example.org',
		password: 'a long one'
	});
	const { conversationId } = await fill(databaseUrl, viewer.id);
	// Whoever opens the app again was last where they wrote last.
	const body = 'What was said last.';
	await call(url, cookies, 'messages.send', { id: uuidv7(), conversationId, body });
	const path = `/c/${conversationId}`;
	const visited = await browser.visitor(url, cookies);
	const other = await visitAndKeep(visited, path);

	const cold: Opening[] = [];
	const warm: Opening[] = [];
	const elsewhere: Opening[] = [];
	const click: number[] = [];
	const least: number[] = [];
	for (let run = 0; run < RUNS; run++) {
		const fresh = await browser.visitor(url, cookies);
		cold.push(await open(fresh, path));
		await fresh.leave();
		// Where one was last, which is `path` again after a visit to it.
		for (let i = 0; i < LATER_VISITS / RUNS; i++) {
			least.push(await openLeast(visited));
			warm.push(await open(visited, path));
		}
		elsewhere.push(await open(visited, other));
		click.push(await timeOfClick(visited, other, path));
	}
	const row = (what: string, times: number[], target?: number, subject = 'tertulia') =>
		distribution(times, {
			subject,
			at: { what, cpu: `${CPU_SLOWDOWN} × slower` },
			...(target !== undefined && { target })
		});
	return [
		...row('first visit', shownAfter(cold)),
		...row('later visit', shownAfter(warm), TARGET_MS),
		...row('a page of two letters', least, undefined, 'limit'),
		...row('later visit, until the app is in charge', usableAfter(warm)),
		...row('later visit, until it is up to date', currentAfter(warm)),
		...row('later visit, from online to up to date', behindFor(warm), BEHIND_MS),
		...row('later visit, another conversation', shownAfter(elsewhere)),
		...row('click on a conversation that was seen', click, TARGET_MS)
	];
}

/** Keeps the cookies that come with the answer. */
async function call<T>(
	url: string,
	cookies: Map<string, string>,
	procedure: string,
	input: object
): Promise<T> {
	const answer = await fetch(`${url}/trpc/${procedure}`, {
		method: 'POST',
		headers: {
			origin: url,
			'content-type': 'application/json',
			cookie: [...cookies].map((pair) => pair.join('=')).join('; ')
		},
		body: JSON.stringify(input)
	});
	if (!answer.ok) throw new Error(`${procedure} was answered by ${answer.status}.`);
	for (const cookie of answer.headers.getSetCookie()) {
		const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
		cookies.set(name, value);
	}
	const { result } = (await answer.json()) as { result: { data: T } };
	return result.data;
}

/**
 * Long enough that everything is written to the device, and the service worker is there. Returns the
 * address of another conversation of which the newest page is kept.
 */
async function visitAndKeep(visitor: Visitor, path: string): Promise<string> {
	const tab = await visitor.tab(inPage(watch, ROWS));
	await tab.navigate(path);
	await openingIn(tab, path);
	await tab.evaluate(inPage(keptMessages, ENOUGH));
	const other = await tab.evaluate<string>(inPage(anotherRow, path));
	await tab.close();
	return other;
}

/** Milliseconds since the navigation. */
interface Opening {
	/** The list and the messages are on the screen. */
	shown: number;
	/** The app itself shows them, no picture of it. */
	usable: number;
	/** What the first sync answered has been drawn. */
	current: number;
	/** From the moment in which the stream is there, and the sync is asked for, until `current`. */
	behind: number;
}

const shownAfter = (openings: Opening[]) => openings.map(({ shown }) => shown);
const usableAfter = (openings: Opening[]) => openings.map(({ usable }) => usable);
const behindFor = (openings: Opening[]) => openings.map(({ behind }) => behind);
const currentAfter = (openings: Opening[]) => openings.map(({ current }) => current);

async function open(visitor: Visitor, path: string): Promise<Opening> {
	const tab = await slowTab(visitor);
	await tab.navigate(path);
	const opening = await openingIn(tab, path);
	await tab.close();
	return opening;
}

async function openLeast(visitor: Visitor): Promise<number> {
	const tab = await slowTab(visitor);
	await tab.navigate(LEAST);
	await sleep(QUIET_MS);
	const shown = await tab.evaluate<number>(inPage(shownAt, LEAST));
	await tab.close();
	return shown;
}

async function timeOfClick(visitor: Visitor, from: string, to: string): Promise<number> {
	const tab = await slowTab(visitor);
	await tab.navigate(from);
	await openingIn(tab, from);
	const began = await tab.evaluate<number>(inPage(clickOnRow, to));
	const { usable } = await openingIn(tab, to);
	await tab.close();
	return usable - began;
}

/** An empty page that will watch itself. */
async function slowTab(visitor: Visitor): Promise<Tab> {
	const tab = await visitor.tab(inPage(watch, ROWS));
	// A new window has work of its own at first.
	await sleep(SETTLE_MS);
	await tab.slowDown(CPU_SLOWDOWN);
	return tab;
}

async function openingIn(tab: Tab, path: string): Promise<Opening> {
	await sleep(QUIET_MS);
	const { shown, usable, asked, synced } = await tab.evaluate<Seen>(inPage(seenAt, path));
	const current = Math.max(synced, usable);
	return { shown, usable, current, behind: current - asked };
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A call as text, for a page: so the function may refer to nothing outside of itself. */
const inPage = <A extends string | number>(work: (argument: A) => unknown, argument: A): string =>
	`(${work.toString()})(${JSON.stringify(argument)})`;

/** What a page notes of a conversation's screen, in milliseconds since its navigation. */
interface Seen {
	shown: number;
	usable: number;
	/** When the first sync was asked for, and when what it answered had been drawn. */
	asked: number;
	synced: number;
}

/** Runs in the page, before all else. */
function watch(rows: number): void {
	const seen: Record<string, Partial<Seen>> = {};
	const sync: Partial<Pick<Seen, 'asked' | 'synced'>> = {};
	Object.assign(window, { seen, sync });
	const isThere = (within: string) =>
		document.contentType === 'text/plain' ||
		(document.querySelectorAll(`${within} nav [data-conversation-row]`).length >= rows &&
			document.querySelector(`${within} [role=log] article`) !== null);
	const look = () => {
		const times = (seen[location.pathname] ??= {});
		const shown = times.shown === undefined && isThere('body');
		const usable = times.usable === undefined && isThere('#app');
		if (shown || usable) {
			// What comes after is out with the frame.
			setTimeout(() => {
				const now = performance.now();
				if (shown) times.shown = now;
				if (usable) times.usable = now;
			});
		}
		requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
	const observer = new PerformanceObserver((list) => {
		const first = list.getEntries().find(({ name }) => name.includes('/trpc/sync.since'));
		if (!first) return;
		observer.disconnect();
		sync.asked = first.startTime;
		requestAnimationFrame(() => setTimeout(() => (sync.synced = performance.now())));
	});
	observer.observe({ type: 'resource', buffered: true });
}

/** Runs in the page. */
function seenAt(path: string): Promise<Partial<Seen>> {
	type Watched = Window & {
		seen?: Record<string, Partial<Seen> | undefined>;
		sync?: Partial<Seen>;
	};
	return new Promise((resolve) => {
		const look = () => {
			const { seen, sync } = window as Watched;
			const times = seen?.[path];
			if (times?.usable !== undefined && sync?.synced !== undefined) resolve({ ...times, ...sync });
			else setTimeout(look, 20);
		};
		look();
	});
}

/** Runs in the page. */
function shownAt(path: string): number | undefined {
	return (window as Window & { seen?: Record<string, Partial<Seen>> }).seen?.[path]?.shown;
}

/** Runs in the page: waits for so many messages on the device, and for the worker. */
async function keptMessages(enough: number): Promise<void> {
	const [kept] = await indexedDB.databases();
	const request = indexedDB.open(kept?.name ?? '');
	await new Promise((resolve) => (request.onsuccess = resolve));
	const db = request.result;
	const count = () =>
		new Promise<number>((resolve) => {
			const counting = db.transaction('messages').objectStore('messages').count();
			counting.onsuccess = () => resolve(counting.result);
		});
	while ((await count()) <= enough) await new Promise(requestAnimationFrame);
	db.close();
	while (!navigator.serviceWorker.controller) await new Promise(requestAnimationFrame);
}

/** Runs in the page. */
function anotherRow(path: string): string | null | undefined {
	return document
		.querySelector(`#app nav a[data-conversation-row]:not([href="${path}"])`)
		?.getAttribute('href');
}

/** Runs in the page; returns when, in milliseconds since the navigation. */
function clickOnRow(path: string): number {
	const began = performance.now();
	document.querySelector<HTMLElement>(`#app nav a[href="${path}"]`)?.click();
	return began;
}
