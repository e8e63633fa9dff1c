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

	const cold: number[] = [];
	const warm: number[] = [];
	const click: number[] = [];
	for (let run = 0; run < RUNS; run++) {
		const fresh = await browser.newContext({ baseURL: url, storageState });
		cold.push(await timeOf(fresh, path));
		await fresh.close();
		warm.push(await timeOf(visited, path));
		click.push(await timeOfClick(visited, path, other));
	}
	const row = (what: string, times: number[], target?: number) =>
		distribution(times, {
			subject: 'tertulia',
			at: { what, cpu: `${CPU_SLOWDOWN} × slower` },
			...(target !== undefined && { target })
		});
	return [
		...row('first visit', cold),
		...row('later visit', warm, TARGET_MS),
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
	await page.waitForFunction(async () => {
		const [kept] = await indexedDB.databases();
		if (!kept?.name) return false;
		const request = indexedDB.open(kept.name);
		return new Promise<boolean>((resolve) => {
			request.onsuccess = () => {
				const count = request.result.transaction('messages').objectStore('messages').count();
				count.onsuccess = () => {
					request.result.close();
					resolve(count.result > 300);
				};
			};
		});
	});
	await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
	const first = page.locator(`nav a[data-conversation-row]:not([href="${path}"])`).first();
	const other = (await first.getAttribute('href')) ?? '';
	await page.close();
	return other;
}

async function timeOf(context: BrowserContext, path: string): Promise<number> {
	const page = await slowPage(context);
	await page.goto(path, { waitUntil: 'commit' });
	const time = await shown(page, path);
	await page.close();
	return time;
}

async function timeOfClick(context: BrowserContext, from: string, to: string): Promise<number> {
	const page = await slowPage(context);
	const synced = page.waitForResponse('**/trpc/sync.since**');
	await page.goto(from);
	await synced;
	await page.locator(`nav a[href="${to}"]`).waitFor();
	const began = await page.evaluate(
		(href) =>
			new Promise<number>((resolve) => {
				document.addEventListener('click', () => resolve(performance.now()), {
					capture: true,
					once: true
				});
				document.querySelector<HTMLElement>(`nav a[href="${href}"]`)?.click();
			}),
		to
	);
	const time = (await shown(page, to)) - began;
	await page.close();
	return time;
}

async function slowPage(context: BrowserContext): Promise<Page> {
	const page = await context.newPage();
	const devtools = await context.newCDPSession(page);
	await devtools.send('Emulation.setCPUThrottlingRate', { rate: CPU_SLOWDOWN });
	return page;
}

/** Milliseconds since the navigation at which the frame with the list and the messages was out. */
async function shown(page: Page, path: string): Promise<number> {
	const handle = await page.waitForFunction(
		({ path, ROWS }) => {
			const isThere =
				location.pathname === path &&
				document.querySelectorAll('nav [data-conversation-row]').length >= ROWS &&
				document.querySelector('[role=log] article');
			return isThere && performance.now();
		},
		{ path, ROWS },
		{ polling: 'raf' }
	);
	return Number(await handle.jsonValue());
}
