import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { listen } from './listener.ts';
import type { Screen } from './people.ts';
import { eventually, test, useStage } from './stage.ts';

const stage = useStage();

type State = 'sent' | 'delivered' | 'read';
const words: Record<State, string> = {
	sent: en.message.sent,
	delivered: en.receipts.delivered,
	read: en.receipts.read
};

/** What the sender's screen says of it: in words for who hears it, and where one points. */
async function becomes(screen: Screen, text: string, state: State): Promise<void> {
	const message = screen.message(text);
	await message.getByText(words[state], { exact: true }).waitFor();
	expect(await message.getByTitle(words[state], { exact: true }).count()).toBe(1);
}

async function turn(screen: Screen, on: boolean): Promise<void> {
	await screen.chooseFrom(screen.menuButton, en.settings.open);
	const shows = screen.page.getByRole('switch', { name: en.receipts.show });
	await eventually(() => shows.isEnabled()).toBe(true);
	const answered = screen.page.waitForResponse((response) => response.url().includes('show'));
	await shows.setChecked(on);
	await answered;
}

test('a message is sent, delivered when the other’s app has it, and read when they open it', async () => {
	const ana = await stage.person('Ticks Ana');
	const carla = await stage.person('Ticks Carla');
	const bruno = await stage.visitor('Ticks Bruno');
	await stage.api(bruno).accounts.signUp.mutate(bruno.account);
	const carlas = await listen(stage.url, carla);
	await ana.startDirect(bruno.name);
	await ana.say('Where are you?');
	await becomes(ana, 'Where are you?', 'sent');

	// He is there, and looks at something else.
	await bruno.goto('/chats');
	await bruno.unread(ana.name, 1).waitFor();
	await becomes(ana, 'Where are you?', 'delivered');

	await bruno.open(ana.name);
	await becomes(ana, 'Where are you?', 'read');
	await ana.say('And now?');
	await becomes(ana, 'And now?', 'read');

	// As it was, after a reload and on another device.
	await ana.page.reload();
	await becomes(ana, 'And now?', 'read');
	const phone = await stage.anotherDevice(ana);
	await phone.open(bruno.name);
	await becomes(phone, 'And now?', 'read');
	expect(carlas.text).not.toContain('receipts.changed');
});

test('who turned it off tells nothing, and sees nothing of the others', async () => {
	const [ana, bruno] = await stage.pair('Off');
	await becomes(ana, 'Before.', 'read');
	await turn(bruno, false);
	const anas = await listen(stage.url, ana);
	await ana.say('Are you there?');
	await bruno.unread(ana.name, 1).waitFor();
	await bruno.open(ana.name);
	await bruno.sees('Are you there?');
	await bruno.say('I am.');
	await ana.sees('I am.');
	// His answer says it anyway, but nothing else does.
	await ana.say('Still there?');
	await bruno.sees('Still there?');
	await eventually(() => readOf(bruno)).toBe(4);
	for (const [screen, text] of [[bruno, 'I am.'] as const, [ana, 'Still there?'] as const]) {
		await asksAgain(screen);
		await becomes(screen, text, 'sent');
	}
	expect(anas.text).not.toContain('receipts.changed');

	await turn(bruno, true);
	await bruno.open(ana.name);
	await becomes(bruno, 'I am.', 'read');
	await ana.page.reload();
	await becomes(ana, 'Still there?', 'read');
});

/** A page that has been told how far the others are, and shows it. */
async function asksAgain({ page }: Screen): Promise<void> {
	const answered = page.waitForResponse((response) => response.url().includes('receipts.of'));
	await page.reload();
	await (await answered).finished();
	// Whatever is asked after that is answered after that.
	await page.evaluate(async () => {
		await fetch('/healthz');
		await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
	});
}

async function readOf(screen: Screen): Promise<number> {
	const [row] = await stage.sql<{ seq: number }[]>`
		select m.read_seq::int as seq from member m join person p on p.id = m.person_id
		where p.username = ${screen.account.username}`;
	return row?.seq ?? 0;
}
