import { uuidv7 } from 'uuidv7';
import type { Browser, BrowserContext, Page } from 'playwright';
import { Problem } from '../scripts/lib/problem.ts';
import { findChromium } from '../scripts/lib/chromium.ts';
import { launchBrowser } from '../tests/setup/browser.ts';
import { startServer } from '../tests/setup/server.ts';
import { withDatabase } from './lib/house.ts';
import { distribution, type Measurement } from './lib/measurement.ts';
import { fill } from './open.ts';

const RUNS = 10;
const CPU_SLOWDOWN = 4;
/** As many as the window has room for. */
const ROWS = 10;
const TARGET_MS = 300;
/** What is shown may be older than that for as long, once online. */
const BEHIND_MS = 1000;
const SETTLE_MS = 700;
/** Messages on the device after which the first visit may end. */
const ENOUGH = 300;

/**
 * From the beginning of a navigation (or the click on a row of the list) to the frame that shows the
 * list (as far as the window shows it) and the last messages of a conversation, in Chromium at a
 * quarter of this machine's speed. Cold is a browser that was never here; warm has visited before and
 * kept what it saw. It needs the
 * build (`pnpm build`).
 */
export async function measureOpeningInBrowser(): Promise<Measurement[]> {
	if (!findChromium()) throw new Problem('This benchmark needs a Chromium.');
	return withDatabase(async (databaseUrl) => {
		const server = await startServer({ databaseUrl });
		const browser = await launchBrowser();
		try {
			return await measure(browser, server.url, databaseUrl);
		} finally {
			await browser.close();
			await server.stop();
		}
	});
}

async function measure(browser: Browser, url: string, databaseUrl: string): Promise<Measurement[]> {
	const visited = await browser.newContext({ baseURL: url });
	const signedUp = await visited.request.post('/trpc/accounts.signUp', {
		headers: { origin: url },
		data: {
			name: 'Viewer',
			username: 'viewer',
			email: 'viewer@example.org',
			password: 'a long one'
		}
	});
	const { result } = (await signedUp.json()) as { result: { data: { id: string } } };
	const { conversationId } = await fill(databaseUrl, result.data.id);
	// Whoever opens the app again was last where they wrote last.
	await visited.request.post('/trpc/messages.send', {
		headers: { origin: url },
		data: { id: uuidv7(), conversationId, body: 'What was said last.' }
	});
	const path = `/c/${conversationId}`;
	const storageState = await visited.storageState();
	const other = await visitAndKeep(visited, path);

	const cold: Opening[] = [];
	const warm: Opening[] = [];
	const elsewhere: Opening[] = [];
	const click: number[] = [];
	for (let run = 0; run < RUNS; run++) {
		const fresh = await browser.newContext({ baseURL: url, storageState });
		cold.push(await open(fresh, path));
		await fresh.close();
		// Where one was last, which is `path` again after a visit to it.
		warm.push(await open(visited, path));
		elsewhere.push(await open(visited, other));
		click.push(await timeOfClick(visited, other, path));
	}
	const row = (what: string, times: number[], target?: number) =>
		distribution(times, {
			subject: 'tertulia',
			at: { what, cpu: `${CPU_SLOWDOWN} × slower` },
			...(target !== undefined && { target })
		});
	return [
		...row('first visit', shownAfter(cold)),
		...row('later visit', shownAfter(warm), TARGET_MS),
		...row('later visit, until the app is in charge', usableAfter(warm)),
		...row('later visit, until it is up to date', currentAfter(warm)),
		...row('later visit, from online to up to date', behindFor(warm), BEHIND_MS),
		...row('later visit, another conversation', shownAfter(elsewhere)),
		...row('click on a conversation that was seen', click, TARGET_MS)
	];
}

/**
 * Long enough that everything is written to the device, and the service worker is there. Returns the
 * address of another conversation of which the newest page is kept.
 */
async function visitAndKeep(context: BrowserContext, path: string): Promise<string> {
	const page = await context.newPage();
	const synced = page.waitForResponse('**/trpc/sync.since**');
	await page.goto(path);
	await synced;
	await page.locator('[role=log] article').first().waitFor();
	// `waitForFunction` would take the promise for the answer.
	await page.evaluate(async (enough) => {
		const [kept] = await indexedDB.databases();
		const request = indexedDB.open(kept?.name ?? '');
		await new Promise((resolve) => (request.onsuccess = resolve));
		const db = request.result;
		const isEnough = () =>
			new Promise<boolean>((resolve) => {
				const count = db.transaction('messages').objectStore('messages').count();
				count.onsuccess = () => resolve(count.result > enough);
			});
		while (!(await isEnough())) await new Promise(requestAnimationFrame);
		db.close();
	}, ENOUGH);
	await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
	const first = page.locator(`nav a[data-conversation-row]:not([href="${path}"])`).first();
	const other = (await first.getAttribute('href')) ?? '';
	await page.close();
	return other;
}

/** Milliseconds since the navigation. */
interface Opening {
	/** The list and the messages are on the screen. */
	shown: number;
	/** The app itself shows them, no picture of it. */
	usable: number;
	/** The answer of the first sync has been taken in. */
	current: number;
	/** From the moment in which the stream is there, and the sync is asked for, until `current`. */
	behind: number;
}

const shownAfter = (openings: Opening[]) => openings.map(({ shown }) => shown);
const usableAfter = (openings: Opening[]) => openings.map(({ usable }) => usable);
const behindFor = (openings: Opening[]) => openings.map(({ behind }) => behind);
const currentAfter = (openings: Opening[]) => openings.map(({ current }) => current);

async function open(context: BrowserContext, path: string): Promise<Opening> {
	const page = await slowPage(context);
	const synced = page.waitForResponse('**/trpc/sync.since**');
	await page.goto(path, { waitUntil: 'commit' });
	await (await synced).finished();
	const [asked, answered] = await page.evaluate(
		() =>
			new Promise<[number, number]>((done) =>
				setTimeout(() => {
					const calls = performance.getEntriesByType('resource');
					const sync = calls.find(({ name }) => name.includes('/trpc/sync.since'));
					done([sync?.startTime ?? NaN, performance.now()]);
				})
			)
	);
	const times = await shownOn(page, path);
	const current = Math.max(answered, times.usable);
	await page.close();
	return { ...times, current, behind: current - asked };
}

async function timeOfClick(context: BrowserContext, from: string, to: string): Promise<number> {
	const page = await slowPage(context);
	const synced = page.waitForResponse('**/trpc/sync.since**');
	await page.goto(from);
	await synced;
	await shownOn(page, from);
	await page.locator(`#app nav a[href="${to}"]`).waitFor();
	const began = await page.evaluate(
		(href) =>
			new Promise<number>((resolve) => {
				document.addEventListener('click', () => resolve(performance.now()), {
					capture: true,
					once: true
				});
				document.querySelector<HTMLElement>(`#app nav a[href="${href}"]`)?.click();
			}),
		to
	);
	const { usable } = await shownOn(page, to);
	await page.close();
	return usable - began;
}

type Times = Pick<Opening, 'shown' | 'usable'>;

/** An empty page that watches itself, without help from outside while it is measured. */
async function slowPage(context: BrowserContext): Promise<Page> {
	const page = await context.newPage();
	const devtools = await context.newCDPSession(page);
	await page.addInitScript((ROWS) => {
		const seen: Record<string, Partial<Times>> = {};
		Object.assign(window, { seen });
		const isThere = (within: string) =>
			document.querySelectorAll(`${within} nav [data-conversation-row]`).length >= ROWS &&
			document.querySelector(`${within} [role=log] article`) !== null;
		const look = () => {
			const times = (seen[location.pathname] ??= {});
			const shown = times.shown === undefined && isThere('body');
			const usable = times.usable === undefined && isThere('#app');
			// What comes after is out with the frame.
			setTimeout(() => {
				const now = performance.now();
				if (shown) times.shown = now;
				if (usable) times.usable = now;
			});
			requestAnimationFrame(look);
		};
		requestAnimationFrame(look);
	}, ROWS);
	// A new window has work of its own at first.
	await page.waitForTimeout(SETTLE_MS);
	await devtools.send('Emulation.setCPUThrottlingRate', { rate: CPU_SLOWDOWN });
	return page;
}

/** Milliseconds since the navigation at which the frames with the list and the messages were out. */
async function shownOn(page: Page, path: string): Promise<Times> {
	const handle = await page.waitForFunction((path) => {
		const times = (window as unknown as { seen: Record<string, Partial<Times>> }).seen[path];
		return times?.usable !== undefined && times;
	}, path);
	return (await handle.jsonValue()) as Times;
}
