/** Promises 1 and T4, T6 in a real browser: what is sent arrives once and in order, whatever dies. */
import { uuidv7 } from 'uuidv7';
import { describe, expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { Random } from '../../scripts/seed/random.ts';
import type { Screen } from './people.ts';
import { BROKEN, eventually, test, useStage, type Stage } from './stage.ts';

/** Messages of the long test; a hundred with `OUTBOX_MESSAGES=100`. */
const MESSAGES = Number(process.env.OUTBOX_MESSAGES ?? 30);
const SEED = process.env.OUTBOX_SEED ?? 'tertulia';
const SEND = '**/trpc/messages.send**';
const REFUSED = /status of 401/;

const storedIn = (stage: Stage, conversationId: string) => async () => {
	const rows = await stage.sql<{ body: string }[]>`
		select body from message
		where conversation_id = ${conversationId} and kind = 'text' order by seq`;
	return rows.map(({ body }) => body);
};

const numbered = (who: string, count: number) =>
	Array.from({ length: count }, (_, i) => `${who} ${i + 1}`);

/** The tab is gone from one moment to the next, without a word to its page. */
async function crash({ page, context }: Screen): Promise<void> {
	const devtools = await context.newCDPSession(page);
	const crashed = page.waitForEvent('crash');
	// It never answers.
	void devtools.send('Page.crash').catch(() => undefined);
	await crashed;
	await page.close();
}

/** What the device keeps, by the names of the databases. */
const keptBy = ({ page }: Screen) =>
	page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));

describe('what is sent', () => {
	const stage = useStage({ withNetwork: true });

	test(
		`arrives once and in order, whatever is killed (${MESSAGES} messages)`,
		async () => {
			const [first, bruno] = await stage.pair('Storm');
			const random = new Random(SEED);
			const { path, conversationId } = first;
			const said = numbered('ana', MESSAGES);
			const happened = { crashed: 0, closed: 0, reloaded: 0, killed: 0, stopped: 0 };
			let ana = first;
			let down = 0;
			for (const text of said) {
				await ana.say(text);
				// A page cannot be fetched from a server that is not there.
				if (down > 0 && --down === 0) await stage.startServer();
				else if (down === 0 && random.chance(0.35)) {
					const what = random.pick(['crashed', 'closed', 'reloaded', 'killed', 'stopped'] as const);
					happened[what]++;
					if (what === 'killed' || what === 'stopped') {
						await stage.server[what === 'killed' ? 'kill' : 'stop']();
						down = random.whole(1, 4);
						continue;
					}
					if (what === 'reloaded') await ana.page.reload();
					else {
						if (what === 'crashed') await crash(ana);
						else await ana.page.close();
						ana = await stage.anotherTab(ana);
						ana.expectErrors(BROKEN);
						await ana.goto(path);
					}
					await ana.composer.waitFor();
				}
			}
			if (down > 0) await stage.startServer();
			console.warn(`Seed ${SEED}: ${JSON.stringify(happened)}`);

			const all = ['Before.', ...said];
			await eventually(storedIn(stage, conversationId)).toEqual(all);
			await eventually(() => ana.timeline.getByText(en.message.pending).count()).toBe(0);
			// As far as the window on the screen reaches.
			for (const screen of [ana, bruno]) {
				await screen.sees(said.at(-1)!);
				await eventually(async () => (await screen.said()).slice(-20)).toEqual(all.slice(-20));
			}
		},
		60_000 + MESSAGES * 3000
	);

	test('goes in one request when it has waited', async () => {
		const [ana, bruno] = await stage.pair('Waited');
		const said = numbered('ana', 12);
		const answered: string[] = [];
		await ana.page.route(SEND, (route) => route.abort());
		await ana.say(...said);
		await ana.message('ana 12').getByText(en.message.pending).waitFor();
		ana.page.on('response', (response) => {
			const { pathname } = new URL(response.url());
			if (pathname.startsWith('/trpc/messages.send')) answered.push(pathname);
		});
		await ana.page.unroute(SEND);
		await bruno.sees('ana 12');
		await eventually(() => ana.timeline.getByText(en.message.pending).count()).toBe(0);
		for (const screen of [ana, bruno]) expect(await screen.said()).toEqual(['Before.', ...said]);
		expect(answered).toEqual(['/trpc/messages.sendMany']);
	});

	test('survives the end of the session, and waits for the same person', async () => {
		const [ana, bruno] = await stage.pair('Waiting');
		const { path, conversationId } = ana;
		ana.expectErrors(REFUSED);
		await ana.page.route(SEND, (route) => route.abort());
		await ana.say('For Bruno alone.');
		await ana.message('For Bruno alone.').getByText(en.message.pending).waitFor();
		await stage.api(ana).accounts.signOut.mutate();
		await ana.page.waitForURL('**/sign-in**');
		await ana.page.unroute(SEND);
		await eventually(() => keptBy(ana)).toEqual([]);

		// Somebody else at the same device, in the same conversation even.
		await ana.signIn(bruno.account.password, bruno.account.username);
		await ana.button(en.conversations.menu(bruno.name)).waitFor();
		await ana.goto(path);
		await ana.composer.waitFor();
		await ana.say('Hello from your sofa.');
		await bruno.sees('Hello from your sofa.');
		expect(await ana.everything()).not.toContain('For Bruno alone.');
		await ana.chooseFrom(ana.button(en.conversations.menu(bruno.name)), en.settings.signOut);
		await ana.page.waitForURL('**/sign-in');

		await ana.signIn();
		await ana.isSignedIn();
		await bruno.sees('For Bruno alone.');
		await eventually(storedIn(stage, conversationId)).toEqual([
			'Before.',
			'Hello from your sofa.',
			'For Bruno alone.'
		]);
	});

	test('is deleted from the device by who signs out in spite of the warning', async () => {
		const [ana] = await stage.pair('Leaving');
		const { conversationId } = ana;
		ana.expectErrors(REFUSED);
		await ana.page.route(SEND, (route) => route.abort());
		await ana.say('Better not.');
		await ana.message('Better not.').getByText(en.message.pending).waitFor();
		await ana.chooseFrom(ana.menuButton, en.settings.signOut);
		const dialog = ana.page.getByRole('alertdialog');
		await dialog.getByText(en.settings.signOutText(1)).waitFor();
		await dialog.getByRole('button', { name: en.settings.signOut }).click();
		await ana.page.waitForURL('**/sign-in');
		expect(await ana.page.evaluate(() => JSON.stringify(localStorage))).not.toContain(
			'Better not.'
		);
		await eventually(() => keptBy(ana)).toEqual([]);
		await ana.page.unroute(SEND);
		await ana.signIn();
		await ana.isSignedIn();
		expect(await storedIn(stage, conversationId)()).toEqual(['Before.']);
	});
});

describe('several tabs', () => {
	const stage = useStage({ withNetwork: true });

	test('share one stream, and lose nothing when the one that keeps it is killed', async () => {
		const [ana, bruno] = await stage.pair('Tabs');
		const { path, conversationId } = ana;
		const [second, third] = [await stage.anotherTab(ana), await stage.anotherTab(ana)];
		for (const [index, tab] of [second, third].entries()) {
			tab.expectErrors(BROKEN);
			await tab.goto(path);
			await tab.sees('Before.');
			// Who waits first leads first.
			const waiting = () =>
				tab.page.evaluate(async () => (await navigator.locks.query()).pending?.length);
			await eventually(waiting).toBe(index + 1);
		}
		await bruno.goto('about:blank');
		await eventually(() => stage.network.streams.open).toBe(1);
		const before = stage.network.streams.ever;

		const api = stage.api(bruno);
		const said: string[] = [];
		const talk = async (count: number) => {
			for (let i = 0; i < count; i++) {
				said.push(`bruno ${said.length + 1}`);
				await api.messages.send.mutate({ id: uuidv7(), conversationId, body: said.at(-1)! });
			}
		};
		const shows = (tab: Screen) => eventually(() => tab.said()).toEqual(['Before.', ...said]);

		await talk(10);
		for (const tab of [ana, second, third]) await shows(tab);
		expect(stage.network.streams).toEqual({ open: 1, ever: before });

		await Promise.all([talk(20), crash(ana)]);
		await talk(5);
		for (const tab of [second, third]) await shows(tab);
		expect(stage.network.streams).toEqual({ open: 1, ever: before + 1 });

		await Promise.all([talk(20), second.page.close()]);
		await talk(5);
		await shows(third);
		expect(stage.network.streams).toEqual({ open: 1, ever: before + 2 });
		expect(await third.page.getByText(en.connection.reconnecting).count()).toBe(0);
	});

	test('hear everything by long polling where the network swallows streams', async () => {
		const [ana, bruno] = await stage.pair('Swallowed');
		const polls: string[] = [];
		ana.context.on('request', (request) => {
			if (request.url().includes('/events/poll')) polls.push(request.url());
		});
		const tab = await stage.anotherTab(ana);
		await tab.goto(ana.path);
		stage.network.swallowStreams();
		const comesBack = async ({ page }: Screen) => {
			await page.getByText(en.connection.reconnecting).waitFor();
			await page.getByText(en.connection.reconnecting).waitFor({ state: 'detached' });
		};
		await Promise.all([ana, bruno].map(comesBack));
		const opened = stage.network.streams.ever;
		await ana.say(...numbered('ana', 3));
		await bruno.sees('ana 3');
		await bruno.say(...numbered('bruno', 3));
		const all = ['Before.', ...numbered('ana', 3), ...numbered('bruno', 3)];
		for (const screen of [ana, tab, bruno]) await eventually(() => screen.said()).toEqual(all);
		expect(polls.length).toBeGreaterThan(1);
		expect(stage.network.streams.ever).toBe(opened);

		// A conversation that is new is more than events can tell.
		await ana.createGroup('Polled', bruno.name);
		await bruno.open('Polled');
		stage.network.mend();
	});
});

describe('the device', () => {
	const stage = useStage();

	test('keeps what was seen: a conversation opens without asking', async () => {
		const [ana, bruno] = await stage.pair('Kept');
		await ana.say(...numbered('ana', 5));
		await bruno.sees('ana 5');
		await eventually(() =>
			ana.page.evaluate(
				() =>
					new Promise<number>((resolve) => {
						void indexedDB.databases().then(([first]) => {
							const request = indexedDB.open(first!.name!);
							request.onsuccess = () => {
								const db = request.result;
								const count = db.transaction('messages').objectStore('messages').count();
								count.onsuccess = () => {
									db.close();
									resolve(count.result);
								};
							};
						});
					})
			)
		).toBeGreaterThanOrEqual(6);
		// Somebody writes while nothing is open here.
		await ana.goto('about:blank');
		await bruno.say('Meanwhile.');
		await bruno.hasSent('Meanwhile.');
		const pages: string[] = [];
		await ana.page.route('**/trpc/messages.page**', (route) => {
			pages.push(route.request().url());
			return route.abort();
		});
		const synced = ana.page.waitForResponse('**/trpc/sync.since**');
		await ana.goto('/chats');
		await synced;
		await ana.unread(bruno.name, 1).waitFor();
		await ana.open(bruno.name);
		await eventually(() => ana.said()).toEqual(['Before.', ...numbered('ana', 5), 'Meanwhile.']);
		expect(pages).toEqual([]);
	});

	test('that lets nothing be kept is told about, and nothing else changes', async () => {
		const ana = await stage.visitor('Forgetful Ana');
		await ana.context.addInitScript(() => {
			Object.defineProperty(window, 'indexedDB', {
				get() {
					throw new DOMException('No.', 'SecurityError');
				}
			});
		});
		await ana.signUp();
		await ana.chooseFrom(ana.menuButton, en.settings.open);
		await ana.page.getByText(en.settings.notKept).waitFor();
	});
});
