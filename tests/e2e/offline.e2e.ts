import { describe, expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { es } from '#lib/client/i18n/es.ts';
import type { Screen } from './people.ts';
import { BROKEN, eventually, test, useStage, type Stage } from './stage.ts';

/** Two people in a conversation, the first of whom has all of it on the device. */
async function pair(stage: Stage, name: string): Promise<[Screen, Screen]> {
	const [ana, bruno] = await stage.pair(name);
	await ana.hasSent('Before.');
	await isReady(ana, 'Before.');
	return [ana, bruno];
}

/** The worker is in charge, and the device has the message. */
async function isReady(screen: Screen, text: string): Promise<void> {
	await workerIsInCharge(screen);
	await eventually(() => keptBodies(screen)).toContain(text);
}

async function workerIsInCharge({ page }: Screen): Promise<void> {
	await page.evaluate(async () => {
		const { serviceWorker } = navigator;
		await serviceWorker.ready;
		if (serviceWorker.controller) return;
		await new Promise((resolve) => {
			serviceWorker.addEventListener('controllerchange', resolve, { once: true });
		});
	});
}

/** What the messages say that this device has, of whomever. */
function keptBodies({ page }: Screen): Promise<string[]> {
	return page.evaluate(async () => {
		const bodies: string[] = [];
		for (const { name } of await indexedDB.databases()) {
			const request = indexedDB.open(name ?? '');
			await new Promise<void>((resolve) => {
				request.onsuccess = () => {
					const db = request.result;
					const all = db.transaction('messages').objectStore('messages').getAll();
					all.onsuccess = () => {
						for (const message of all.result as { body?: string }[])
							bodies.push(message.body ?? '');
						db.close();
						resolve();
					};
				};
			});
		}
		return bodies;
	});
}

/** Enough to keep that it takes a while. */
async function joinGroups({ sql }: Stage, { account }: Screen, count: number): Promise<void> {
	await sql`
		with made as (
			insert into conversation (id, kind, name, version, last_seq, settled_seq, changed)
			select gen_random_uuid(), 'group', 'Group ' || n, 1, 0, 0, 1
			from generate_series(1, ${count}) n
			returning id
		)
		insert into member (conversation_id, person_id, version, person_version)
		select made.id, person.id, 1, 1 from made, person where username = ${account.username}`;
}

describe('without a network', () => {
	const stage = useStage();

	test('the list and what was seen open from the device, and what is written is sent later', async () => {
		const [ana, bruno] = await pair(stage, 'Offline');
		await ana.context.setOffline(true);
		await ana.page.reload();
		await ana.isUncovered();
		await ana.isIn(bruno.name);
		await ana.row(bruno.name).waitFor();
		await ana.sees('Before.');
		await ana.page.getByText(en.connection.offline).waitFor();
		await ana.say('Written offline.');
		await ana.message('Written offline.').getByText(en.message.pending).waitFor();

		// A new tab, at the door of the app: the list, and what waits.
		const tab = await stage.anotherTab(ana);
		tab.expectErrors(BROKEN);
		await tab.goto('/');
		await tab.row(bruno.name).getByText(en.message.pending).waitFor();
		expect(tab.path).toBe('/chats');
		await tab.page.getByText(en.connection.offline).waitFor();
		await tab.open(bruno.name);
		await tab.sees('Before.', 'Written offline.');
		await tab.page.close();

		await bruno.say('Meanwhile.');
		await bruno.hasSent('Meanwhile.');
		expect(await ana.message('Meanwhile.').count()).toBe(0);
		await ana.context.setOffline(false);
		await ana.hasSent('Written offline.');
		await bruno.sees('Written offline.');
		await ana.sees('Meanwhile.');
		await ana.page.getByText(en.connection.offline).waitFor({ state: 'detached' });
		expect(await ana.said()).toEqual(['Before.', 'Meanwhile.', 'Written offline.']);
	});

	test('a first visit is enough, however short', async () => {
		const [ana, bruno] = await stage.pair('Short');
		await joinGroups(stage, ana, 300);
		const visitor = await stage.visitor('Short visit');
		visitor.expectErrors(BROKEN);
		await visitor.goto('/sign-in');
		await workerIsInCharge(visitor);
		const { username: login, password } = ana.account;
		await stage.api(visitor).accounts.signIn.mutate({ login, password });
		const synced = visitor.page.waitForResponse('**/trpc/sync.since**');
		await visitor.goto(ana.path);
		await synced;
		await visitor.page.close();
		await visitor.context.setOffline(true);
		const tab = await stage.anotherTab(visitor);
		tab.expectErrors(BROKEN);
		await tab.goto(ana.path);
		await tab.row(bruno.name).waitFor();
		await tab.sees('Before.');
	});

	test('a server that is down is no reason not to open', async () => {
		const [ana, bruno] = await pair(stage, 'Down');
		await stage.server.kill();
		await ana.page.reload();
		await ana.isUncovered();
		await ana.sees('Before.');
		await ana.page.getByText(en.connection.reconnecting).waitFor();
		await ana.say('To whom it may concern.');
		await stage.startServer();
		await ana.hasSent('To whom it may concern.');
		await bruno.sees('To whom it may concern.');
	});

	test('who has nothing on this device is told so, in their language', async () => {
		for (const [locale, text] of [
			['en-GB', en],
			['es-ES', es]
		] as const) {
			const guest = await stage.visitor(`Guest ${locale}`, { locale });
			guest.expectErrors(BROKEN);
			await guest.goto('/sign-in');
			await workerIsInCharge(guest);
			await guest.context.setOffline(true);
			for (const path of ['/chats', '/c/anything', '/sign-in?next=%2Fchats']) {
				await guest.goto(path);
				await guest.page.getByRole('heading', { name: text.errorPage.offlineTitle }).waitFor();
				expect(await guest.page.locator('html').getAttribute('lang')).toBe(locale.slice(0, 2));
			}
			await guest.context.setOffline(false);
			await guest.page.getByRole('link', { name: text.errorPage.reload }).click();
			await guest.page.getByRole('button', { name: text.signIn.submit, exact: true }).waitFor();
			expect(new URL(guest.page.url()).search).toBe('?next=%2Fchats');
		}
	});

	test('a language that is chosen is the one in which the app opens', async () => {
		const [ana, bruno] = await pair(stage, 'Chosen');
		await ana.goto('/settings');
		await ana.page.getByRole('radio', { name: 'Español' }).check({ force: true });
		await ana.page.getByRole('heading', { name: es.settings.title, level: 1 }).waitFor();
		await ana.context.setOffline(true);
		await ana.page.reload();
		await ana.isUncovered();
		await ana.page.getByRole('heading', { name: es.settings.title, level: 1 }).waitFor();
		expect(await ana.page.locator('html').getAttribute('lang')).toBe('es');
		await ana.page.getByRole('link').getByText(bruno.name, { exact: true }).waitFor();
	});
});

describe('with a network', () => {
	const stage = useStage();

	test('the first visit is rendered by the server, the next ones come from the device and are current', async () => {
		const [ana, bruno] = await pair(stage, 'Warm');
		const fresh = await stage.signedIn(ana.account);
		const first = await fresh.context.request.get(ana.path);
		expect(await first.text()).toContain(bruno.name);

		const { path } = ana;
		await ana.goto('about:blank');
		await bruno.say('While nothing was open.');
		await bruno.hasSent('While nothing was open.');
		const opened = await ana.page.goto(path);
		// Not what the server would have rendered, for which the worker could ask it too.
		expect(await opened?.text()).not.toContain('Before.');
		await ana.sees('Before.', 'While nothing was open.');
		await ana.unread(bruno.name, 1).waitFor({ state: 'detached' });
		await bruno.say('And now.');
		await ana.sees('And now.');
		expect(await ana.said()).toEqual(['Before.', 'While nothing was open.', 'And now.']);
	});

	test('what the worker keeps holds nothing of anybody', async () => {
		const [ana, bruno] = await pair(stage, 'Empty');
		await ana.page.reload();
		await ana.sees('Before.');
		const cached = await ana.page.evaluate(async () => {
			const texts: string[] = [];
			const paths: string[] = [];
			for (const name of await caches.keys()) {
				const cache = await caches.open(name);
				for (const request of await cache.keys()) {
					paths.push(new URL(request.url).pathname);
					const response = await cache.match(request);
					texts.push((await response?.text()) ?? '');
				}
			}
			return { paths, text: texts.join('\n') };
		});
		expect(cached.paths).toContain('/c/shell');
		expect(cached.paths.filter((path) => /^\/(trpc|events)|__data/.test(path))).toEqual([]);
		for (const secret of [ana.name, bruno.name, ana.account.email, 'Before.']) {
			expect(cached.text).not.toContain(secret);
		}
	});
});

describe('a new version', () => {
	const stage = useStage();
	const OLD = 'tertulia.before';

	test('takes over without a reload, and keeps the old one’s code while a page may need it', async () => {
		const [ana] = await pair(stage, 'Newer');
		const tab = await stage.anotherTab(ana);
		await tab.goto(ana.path);
		await tab.sees('Before.');
		await ana.page.evaluate((name) => caches.open(name), OLD);
		await ana.composer.fill('Half a thou');
		// Another script in the same place, as far as the browser can tell.
		await ana.page.evaluate(() => navigator.serviceWorker.register('/service-worker.js?next'));
		for (const screen of [ana, tab]) {
			await screen.page.getByText(en.connection.newVersion).waitFor();
		}
		expect(await ana.composer.inputValue()).toBe('Half a thou');
		const versions = () => ana.page.evaluate(() => caches.keys());
		expect(await versions()).toContain(OLD);

		await ana.button(en.connection.reload).click();
		await ana.page.getByText(en.connection.newVersion).waitFor({ state: 'detached' });
		await ana.sees('Before.');
		await eventually(() => ana.composer.inputValue()).toBe('Half a thou');
		expect(await versions()).toContain(OLD);
		await tab.page.close();
		await eventually(async () => {
			await ana.page.reload();
			// The page says so when it is there, and the worker hears it before this question.
			await ana.page.locator('#app nav').waitFor();
			await ana.page.evaluate(() => fetch('/favicon.svg'));
			return versions();
		}).not.toContain(OLD);
		await ana.sees('Before.');
	});
});

describe('without a worker', () => {
	const stage = useStage();

	test('code that cannot be had any more is told of, and a reload brings it', async () => {
		const ana = await stage.person('Gone Ana', { serviceWorkers: 'block' });
		ana.expectErrors(BROKEN, /dynamically imported module/, /Service Worker registration blocked/);
		await ana.isSignedIn();
		await ana.page.route('**/_app/immutable/**', (route) => route.abort());
		await ana.chooseFrom(ana.menuButton, en.keyboard.open);
		await ana.page.getByText(en.connection.incomplete).waitFor();
		await ana.page.unroute('**/_app/immutable/**');
		await ana.button(en.connection.reload).click();
		await ana.page.getByText(en.connection.incomplete).waitFor({ state: 'detached' });
		await ana.chooseFrom(ana.menuButton, en.keyboard.open);
		await ana.page.getByRole('dialog', { name: en.keyboard.title }).waitFor();
	});
});

describe('whose it is', () => {
	const stage = useStage();
	const REFUSED = /status of 40[013]/;

	test('after signing out nothing opens, and the next person sees nothing of the first', async () => {
		const [ana, bruno] = await pair(stage, 'Leaving');
		ana.expectErrors(REFUSED);
		const { path } = ana;
		await ana.signOut();
		await eventually(() => keptBodies(ana)).toEqual([]);
		await ana.context.setOffline(true);
		await ana.goto(path);
		await ana.page.getByRole('heading', { name: en.errorPage.offlineTitle }).waitFor();
		expect(await ana.everything()).not.toContain(bruno.name);
		await ana.context.setOffline(false);

		const next = await stage.visitor('Leaving Next');
		await stage.api(next).accounts.signUp.mutate(next.account);
		await ana.goto('/sign-in');
		await ana.signIn(next.account.password, next.account.username);
		await ana.button(en.conversations.menu(next.name)).waitFor();
		await ana.page.getByText(en.conversations.emptyTitle).waitFor();
		const everything = await ana.everything();
		for (const secret of [bruno.name, 'Before.']) expect(everything).not.toContain(secret);
	});

	test('what the device still has of somebody else is not shown', async () => {
		const [ana, bruno] = await pair(stage, 'Left');
		const { path } = ana;
		// The pages are gone, the device is as it was; somebody else's session comes into the browser.
		await ana.goto('about:blank');
		const other = await stage.person('Left Other');
		await ana.context.clearCookies({ name: 'session' });
		const { username: login, password } = other.account;
		await stage.api(ana).accounts.signIn.mutate({ login, password });
		await ana.context.clearCookies({ name: 'person' });
		ana.expectErrors(REFUSED);
		const seen: string[] = [];
		await ana.page.exposeFunction('tell', (text: string) => void seen.push(text));
		await ana.page.addInitScript(() => {
			new MutationObserver(() => {
				(window as unknown as { tell(text: string): void }).tell(document.body?.innerText ?? '');
			}).observe(document, { childList: true, subtree: true });
		});
		await ana.goto(path);
		await ana.button(en.conversations.menu(other.name)).waitFor();
		expect(seen.length).toBeGreaterThan(0);
		for (const secret of [bruno.name, 'Before.']) {
			expect(seen.filter((text) => text.includes(secret))).toEqual([]);
		}
	});

	test('a session that ended while nothing was open ends the app as soon as the server says so', async () => {
		const [ana, bruno] = await pair(stage, 'Ended');
		ana.expectErrors(REFUSED);
		const { path } = ana;
		await ana.goto('about:blank');
		const elsewhere = await stage.signedIn(ana.account);
		await stage.api(elsewhere).accounts.endOtherSessions.mutate();
		await ana.goto(path);
		await ana.page.waitForURL('**/sign-in**');
		await ana.button(en.signIn.submit).waitFor();
		await eventually(() => keptBodies(ana)).toEqual([]);
		await ana.context.setOffline(true);
		await ana.goto(path);
		await ana.page.getByRole('heading', { name: en.errorPage.offlineTitle }).waitFor();
		expect(await ana.everything()).not.toContain(bruno.name);
	});
});
