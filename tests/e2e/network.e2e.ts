import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import type { Screen } from './people.ts';
import { eventually, test, useStage } from './stage.ts';

const SEND = '**/trpc/messages.send**';

const numbered = (who: string, count: number, from = 1) =>
	Array.from({ length: count }, (_, i) => `${who} ${from + i}`);

describe('over a network that can be cut', () => {
	const stage = useStage({ withNetwork: true });

	/** Nothing lost, nothing doubled, each in order, and both see the same, as does the database. */
	async function agree(screens: Screen[], own: string[][]): Promise<void> {
		const [first] = screens;
		if (!first) return;
		const all = ['Before.', ...own.flat()];
		for (const screen of screens) {
			for (const messages of own) await screen.sees(messages.at(-1)!);
			await eventually(async () => (await screen.said()).length).toBe(all.length);
			await eventually(() => screen.timeline.getByText(en.message.pending).count()).toBe(0);
		}
		const stored = await stage.sql<{ body: string; seq: number }[]>`
			select body, seq::int from message
			where conversation_id = ${first.conversationId} and kind = 'text' order by seq`;
		const bodies = stored.map(({ body }) => body);
		expect([...bodies].sort()).toEqual([...all].sort());
		for (const messages of own) {
			expect(bodies.filter((body) => messages.includes(body))).toEqual(messages);
		}
		for (const screen of screens) await eventually(() => screen.said()).toEqual(bodies);
	}

	test('ten seconds without a network lose nothing, double nothing and keep the order', async () => {
		const [ana, bruno] = await stage.pair('Cut');
		stage.network.cut();
		const tenSeconds = pause(10_000);
		await ana.say(...numbered('ana', 5));
		await bruno.say(...numbered('bruno', 5));
		for (const screen of [ana, bruno]) {
			await screen.page.getByText(en.connection.reconnecting).waitFor();
			await eventually(() => screen.timeline.getByText(en.message.pending).count()).toBe(5);
		}
		await tenSeconds;
		stage.network.mend();
		await agree([ana, bruno], [numbered('ana', 5), numbered('bruno', 5)]);
		for (const screen of [ana, bruno]) {
			await screen.page.getByText(en.connection.reconnecting).waitFor({ state: 'detached' });
		}
		// And it is live again.
		await ana.say('After.');
		await bruno.sees('After.');
	});

	test('a device that is offline for ten seconds misses nothing that others say', async () => {
		const [ana, bruno] = await stage.pair('Offline');
		await ana.context.setOffline(true);
		const tenSeconds = pause(10_000);
		await ana.say(...numbered('ana', 5));
		await bruno.say(...numbered('bruno', 5));
		await bruno.hasSent('bruno 5');
		await ana.page.getByText(en.connection.offline).waitFor();
		await tenSeconds;
		expect(await ana.message('bruno 1').count()).toBe(0);
		await ana.context.setOffline(false);
		await agree([ana, bruno], [numbered('ana', 5), numbered('bruno', 5)]);
	});

	test('answers that never arrive double nothing', async () => {
		const [ana, bruno] = await stage.pair('Deaf');
		stage.network.loseAnswers();
		await ana.say(...numbered('ana', 4));
		// The first has been stored; its sender cannot know.
		await eventually(
			() => stage.sql`
				select body from message where conversation_id = ${ana.conversationId} and body = 'ana 1'`
		).toHaveLength(1);
		await bruno.say(...numbered('bruno', 4));
		await ana.message('ana 1').getByText(en.message.pending).waitFor();
		stage.network.mend();
		await agree([ana, bruno], [numbered('ana', 4), numbered('bruno', 4)]);
	});

	test('a server that is killed and started again in mid-conversation loses nothing', async () => {
		const [ana, bruno] = await stage.pair('Killed');
		const talking = Promise.all([
			ana.say(...numbered('ana', 40)),
			bruno.say(...numbered('bruno', 40))
		]);
		await bruno.sees('ana 5');
		await stage.server.kill();
		await talking;
		await eventually(() => ana.timeline.getByText(en.message.pending).count()).toBeGreaterThan(0);
		await stage.startServer();
		await agree([ana, bruno], [numbered('ana', 40), numbered('bruno', 40)]);
	});

	test('a server that stops politely is left and found again', async () => {
		const [ana, bruno] = await stage.pair('Stopped');
		const stopped = stage.server.stop();
		await ana.say(...numbered('ana', 5));
		expect(await stopped).toBe(0);
		await bruno.say(...numbered('bruno', 5));
		await stage.startServer();
		await agree([ana, bruno], [numbered('ana', 5), numbered('bruno', 5)]);
	});

	test('a page that is reloaded while it sends loses nothing and doubles nothing', async () => {
		const [ana, bruno] = await stage.pair('Reload');
		// The server gets it, and the page is gone before the answer.
		let stored = () => {};
		const reached = new Promise<void>((resolve) => (stored = resolve));
		await ana.page.route(SEND, async (route) => {
			await route.fetch();
			stored();
		});
		await ana.say('ana 1', 'ana 2', 'ana 3');
		await reached;
		await ana.page.unroute(SEND);
		await ana.page.reload();
		await agree([ana, bruno], [numbered('ana', 3)]);

		// The page is gone before the server gets it, and another takes over.
		await ana.page.route(SEND, () => {});
		await ana.say('ana 4', 'ana 5');
		await ana.message('ana 5').getByText(en.message.pending).waitFor();
		const tab = await stage.anotherTab(ana);
		await tab.goto(ana.path);
		await ana.page.close();
		await agree([tab, bruno], [numbered('ana', 5)]);
	});

	test('what the server refuses for good says so, and can be sent again or discarded', async () => {
		const [ana, bruno] = await stage.pair('Refused');
		ana.expectErrors(/status of 403/);
		await ana.page.route(SEND, (route) =>
			route.fulfill({
				status: 403,
				json: [
					{
						error: {
							message: 'not_allowed',
							code: -32003,
							data: { code: 'FORBIDDEN', httpStatus: 403, reason: 'not_allowed' }
						}
					}
				]
			})
		);
		await ana.say('Keep me.', 'Drop me.');
		for (const text of ['Keep me.', 'Drop me.']) {
			await ana.message(text).getByText(en.errors.not_allowed).waitFor();
		}
		await ana.row(bruno.name).getByText(en.message.failed).waitFor();
		await ana.page.unroute(SEND);
		await ana.message('Keep me.').getByRole('button', { name: en.message.retry }).click();
		await ana.message('Drop me.').getByRole('button', { name: en.message.discard }).click();
		await bruno.sees('Keep me.');
		await ana.hasSent('Keep me.');
		await eventually(() => ana.said()).toEqual(['Before.', 'Keep me.']);
		await ana.page.reload();
		await eventually(() => ana.said()).toEqual(['Before.', 'Keep me.']);
	});

	test('a message over 8,000 characters is counted while it is written, and refused', async () => {
		const [ana, bruno] = await stage.pair('Long');
		// Characters as a person counts them: each of these is two to JavaScript.
		const long = '🙂'.repeat(8001);
		await ana.composer.fill(long.slice(0, 2 * 7400));
		expect(await ana.page.getByText('/ 8,000').count()).toBe(0);
		await ana.composer.fill(long);
		await ana.page.getByText('8,001 / 8,000').waitFor();
		await ana.page.getByText(en.composer.tooLong(1)).waitFor();
		expect(await ana.button(en.composer.send).isDisabled()).toBe(true);
		await ana.composer.press('Enter');
		expect(await ana.composer.inputValue()).toBe(long);
		await ana.composer.press('Backspace');
		await ana.page.getByText('8,000 / 8,000').waitFor();
		await ana.composer.press('Enter');
		await eventually(async () => (await bruno.said()).at(-1)).toBe('🙂'.repeat(8000));

		// Whoever comes past the screen is refused as well.
		const message = { id: crypto.randomUUID(), conversationId: ana.conversationId, body: long };
		await expect(stage.api(ana).messages.send.mutate(message)).rejects.toThrow();
		expect(await bruno.said()).toHaveLength(2);
	});

	test('what is typed and not sent is still there after a reload', async () => {
		const [ana, bruno] = await stage.pair('Draft');
		await ana.composer.fill('Half a thou');
		await ana.page.reload();
		await ana.isIn(bruno.name);
		await eventually(() => ana.composer.inputValue()).toBe('Half a thou');
	});
});

describe('with a limit on sending', () => {
	const stage = useStage({ env: { SEND_LIMIT_PER_MINUTE: '30', SEND_BURST: '3' } });

	test('sending too fast is said, and only delays', async () => {
		const ana = await stage.person('Fast Ana');
		const bruno = await stage.person('Slow Bruno');
		ana.expectErrors(/status of 429/);
		await ana.startDirect(bruno.name);
		await bruno.open(ana.name);
		await ana.say(...numbered('ana', 6));
		// However many seconds it says.
		const words = ana.page.getByText(en.outbox.slowDown(1).split('1', 1).join());
		await words.waitFor();
		await ana.hasSent(...numbered('ana', 6));
		await eventually(() => bruno.said()).toEqual(numbered('ana', 6));
		await words.waitFor({ state: 'detached' });
	});
});
