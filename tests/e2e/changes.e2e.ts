/** What becomes of a message after it was sent: reactions, edits, deletion. */
import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { fillConversation } from './long-talk.ts';
import type { Screen } from './people.ts';
import { endStillness, watchStillness } from './stillness.ts';
import { BROKEN, eventually, test, useStage } from './stage.ts';

const stage = useStage();
/** Half a pixel may be lost to rounding on either side. */
const STILL_PX = 1;

/** Two who talk, the first of whom has said this. */
async function talk(name: string, ...texts: string[]): Promise<[Screen, Screen]> {
	const ana = await stage.person(`${name} Ana`);
	const bruno = await stage.person(`${name} Bruno`);
	await ana.startDirect(bruno.name);
	await ana.say(...texts);
	await ana.hasSent(...texts);
	await bruno.open(ana.name);
	await bruno.sees(...texts);
	return [ana, bruno];
}

const pressed = (chip: ReturnType<Screen['chip']>) => chip.getAttribute('aria-pressed');

test('a reaction is seen by both, is joined, and is taken back', async () => {
	const [ana, bruno] = await talk('Reacting', 'Lunch?', '🎉');
	await bruno.react('Lunch?', '👍');
	await ana.chip('Lunch?', '👍', bruno.name).waitFor();
	expect(await pressed(ana.chip('Lunch?', '👍', bruno.name))).toBe('false');
	expect(await pressed(bruno.chip('Lunch?', '👍', null))).toBe('true');

	await ana.chip('Lunch?', '👍', bruno.name).click();
	await bruno.chip('Lunch?', '👍', null, ana.name).waitFor();
	await ana.chip('Lunch?', '👍', null, bruno.name).waitFor();
	expect(await ana.chip('Lunch?', '👍', null, bruno.name).innerText()).toMatch(/2$/);

	// In the menu it is marked, and taken back there too.
	await bruno.openMessageMenu('Lunch?');
	expect(await bruno.quickReaction('👍').getAttribute('aria-checked')).toBe('true');
	expect(await bruno.quickReaction('🙏').getAttribute('aria-checked')).toBe('false');
	await bruno.quickReaction('👍').click();
	await ana.chip('Lunch?', '👍', null).waitFor();
	await ana.chip('Lunch?', '👍', null).click();
	for (const screen of [ana, bruno]) {
		await eventually(() => screen.timeline.locator('[aria-pressed]').count()).toBe(0);
	}

	// A message that is nothing but an emoji takes them too, and they are there after a reload.
	await ana.react('🎉', '❤️');
	await bruno.chip('🎉', '❤️', ana.name).waitFor();
	await bruno.page.reload();
	await bruno.chip('🎉', '❤️', ana.name).waitFor();
});

test('a reaction moves nothing that is read: not at the end, and not further up', async () => {
	const ana = await stage.person('Still Ana');
	const bruno = await stage.person('Still Bruno');
	await bruno.startDirect(ana.name);
	const { conversationId } = bruno;
	const { id: personId } = await stage.api(ana).accounts.viewer.query();
	await fillConversation(stage.sql, conversationId, 100, { personId, seq: 101 });
	await ana.page.reload();
	await ana.open(bruno.name);
	const idOf = async (seq: number) => {
		const [row] = await stage.sql<{ id: string }[]>`
			select id from message where conversation_id = ${conversationId} and seq = ${seq}`;
		return row!.id;
	};
	const react = async (seq: number) => {
		const messageId = await idOf(seq);
		const at = { conversationId, messageId, emoji: '👍', on: true };
		await stage.api(bruno).reactions.set.mutate(at);
		await ana.timeline.locator(`[data-seq="${seq}"] [aria-pressed]`).waitFor();
	};
	const fromEnd = () =>
		ana.timeline.evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight);
	const last = ana.timeline.getByRole('article').last();
	const lastSeq = Number(await last.getAttribute('data-seq'));
	await eventually(fromEnd).toBeLessThanOrEqual(STILL_PX);

	// The last one grows, by another's reaction and by one's own: the end stays in sight.
	await react(lastSeq);
	await eventually(fromEnd).toBeLessThanOrEqual(STILL_PX);
	await last.hover();
	await last.getByRole('button', { name: en.message.actions }).click();
	await ana.quickReaction('🙏').click();
	await last.getByRole('button', { name: /^Folded hands/ }).waitFor();
	await eventually(fromEnd).toBeLessThanOrEqual(STILL_PX);

	// Further up, messages above and below what is read get theirs.
	await ana.page.mouse.wheel(0, -1500);
	await eventually(fromEnd).toBeGreaterThan(1000);
	await ana.settles();
	await watchStillness(ana.timeline);
	await react(lastSeq - 60);
	await react(lastSeq - 59);
	await react(lastSeq - 1);
	const seen = await endStillness(ana.page);
	expect(seen.corrections).toBeGreaterThan(0);
	expect(seen.worst, seen.at).toBeLessThanOrEqual(STILL_PX);
});

test('an edit is seen by the other, says so, and what it said before can be read', async () => {
	const [ana, bruno] = await talk('Editing', 'See you at one.');
	await bruno.say('Fine.');
	await ana.sees('Fine.');
	await ana.choose('See you at one.', en.message.edit);
	expect(await ana.editField.inputValue()).toBe('See you at one.');
	await ana.editField.fill('See you at two.');
	await ana.button(en.common.save).click();
	await bruno.message('See you at two.').getByText(en.message.edited, { exact: true }).waitFor();
	await ana.hasSent('See you at two.');
	await ana.editField.waitFor({ state: 'detached' });
	expect(await ana.composer.inputValue()).toBe('');
	// It is no new message: neither in its place nor for who only hears.
	expect(await bruno.said()).toEqual(['See you at two.', 'Fine.']);
	const heard = bruno.page.getByRole('status').filter({ hasText: 'See you at two.' });
	expect(await heard.count()).toBe(0);

	await bruno.choose('See you at two.', en.message.history);
	const history = bruno.page.getByRole('dialog', { name: en.message.history });
	await history.getByText('See you at one.', { exact: true }).waitFor();
	const texts = await history.getByRole('listitem').allInnerTexts();
	expect(texts).toHaveLength(2);
	expect(texts[0]).toMatch(/See you at two\.$/);
	expect(texts[0]).toContain(en.message.current);
	expect(texts[1]).not.toContain(en.message.current);
	await bruno.page.keyboard.press('Escape');

	// What was never edited has no history, and what others said cannot be edited nor deleted.
	await bruno.openMessageMenu('See you at two.');
	const items = () => bruno.page.getByRole('menuitem').allInnerTexts();
	expect(await items()).toEqual([en.message.copy, en.message.history]);
	await bruno.page.keyboard.press('Escape');
	await bruno.openMessageMenu('Fine.');
	expect(await items()).toEqual([en.message.copy, en.message.edit, en.message.delete]);
});

test('a deleted message leaves its place, for everyone, when one is sure', async () => {
	const [ana, bruno] = await talk('Deleting', 'First.', 'Wrong window.');
	await bruno.react('Wrong window.', '😮');
	await ana.choose('Wrong window.', en.message.delete);
	const question = ana.page.getByRole('alertdialog', { name: en.message.deleteTitle });
	await question.getByRole('button', { name: en.common.cancel }).click();
	await question.waitFor({ state: 'hidden' });
	await ana.sees('Wrong window.');

	await ana.choose('Wrong window.', en.message.delete);
	await question.getByRole('button', { name: en.message.delete }).click();
	for (const screen of [ana, bruno]) {
		const tombstone = screen.timeline.getByRole('article').last();
		await tombstone.getByText(en.message.deleted, { exact: true }).waitFor();
		await tombstone.hover();
		expect(await tombstone.getByRole('button').count()).toBe(0);
		await screen.list.getByText(en.message.deleted).waitFor();
		expect(await screen.timeline.innerText()).not.toContain('Wrong window.');
	}
	await question.waitFor({ state: 'detached' });
	// The focus is where the message was.
	const last = ana.timeline.getByRole('article').last();
	await eventually(() => last.evaluate((it) => it.matches(':focus'))).toBe(true);
	expect(await bruno.everything()).not.toContain('Wrong window.');
});

test('the arrow up edits what one said last, and to leave it brings the draft back', async () => {
	const [ana, bruno] = await talk('Arrow', 'Se you.');
	await bruno.say('Not this one.');
	await ana.sees('Not this one.');
	const { keyboard } = ana.page;

	// With something written it only moves in the text.
	await ana.composer.fill('Half a thought');
	await ana.composer.press('ArrowUp');
	expect(await ana.editField.count()).toBe(0);
	await ana.choose('Se you.', en.message.edit);
	expect(await ana.editField.inputValue()).toBe('Se you.');
	await keyboard.press('End');
	await keyboard.type(' Tomorrow');
	await keyboard.press('Escape');
	expect(await ana.composer.inputValue()).toBe('Half a thought');
	expect(await ana.composer.evaluate((field) => field.matches(':focus'))).toBe(true);
	await ana.sees('Se you.');

	await ana.composer.fill('');
	await ana.composer.press('ArrowUp');
	expect(await ana.editField.inputValue()).toBe('Se you.');
	// Nothing is no text.
	await ana.editField.fill('  ');
	expect(await ana.button(en.common.save).isDisabled()).toBe(true);
	await ana.editField.fill('See you.');
	await keyboard.press('Enter');
	await bruno.message('See you.').getByText(en.message.edited, { exact: true }).waitFor();

	// Unchanged, it is as if nothing had been.
	await ana.composer.press('ArrowUp');
	await ana.editField.press('Enter');
	await ana.editField.waitFor({ state: 'detached' });
	await bruno.choose('See you.', en.message.history);
	const history = bruno.page.getByRole('dialog', { name: en.message.history });
	await eventually(() => history.getByRole('listitem').count()).toBe(2);
});

test('without a network nothing is lost: the text stays, the reaction goes, and both are told', async () => {
	const [ana, bruno] = await talk('Offline', 'Bring bread.');
	await bruno.react('Bring bread.', '👍');
	await ana.chip('Bring bread.', '👍', bruno.name).waitFor();
	await ana.composer.press('ArrowUp');
	await ana.editField.fill('Bring bread and wine.');
	ana.expectErrors(BROKEN);
	await ana.context.setOffline(true);
	await ana.button(en.common.save).click();
	const problem = ana.page.getByRole('alert').filter({ hasText: en.errors.network });
	await problem.waitFor();
	expect(await ana.editField.inputValue()).toBe('Bring bread and wine.');

	await ana.chip('Bring bread.', '👍', bruno.name).click();
	await eventually(() => problem.count()).toBe(2);
	await ana.chip('Bring bread.', '👍', bruno.name).waitFor();
	await ana.button(en.composer.dismiss).click();
	await eventually(() => problem.count()).toBe(1);

	await ana.choose('Bring bread.', en.message.delete);
	const question = ana.page.getByRole('alertdialog');
	await question.getByRole('button', { name: en.message.delete }).click();
	await question.getByText(en.errors.network).waitFor();
	await question.getByRole('button', { name: en.common.cancel }).click();
	await ana.sees('Bring bread.');

	await ana.context.setOffline(false);
	await ana.button(en.common.save).click();
	await bruno.sees('Bring bread and wine.');
	await eventually(() => problem.count()).toBe(0);
});

test('what is edited on one device while the other changes or deletes it', async () => {
	const [ana] = await talk('Devices', 'One.');
	const tablet = await stage.anotherDevice(ana);
	await tablet.open('Devices Bruno');
	await tablet.composer.press('ArrowUp');
	await tablet.editField.fill('Three.');
	await ana.composer.press('ArrowUp');
	await ana.editField.fill('Two.');
	await ana.editField.press('Enter');
	await tablet.sees('Two.');
	tablet.expectErrors(/status of 409/);
	await tablet.editField.press('Enter');
	await tablet.page.getByText(en.errors.changed_meanwhile).waitFor();
	expect(await tablet.editField.inputValue()).toBe('Three.');
	await tablet.editField.press('Enter');
	await ana.sees('Three.');

	// It is still being edited when one has looked elsewhere.
	await tablet.composer.press('ArrowUp');
	await tablet.editField.fill('Four.');
	await tablet.chooseFrom(tablet.menuButton, en.settings.open);
	await tablet.page.getByRole('heading', { name: en.settings.title, level: 1 }).waitFor();
	await tablet.row('Devices Bruno').click();
	await eventually(() => tablet.editField.inputValue()).toBe('Four.');
	await ana.choose('Three.', en.message.delete);
	await ana.page.getByRole('alertdialog').getByRole('button', { name: en.message.delete }).click();
	await tablet.page.getByRole('alert').getByText(en.composer.deletedMeanwhile).waitFor();
	expect(await tablet.editField.count()).toBe(0);
	expect(await tablet.composer.inputValue()).toBe('');
});
