import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { SCREEN_ID, SCREEN_PREFIX } from '#lib/shared/last-screen.ts';
import { CACHE_PREFIX } from '#lib/shared/shell.ts';
import type { Screen } from './people.ts';
import { BROKEN, eventually, test, useStage, type Stage } from './stage.ts';

/** Two people in a conversation, the first of whom has a picture of it on the device. */
async function pair(stage: Stage, name: string): Promise<[Screen, Screen]> {
	const ana = await stage.person(`${name} Ana`);
	const bruno = await stage.person(`${name} Bruno`);
	await ana.startDirect(bruno.name);
	await ana.say(...Array.from({ length: 30 }, (_, i) => `Line ${i + 1}.`));
	await ana.hasSent('Line 30.');
	await ana.page.evaluate(async () => {
		const { serviceWorker } = navigator;
		await serviceWorker.ready;
		if (serviceWorker.controller) return;
		await new Promise((resolve) => {
			serviceWorker.addEventListener('controllerchange', resolve, { once: true });
		});
	});
	await eventually(async () => {
		const databases = await ana.page.evaluate(() => indexedDB.databases());
		return databases.length;
	}).toBe(1);
	return [ana, bruno];
}

interface Drawn {
	text: string;
	title: string;
	/** Of the last message, from the top of the window. */
	top: number;
	/** Its styles, as far as they come from tokens. */
	look: string[];
	/** Whether the app had drawn anything itself. */
	byApp: boolean;
}

/**
 * What the next page shows before the app is there: it notes it as soon as the document has been
 * parsed, which is before any module can run, and then does what is asked for.
 */
async function beforeTheApp(page: Page, act: () => void = () => {}): Promise<() => Promise<Drawn>> {
	await page.addInitScript(
		`addEventListener('DOMContentLoaded', () => {
			const screen = document.getElementById('${SCREEN_ID}');
			const last = [...(screen?.querySelectorAll('article') ?? [])].at(-1);
			window.drawn = {
				look: last ? (${lookOf.toString()})(last) : [],
				text: screen?.textContent ?? '',
				title: document.title,
				top: last?.getBoundingClientRect().top ?? 0,
				byApp: document.querySelector('#app nav') !== null
			};
			(${act.toString()})();
		})`
	);
	return () => page.evaluate(() => (window as unknown as { drawn: Drawn }).drawn);
}

function lookOf(message: Element): string[] {
	return [message, ...message.querySelectorAll('div, span, time')]
		.filter((element) => !element.classList.contains('visually-hidden'))
		.map((element) => {
			const { color, backgroundColor, borderRadius, padding, fontSize } = getComputedStyle(element);
			return [color, backgroundColor, borderRadius, padding, fontSize].join(' ');
		});
}

/** The picture is kept; the database stays, nothing is in it, and this page writes no more. */
async function forgetReplica(screen: Screen): Promise<void> {
	const { page } = screen;
	await keepScreenNow(screen);
	await page.evaluate(async () => {
		const begin = Reflect.get<IDBDatabase, 'transaction'>(IDBDatabase.prototype, 'transaction');
		IDBDatabase.prototype.transaction = () => {
			throw new DOMException('No more.', 'InvalidStateError');
		};
		for (const { name } of await indexedDB.databases()) {
			const request = indexedDB.open(name ?? '');
			await new Promise<void>((resolve) => {
				request.onsuccess = () => {
					const db = request.result;
					const transaction = begin.call(db, [...db.objectStoreNames], 'readwrite');
					for (const store of db.objectStoreNames) transaction.objectStore(store).clear();
					transaction.oncomplete = () => resolve(db.close());
				};
			});
		}
	});
	await page.goto('about:blank');
}

/** A page that has gone may write its picture after the next one has looked for it. */
const keepScreenNow = ({ page }: Screen) =>
	page.evaluate(() => void dispatchEvent(new Event('pagehide')));

const keptScreens = ({ page }: Screen) =>
	page.evaluate(
		(prefix) => Object.keys(localStorage).filter((key) => key.startsWith(prefix)),
		SCREEN_PREFIX
	);

describe('the last screen', () => {
	const stage = useStage();

	test('is there before the app, where the app will have it', async () => {
		const [ana, bruno] = await pair(stage, 'Drawn');
		const drawn = await beforeTheApp(ana.page);
		await ana.page.reload();
		const { text, title, top, byApp } = await drawn();
		expect(byApp).toBe(false);
		expect(text).toContain(bruno.name);
		expect(text).toContain('Line 30.');
		// No more than the window has room for.
		expect(text).not.toContain('Line 1.');
		expect(title).toContain(bruno.name);

		await ana.isUncovered();
		await ana.sees('Line 30.');
		const place = await ana.message('Line 30.').boundingBox();
		expect(Math.abs((place?.y ?? 0) - top)).toBeLessThan(1);
		expect(await ana.row(bruno.name).count()).toBe(1);
	});

	test('looks like the app, and is not drawn in other surroundings than it was made in', async () => {
		const [ana] = await pair(stage, 'Coloured');
		const { page } = ana;
		const drawn = await beforeTheApp(page);
		await page.reload();
		const { look } = await drawn();
		await ana.isUncovered();
		await ana.sees('Line 30.');
		expect(look).toEqual(await ana.message('Line 30.').evaluate(lookOf));

		await keepScreenNow(ana);
		await page.evaluate((prefix) => {
			const key = Object.keys(localStorage).find((name) => name.startsWith(prefix)) ?? '';
			const { media, ...kept } = JSON.parse(localStorage.getItem(key) ?? '') as { media: string };
			localStorage.setItem(key, JSON.stringify({ ...kept, media: `not (${media})` }));
			// This page is about to keep another one.
			Storage.prototype.setItem = () => {};
		}, SCREEN_PREFIX);
		await page.reload();
		expect((await drawn()).text).toBe('');
		await ana.sees('Line 30.');
	});

	test('stays until the app has the messages too, wherever it has them from', async () => {
		const [ana, bruno] = await pair(stage, 'Staying');
		const { path } = ana;
		await forgetReplica(ana);
		let release = () => {};
		const released = new Promise<void>((resolve) => (release = resolve));
		await ana.page.route('**/trpc/messages.page**', async (route) => {
			await released;
			await route.continue();
		});
		await ana.page.addInitScript((id) => {
			const shown: string[] = [];
			Object.assign(window, { shown });
			const look = () => {
				const isDrawn = document.querySelector('#app [role=log]') !== null;
				if (document.getElementById(id)) shown.push('picture');
				else if (isDrawn) shown.push(`app ${document.querySelectorAll('#app article').length > 0}`);
				requestAnimationFrame(look);
			};
			requestAnimationFrame(look);
		}, SCREEN_ID);
		const asked = ana.page.waitForRequest('**/trpc/messages.page**');
		await ana.goto(path);
		await asked;
		// The app has the list, and has drawn it behind.
		await ana.page.locator('#app nav li a', { hasText: bruno.name }).waitFor({ state: 'attached' });
		const frames = () => ana.page.evaluate(() => (window as unknown as { shown: string[] }).shown);
		const before = (await frames()).length;
		await eventually(async () => (await frames()).length).toBeGreaterThan(before + 5);
		expect(new Set(await frames())).toEqual(new Set(['picture']));
		release();
		await ana.isUncovered();
		await ana.sees('Line 30.');
		await eventually(async () => new Set(await frames())).toEqual(new Set(['picture', 'app true']));

		// What is pressed does not wait.
		await forgetReplica(ana);
		await ana.page.unroute('**/trpc/messages.page**');
		await ana.page.route('**/trpc/messages.page**', () => {});
		await ana.goto(path);
		await ana.page.locator(`#${SCREEN_ID} nav .me`).click();
		await ana.page.getByRole('menuitem', { name: en.settings.signOut }).waitFor();
	});

	test('of another conversation lends its list', async () => {
		const [ana, bruno] = await pair(stage, 'Elsewhere');
		const carla = await stage.person('Elsewhere Carla');
		await ana.startDirect(carla.name);
		await ana.say('To Carla.');
		await ana.hasSent('To Carla.');
		const { path } = ana;
		await ana.open(bruno.name);
		const drawn = await beforeTheApp(ana.page);
		await ana.goto(path);
		const { text } = await drawn();
		expect(text).toContain(bruno.name);
		// Of what was said there, no more than the list says too.
		expect(text).not.toContain('Line 29.');
		await ana.sees('To Carla.');
		await ana.isUncovered();
	});

	test('takes what is written and pressed before the app is there', async () => {
		const [ana, bruno] = await pair(stage, 'Early');
		const carla = await stage.person('Early Carla');
		await ana.startDirect(carla.name);
		await ana.open(bruno.name);
		await beforeTheApp(ana.page, () => {
			const screen = document.getElementById('last-screen');
			const field = screen?.querySelector('textarea');
			if (!field) return;
			field.focus();
			field.value = 'Early bird.';
			field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
			const rows = [...(screen?.querySelectorAll<HTMLElement>('nav li a') ?? [])];
			rows.find((row) => row.textContent.includes('Early Carla'))?.click();
		});
		await ana.page.reload();
		await ana.isIn(carla.name);
		await bruno.open(ana.name);
		await bruno.sees('Early bird.');
		await ana.open(bruno.name);
		await ana.hasSent('Early bird.');
		expect(await ana.composer.inputValue()).toBe('');
	});

	test('keeps what was begun, and a menu that was asked for opens', async () => {
		const [ana] = await pair(stage, 'Begun');
		await beforeTheApp(ana.page, () => {
			const screen = document.getElementById('last-screen');
			const field = screen?.querySelector('textarea');
			if (field) field.value = 'Half a thou';
			screen?.querySelector<HTMLElement>('nav .me')?.click();
		});
		await ana.page.reload();
		await ana.page.getByRole('menuitem', { name: en.settings.signOut }).waitFor();
		expect(await ana.composer.inputValue()).toBe('Half a thou');
		await ana.page.reload();
		await eventually(() => ana.composer.inputValue()).toBe('Half a thou');
	});

	test('has chips and tombstones where the app has them, and no chip is pressed for another', async () => {
		const [ana, bruno] = await pair(stage, 'Chips');
		await bruno.open(ana.name);
		for (const line of ['Line 29.', 'Line 30.']) {
			await bruno.react(line, '👍');
			await ana.chip(line, '👍', bruno.name).waitFor();
		}
		await ana.choose('Line 28.', en.message.delete);
		await ana.page
			.getByRole('alertdialog')
			.getByRole('button', { name: en.message.delete })
			.click();
		await ana.timeline.getByText(en.message.deleted).waitFor();
		// Nothing that is pointed at, and its menu with it.
		await ana.composer.hover();
		await ana.composer.focus();
		const { path } = ana;
		const placesIn = (root: string) =>
			ana.page.locator(`${root} [role=log]`).evaluate((log) =>
				[...log.querySelectorAll('article')]
					.slice(-4)
					.flatMap((article) => [article, ...article.querySelectorAll('button, svg')])
					.flatMap((element) => {
						const { top, left, width } = element.getBoundingClientRect();
						return [top, left, width];
					})
			);

		await forgetReplica(ana);
		let release = () => {};
		const released = new Promise<void>((resolve) => (release = resolve));
		await ana.page.route('**/trpc/messages.page**', async (route) => {
			await released;
			await route.continue();
		});
		await ana.goto(path);
		const chips = ana.page.locator(`#${SCREEN_ID} article .chip`);
		await eventually(() => chips.count()).toBe(2);
		const inPicture = await placesIn(`#${SCREEN_ID}`);
		release();
		await ana.isUncovered();
		await ana.page.mouse.move(0, 0);
		const inApp = await placesIn('#app');
		expect(inApp).toHaveLength(inPicture.length);
		// Where it has scrolled to may be rounded.
		const moved = inApp.map((place, i) => Math.abs(place - inPicture[i]!));
		expect(Math.max(...moved)).toBeLessThanOrEqual(1);

		// Pressed where it is seen: there are others of the same name.
		await ana.page.unroute('**/trpc/messages.page**');
		await beforeTheApp(ana.page, () => {
			const chip = [...document.querySelectorAll('#last-screen article .chip')].at(-1);
			const { left = 0, top = 0 } = chip?.getBoundingClientRect() ?? {};
			const hit = document.elementFromPoint(left + 10, top + 10);
			if (hit instanceof HTMLElement) hit.click();
			document.documentElement.dataset['hit'] = String(hit?.closest('[data-seq]') !== null);
		});
		await ana.page.reload();
		await ana.isUncovered();
		expect(await ana.page.locator('html').getAttribute('data-hit')).toBe('true');
		await ana.say('Still one each.');
		await ana.hasSent('Still one each.');
		for (const line of ['Line 29.', 'Line 30.']) {
			expect(await ana.chip(line, '👍', bruno.name).getAttribute('aria-pressed')).toBe('false');
		}
	});

	test('lets a link lead out of the app', async () => {
		const [ana] = await pair(stage, 'Leaving');
		await ana.say('https://example.org/here');
		await ana.hasSent('https://example.org/here');
		await beforeTheApp(ana.page, () => {
			document.addEventListener('click', (event) => {
				document.documentElement.dataset['swallowed'] = String(event.defaultPrevented);
				event.preventDefault();
			});
			document.querySelector<HTMLElement>('#last-screen article a')?.click();
		});
		await ana.page.reload();
		await ana.isUncovered();
		expect(await ana.page.locator('html').getAttribute('data-swallowed')).toBe('false');
	});

	test('is of nobody after signing out, and never of somebody else', async () => {
		const [ana, bruno] = await pair(stage, 'Gone');
		ana.expectErrors(/status of 401/);
		const { path } = ana;
		await ana.page.reload();
		await ana.isUncovered();
		expect(await keptScreens(ana)).toHaveLength(1);

		// Another session has come into the browser.
		await ana.goto('about:blank');
		await ana.context.clearCookies({ name: 'person' });
		await ana.context.addCookies([
			{ name: 'person', value: '01890000-0000-7000-8000-000000000000', url: stage.url }
		]);
		const drawn = await beforeTheApp(ana.page);
		await ana.goto(path);
		expect((await drawn()).text).toBe('');
		await ana.sees('Line 30.');

		await ana.signOut();
		expect(await keptScreens(ana)).toEqual([]);
		expect(await ana.everything()).not.toContain(bruno.name);
	});
});

describe('a picture whose app does not come', () => {
	const stage = useStage();
	/** What the console says of what the device has lost. */
	const LOST = /status of 404|dynamically imported module|Loading module from/;
	const ENTRY = /\/entry\/start\./;
	/** Of the page alone: the app begins, and cannot go on. */
	const PAGE = /\/nodes\/(?![01]\.)/;
	const STYLES = /\.css$/;

	/** What the device kept is gone, and the server, at another version, does not have it either. */
	async function lose(screen: Screen, what: RegExp): Promise<void> {
		screen.expectErrors(LOST, BROKEN);
		// Nor has the browser, in a memory of its own.
		const debug = await screen.context.newCDPSession(screen.page);
		await debug.send('Network.enable');
		await debug.send('Network.setCacheDisabled', { cacheDisabled: true });
		const lost = await screen.page.evaluate(
			async ([prefix, source]) => {
				const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
				const cache = await caches.open(names[0] ?? '');
				const requests = (await cache.keys()).filter(({ url }) => new RegExp(source).test(url));
				for (const request of requests) await cache.put(request, new Response('', { status: 404 }));
				return requests.length;
			},
			[CACHE_PREFIX, what.source] as const
		);
		expect(lost).toBeGreaterThan(0);
	}

	/** It is typed as soon as there is a picture to type into. */
	const beginToType = ({ page }: Screen) =>
		page.addInitScript((id) => {
			addEventListener('DOMContentLoaded', () => {
				const field = document.querySelector<HTMLTextAreaElement>(`#${id} textarea`);
				if (!field || field.value !== '') return;
				field.value = 'Half a thou';
				field.dispatchEvent(new InputEvent('input', { bubbles: true }));
			});
		}, SCREEN_ID);

	const keptPaths = ({ page }: Screen) =>
		page.evaluate(async (prefix) => {
			const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
			const requests = await Promise.all(
				names.map(async (name) => (await caches.open(name)).keys())
			);
			return requests.flat().map(({ url }) => new URL(url).pathname);
		}, CACHE_PREFIX);

	/** Alive, with what was typed, and with all on the device that it needs. */
	async function hasRecovered(screen: Screen, text: string): Promise<void> {
		await screen.isUncovered();
		await screen.sees(text);
		await eventually(() => screen.composer.inputValue()).toBe('Half a thou');
		await eventually(() => keptPaths(screen)).toContain('/c/shell');
		for (const what of [ENTRY, PAGE, STYLES]) {
			await eventually(async () => (await keptPaths(screen)).some((path) => what.test(path))).toBe(
				true
			);
		}
		await screen.context.setOffline(true);
		await screen.page.reload();
		await screen.isUncovered();
		await screen.sees(text);
		await screen.context.setOffline(false);
		await screen.composer.fill('');
	}

	test('is not seen in something else that fails: the device keeps its code', async () => {
		const [ana] = await pair(stage, 'Other');
		ana.expectErrors(/Of somebody else/, BROKEN);
		await ana.page.addInitScript(() => {
			addEventListener(
				'DOMContentLoaded',
				() => void Promise.reject(new Error('Of somebody else.'))
			);
		});
		const kept = await keptPaths(ana);
		await ana.context.setOffline(true);
		await ana.page.reload();
		await ana.isUncovered();
		await ana.sees('Line 30.');
		expect(await keptPaths(ana)).toEqual(kept);
		await ana.context.setOffline(false);
	});

	test('is loaded again by the server where there is one', async () => {
		const [ana] = await pair(stage, 'Lost');
		for (const what of [ENTRY, PAGE, STYLES]) {
			await lose(ana, what);
			await beginToType(ana);
			await ana.page.reload();
			await hasRecovered(ana, 'Line 30.');
		}
	});

	test('gives way to words without a network, and comes back with it', async () => {
		const [ana] = await pair(stage, 'Nowhere');
		for (const what of [ENTRY, PAGE, STYLES]) {
			await lose(ana, what);
			await beginToType(ana);
			await ana.context.setOffline(true);
			await ana.page.reload();
			await ana.page.getByRole('heading', { name: en.errorPage.offlineTitle }).waitFor();
			expect(await ana.page.locator(`#${SCREEN_ID}`).count()).toBe(0);
			const reload = ana.page.getByRole('link', { name: en.errorPage.reload });
			await reload.click();
			await ana.page.getByRole('heading', { name: en.errorPage.offlineTitle }).waitFor();
			await ana.context.setOffline(false);
			await reload.click();
			await hasRecovered(ana, 'Line 30.');
		}
	});

	test('does not begin for ever where nothing that is kept can be dropped', async () => {
		const [ana] = await pair(stage, 'Stuck');
		await lose(ana, ENTRY);
		await beginToType(ana);
		await ana.page.addInitScript(() => {
			Cache.prototype.delete = () => Promise.reject(new DOMException('No.', 'UnknownError'));
		});
		await ana.page.reload();
		await ana.sees('Line 30.');
		await eventually(() => ana.composer.inputValue()).toBe('Half a thou');
	});
});
