import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { fillConversation } from './long-talk.ts';
import type { Screen } from './people.ts';
import { endStillness, watchStillness } from './stillness.ts';
import { eventually, test, useStage } from './stage.ts';

const stage = useStage();
const COUNT = 2400;
const UNREAD = 150;
/** Half a pixel may be lost to rounding on either side. */
const STILL_PX = 1;
const MESSAGES_MAX = 150;

/** Somebody before a conversation of `COUNT` messages, the last `UNREAD` of them not yet read. */
async function reader(name: string): Promise<[Screen, Screen]> {
	const ana = await stage.person(`${name} Ana`);
	const bruno = await stage.person(`${name} Bruno`);
	await bruno.startDirect(ana.name);
	const { id: personId } = await stage.api(ana).accounts.viewer.query();
	await fillConversation(stage.sql, bruno.conversationId, COUNT, {
		personId,
		seq: COUNT - UNREAD
	});
	await bruno.page.reload();
	await ana.page.reload();
	await ana.open(bruno.name);
	return [ana, bruno];
}

/** The places of the messages in sight. */
const placesInSight = (screen: Screen) =>
	screen.timeline.evaluate((viewport) => {
		const { top, bottom } = viewport.getBoundingClientRect();
		return [...viewport.querySelectorAll<HTMLElement>('[data-message]')]
			.filter((message) => {
				const box = message.getBoundingClientRect();
				return box.bottom > top && box.top < bottom;
			})
			.map((message) => Number(message.dataset['seq']));
	});

/** Turns the wheel until the first message in sight is at this place or before it. */
async function wheelBackTo(screen: Screen, seq: number): Promise<void> {
	await screen.timeline.hover();
	const scrollTop = () => screen.timeline.evaluate((viewport) => viewport.scrollTop);
	for (;;) {
		const first = (await placesInSight(screen)).at(0) ?? Infinity;
		if (first <= seq) return;
		const before = await scrollTop();
		await screen.page.mouse.wheel(0, -900);
		// It has moved: by the wheel, or because something was put in above.
		await eventually(
			async () => (await scrollTop()) !== before || (await placesInSight(screen)).at(0) !== first
		).toBe(true);
	}
}

test('a long conversation opens at the first unread message', async () => {
	const [ana, bruno] = await reader('Unread');
	const line = ana.timeline.getByText(en.conversation.unreadLine, { exact: true });
	await line.waitFor();
	const first = COUNT + 1 - UNREAD;
	await eventually(() => placesInSight(ana)).toContain(first);
	const places = await placesInSight(ana);
	expect(places).toEqual(places.map((_, i) => places[0]! + i));
	// Readable: a part of what was read stays above it.
	expect(await placesInSight(ana)).toContain(first - 1);
	const isAbove = await line.evaluate((element, seq) => {
		const message = document.querySelector(`[data-seq="${seq}"]`)!;
		return element.getBoundingClientRect().bottom <= message.getBoundingClientRect().top + 1;
	}, first);
	expect(isAbove).toBe(true);

	// What is in sight gets read, what is below stays unread, on the other device too.
	const phone = await stage.anotherDevice(ana);
	await eventually(async () => unreadIn(await phone.page.title())).toBeLessThan(UNREAD);
	expect(unreadIn(await phone.page.title())).toBeGreaterThan(UNREAD - 60);
	expect(await bruno.page.title()).not.toContain('(');
});

test('scrolling back through 2,000 messages moves nothing by itself, to the very first', async () => {
	const [ana] = await reader('Scroll');
	await ana.timeline.getByText(en.conversation.unreadLine, { exact: true }).waitFor();
	const [start = 0] = await placesInSight(ana);
	await watchStillness(ana.timeline);
	await wheelBackTo(ana, start - 2000);
	const seen = await endStillness(ana.page);
	console.warn(
		`${seen.frames} frames, ${seen.corrections} corrections, worst move ${seen.worst} px, at most ${seen.most} messages`
	);
	expect(seen.corrections).toBeGreaterThan(2000 / 50 / 2);
	expect(seen.worst, seen.at).toBeLessThanOrEqual(STILL_PX);
	expect(seen.most).toBeLessThanOrEqual(MESSAGES_MAX);

	await wheelBackTo(ana, 1);
	await ana.timeline.getByText(en.conversation.beginning, { exact: true }).waitFor();
	expect((await placesInSight(ana)).at(0)).toBe(1);
});

test('a message that arrives while one reads further up moves nothing, and is counted', async () => {
	const [ana, bruno] = await reader('Counted');
	const newest = () =>
		ana.page.getByRole('button', { name: new RegExp(`^${en.conversation.toNewest}`) });
	await newest().click();
	await eventually(() => placesInSight(ana)).toContain(COUNT);
	await newest().waitFor({ state: 'detached' });
	await eventually(() => ana.page.title()).not.toContain('(');

	await wheelBackTo(ana, COUNT - 60);
	await newest().waitFor();
	await watchStillness(ana.timeline);
	const before = await placesInSight(ana);
	await bruno.say('Are you reading?', 'It can wait.');
	await ana.button(`${en.conversation.toNewest}, ${en.conversation.newMessages(2)}`).waitFor();
	await ana.unread(bruno.name, 2).waitFor();
	expect(await placesInSight(ana)).toEqual(before);
	const seen = await endStillness(ana.page);
	expect(seen.worst, seen.at).toBeLessThanOrEqual(STILL_PX);

	await newest().click();
	await ana.sees('It can wait.');
	await eventually(() => placesInSight(ana)).toContain(COUNT + 2);
	await ana.unread(bruno.name, 2).waitFor({ state: 'detached' });

	// At the end one stays at the end.
	await bruno.say('Good.');
	await eventually(() => placesInSight(ana)).toContain(COUNT + 3);
	// And what one sends oneself is always shown.
	await wheelBackTo(ana, COUNT - 200);
	await ana.say('Back from the past.');
	await eventually(() => placesInSight(ana)).toContain(COUNT + 4);
	await bruno.sees('Back from the past.');
});

test('pointing at a message moves nothing', async () => {
	const [ana] = await reader('Pointing');
	await eventually(async () => (await placesInSight(ana)).length).toBeGreaterThan(3);
	await watchStillness(ana.timeline);
	for (const place of (await placesInSight(ana)).slice(1, -1)) {
		const message = ana.timeline.locator(`[data-seq="${place}"]`);
		await message.hover();
		await message.getByRole('button', { name: en.message.actions }).waitFor();
	}
	const seen = await endStillness(ana.page);
	expect(seen.worst, seen.at).toBeLessThanOrEqual(STILL_PX);
});

const unreadIn = (title: string) => Number(/^\((\d+)/.exec(title)?.[1] ?? 0);
