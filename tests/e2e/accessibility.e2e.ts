import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { BrowserContextOptions, Locator } from 'playwright';
import { beforeAll, describe, expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { es } from '#lib/client/i18n/es.ts';
import { colleague, seedCompany } from './company.ts';
import type { Screen } from './people.ts';
import { BROKEN, eventually, test, useStage } from './stage.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const PHONE: BrowserContextOptions = {
	viewport: { width: 390, height: 844 },
	isMobile: true,
	hasTouch: true
};

const stage = useStage();
// Without a browser there is no stage either.
beforeAll(() => seedCompany(stage));

/** What axe finds, in light and in dark, one line each. */
async function findings(screen: Screen, where: string): Promise<string[]> {
	const found: string[] = [];
	for (const colorScheme of ['light', 'dark'] as const) {
		await screen.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
		await screen.settles();
		// By way of the debugger, so the policy of the page stays in force.
		await screen.page.evaluate(AXE);
		const { violations } = await screen.page.evaluate(() =>
			(globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run()
		);
		for (const { id, nodes } of violations) {
			for (const { html, failureSummary } of nodes) {
				found.push(`${where}, ${colorScheme}: ${id}: ${html} ${failureSummary}`);
			}
		}
	}
	return found;
}

describe.each([
	['desktop', DESKTOP],
	['phone', PHONE]
] as const)('axe finds nothing on the %s', (device, options) => {
	test('at the door', async () => {
		const found: string[] = [];
		const guest = await stage.visitor(`Guest on ${device}`, options);
		guest.expectErrors(/status of (404|401|400)/);
		await guest.goto('/sign-in');
		await guest.button(en.signIn.submit).waitFor();
		found.push(...(await findings(guest, 'sign-in')));
		await guest.signIn('not this one');
		await guest.page.getByText(en.errors.wrong_credentials).waitFor();
		found.push(...(await findings(guest, 'sign-in, refused')));
		await guest.goto('/sign-up');
		await guest.button(en.signUp.submit).click();
		await guest.page.getByText(en.signUp.nameMissing).waitFor();
		found.push(...(await findings(guest, 'sign-up, with mistakes')));
		await guest.goto('/nowhere');
		await guest.page.getByRole('heading', { name: en.errorPage.notFoundTitle }).waitFor();
		found.push(...(await findings(guest, 'error page')));
		expect(found).toEqual([]);
	});

	test('where there is nothing yet', async () => {
		const found: string[] = [];
		const first = await stage.person(`First on ${device}`, options);
		await first.page.getByText(en.conversations.emptyTitle).waitFor();
		found.push(...(await findings(first, 'no conversations')));
		await first.goto(`/c/${crypto.randomUUID()}`);
		await first.page.getByRole('heading', { name: en.errorPage.notFoundTitle }).waitFor();
		found.push(...(await findings(first, 'no such conversation')));
		expect(found).toEqual([]);
	});

	test('where people talk', async () => {
		const found: string[] = [];
		await colleague(stage, 'Tomás Abascal', 'tomas');
		const ines = await colleague(stage, 'Inés Calderón', 'ines', options);
		await ines.row('Tomás Abascal').getByText(en.presence.online, { exact: true }).waitFor();
		found.push(...(await findings(ines, 'conversations')));
		await ines.search.fill('mar');
		await ines.list
			.getByRole('button', { name: /^Amara/ })
			.or(ines.row('Casa Marea'))
			.first()
			.waitFor();
		found.push(...(await findings(ines, 'search')));
		await ines.button(en.conversations.clearSearch).click();
		await ines.open('Editorial');
		await ines.timeline.getByRole('article').first().waitFor();
		found.push(...(await findings(ines, 'group')));
		await ines.button(en.conversation.actions).click();
		await ines.page.getByRole('menuitem', { name: en.group.people, exact: true }).waitFor();
		found.push(...(await findings(ines, 'menu of the group')));
		for (const [item, title] of [
			[en.group.people, 'Editorial'],
			[en.group.add, en.group.addTitle],
			[en.group.rename, en.group.renameTitle],
			[en.group.leave, en.group.leaveTitle]
		] as const) {
			const entry = ines.page.getByRole('menuitem', { name: item, exact: true });
			if (!(await entry.isVisible())) await ines.button(en.conversation.actions).click();
			await entry.click();
			// A question that wants an answer is a dialog too, of another role.
			const dialog = ines.page
				.getByRole('dialog', { name: title })
				.or(ines.page.getByRole('alertdialog', { name: title }));
			await dialog.waitFor();
			found.push(...(await findings(ines, `dialog: ${item}`)));
			await ines.page.keyboard.press('Escape');
			await dialog.waitFor({ state: 'hidden' });
		}
		await ines.goto('/chats');
		await ines.chooseFrom(ines.button(en.conversations.start), en.conversations.startGroup);
		await ines.button(en.group.create).click();
		await ines.page.getByText(en.group.nameMissing).waitFor();
		found.push(...(await findings(ines, 'dialog: new group')));
		await ines.goto('/settings');
		await ines.page.getByText(en.settings.thisSession).waitFor();
		found.push(...(await findings(ines, 'settings')));
		expect(found).toEqual([]);
	});

	test('where what was said is changed', async () => {
		const found: string[] = [];
		const luis = await stage.person(`Changing Luis on ${device}`);
		const ana = await stage.person(`Changing Ana on ${device}`, options);
		await ana.startDirect(luis.name);
		const { conversationId } = ana;
		const [mine, theirs] = [stage.api(ana), stage.api(luis)];
		const say = async (api: typeof mine, body: string) => {
			const id = crypto.randomUUID();
			await api.messages.send.mutate({ id, conversationId, body });
			return id;
		};
		const messageId = await say(mine, 'At one.');
		await mine.messages.edit.mutate({ id: messageId, conversationId, body: 'At two.', edit: 1 });
		for (const [api, id, emoji] of [
			[mine, messageId, '👍'],
			[theirs, messageId, '👍'],
			[theirs, messageId, '🐙'],
			[mine, await say(theirs, '🎉'), '🙏']
		] as const) {
			await api.reactions.set.mutate({ conversationId, messageId: id, emoji, on: true });
		}
		for (const api of [mine, theirs]) {
			await api.messages.delete.mutate({ id: await say(api, 'Not here.'), conversationId });
		}
		await ana.chip('At two.', '👍', null, luis.name).waitFor();
		await eventually(() => ana.timeline.getByText(en.message.deleted).count()).toBe(2);
		found.push(...(await findings(ana, 'chips and tombstones')));

		const item = (name: string) => ana.page.getByRole('menuitem', { name, exact: true });
		const openMenu = async () => {
			await ana.message('At two.').focus();
			await ana.page.keyboard.press('Enter');
			await item(en.message.edit).waitFor();
		};
		await openMenu();
		found.push(...(await findings(ana, 'menu of a message')));
		await item(en.message.history).click();
		await ana.page.getByRole('dialog').getByText(en.message.current).waitFor();
		found.push(...(await findings(ana, 'dialog: edit history')));
		await ana.page.keyboard.press('Escape');
		await openMenu();
		await item(en.message.delete).click();
		await ana.page.getByRole('alertdialog').waitFor();
		found.push(...(await findings(ana, 'dialog: delete')));
		await ana.page.keyboard.press('Escape');
		await openMenu();
		await item(en.message.edit).click();
		await ana.editField.fill('At three.');
		found.push(...(await findings(ana, 'editing')));

		// And what can go wrong with it.
		ana.expectErrors(BROKEN);
		await ana.context.setOffline(true);
		await ana.button(en.common.save).click();
		const problem = ana.page.getByRole('alert').filter({ hasText: en.errors.network });
		await problem.waitFor();
		await ana.chip('At two.', '👍', null, luis.name).click();
		await eventually(() => problem.count()).toBe(2);
		found.push(...(await findings(ana, 'editing, refused')));
		await ana.context.setOffline(false);
		expect(found).toEqual([]);
	});
});

test('a conversation held by the keyboard alone', async () => {
	const bruno = await stage.person('Keyboard Bruno');
	const carla = await stage.person('Keyboard Carla');
	const ana = await stage.person('Keyboard Ana');
	await ana.createGroup('Keys', bruno.name, carla.name);
	await ana.context.clearCookies();
	const { keyboard } = ana.page;

	await ana.goto('/sign-in');
	await tabTo(ana, ana.field(en.signIn.login));
	await keyboard.type(ana.account.username);
	await tabTo(ana, ana.field(en.signIn.password));
	await keyboard.type(ana.account.password);
	await keyboard.press('Enter');
	await ana.isSignedIn();

	// Find somebody and talk.
	await eventually(async () => {
		await keyboard.press('Control+k');
		return hasFocus(ana.search);
	}).toBe(true);
	await keyboard.type('bruno');
	await ana.list.getByRole('button', { name: new RegExp(`^${bruno.name}`) }).waitFor();
	await keyboard.press('ArrowDown');
	await keyboard.press('Enter');
	await ana.isIn(bruno.name);
	await focused(ana.composer);
	await keyboard.type('Typed');
	await keyboard.press('Shift+Enter');
	await keyboard.type('in two lines.');
	await keyboard.press('Enter');
	await bruno.open(ana.name);
	await eventually(() => bruno.said()).toEqual(['Typed\nin two lines.']);
	await bruno.say('Heard.');
	await ana.sees('Heard.');

	// Among the messages, the menu of one of them, and back to writing.
	await tabTo(ana, ana.timeline, 'Shift+Tab');
	await keyboard.press('ArrowUp');
	await focused(ana.message('Heard.'));
	await keyboard.press('ArrowUp');
	await focused(ana.timeline.getByRole('article').first());
	await keyboard.press('Enter');
	// A row of signs and a list below it: along the one, up and down to the other.
	const copy = ana.page.getByRole('menuitem', { name: en.message.copy });
	await focused(ana.quickReaction('👍'));
	await keyboard.press('ArrowRight');
	await focused(ana.quickReaction('❤️'));
	await keyboard.press('ArrowDown');
	await focused(copy);
	await keyboard.press('ArrowUp');
	await focused(ana.quickReaction('👍'));
	await keyboard.press('ArrowLeft');
	await focused(ana.quickReaction('🙏'));
	await keyboard.press('Enter');
	await bruno.chip('Typed\nin two lines.', '🙏', ana.name).waitFor();
	await focused(
		ana.timeline.getByRole('article').first().getByRole('button', { name: en.message.actions })
	);
	await keyboard.press('Tab');
	await focused(ana.timeline.getByRole('article').first().locator('[aria-pressed]'));
	await keyboard.press('Enter');
	await eventually(() => ana.timeline.locator('[aria-pressed]').count()).toBe(0);
	await ana.timeline.getByRole('article').first().focus();
	await keyboard.press('Enter');
	await focused(ana.quickReaction('👍'));
	await keyboard.press('Escape');
	await copy.waitFor({ state: 'hidden' });
	await focused(ana.timeline.getByRole('article').first().getByRole('button'));
	await keyboard.press('Escape');
	await focused(ana.composer);

	// To the list and along it.
	await keyboard.press('Escape');
	await focused(ana.row(bruno.name));
	await keyboard.press('ArrowDown');
	await focused(ana.row('Keys'));
	await keyboard.press('Enter');
	await ana.isIn('Keys');
	await keyboard.press('Alt+ArrowUp');
	await ana.isIn(bruno.name);
	await keyboard.press('Alt+ArrowDown');
	await ana.isIn('Keys');

	// Another name for the group; the focus comes back to where it was.
	const actions = ana.button(en.conversation.actions);
	await tabTo(ana, actions, 'Shift+Tab');
	await keyboard.press('Enter');
	await keyboard.press('r');
	await focused(ana.page.getByRole('menuitem', { name: en.group.rename }));
	await keyboard.press('Enter');
	await focused(ana.field(en.group.name));
	await keyboard.press('Escape');
	await ana.page.getByRole('dialog').waitFor({ state: 'hidden' });
	await focused(actions);
	await keyboard.press('Enter');
	await keyboard.press('r');
	await keyboard.press('Enter');
	await focused(ana.field(en.group.name));
	await keyboard.type('Keyboards');
	await keyboard.press('Enter');
	await ana.isIn('Keyboards');
	await carla.row('Keyboards').waitFor();
	await focused(actions);

	// The stream ends with the session, and the page makes sure that it is over.
	ana.expectErrors(/status of 401/);
	await tabTo(ana, ana.menuButton, 'Shift+Tab');
	await keyboard.press('Enter');
	await keyboard.press('End');
	await keyboard.press('Enter');
	await ana.page.waitForURL('**/sign-in');
});

test('the language is the one that the browser asks for, and can be chosen', async () => {
	const lang = (screen: Screen) => screen.page.locator('html').getAttribute('lang');
	const spanish = await stage.person('Quien Habla Español', { locale: 'es-AR' });
	expect(await lang(spanish)).toBe('es');
	await spanish.page.getByText(es.conversations.emptyTitle).waitFor();
	expect(await spanish.page.title()).toBe(es.titles.page(es.titles.conversations));

	const german = await stage.person('Wer Deutsch Spricht', { locale: 'de-DE' });
	expect(await lang(german)).toBe('en');
	await german.goto('/settings');
	await german.page.getByText(en.settings.thisSession).waitFor();
	await german.page.getByRole('radio', { name: 'Español' }).check();
	await german.page.getByRole('heading', { name: es.settings.title, level: 1 }).waitFor();
	await eventually(() => lang(german)).toBe('es');
	await german.page.reload();
	await german.page.getByRole('heading', { name: es.settings.title, level: 1 }).waitFor();
	expect(await lang(german)).toBe('es');

	// The words come with the page: nobody sees another language first.
	const page = await (await german.context.request.get('/settings')).text();
	expect(page).toContain(es.settings.appearance);
	expect(page).not.toContain(en.settings.appearance);
});

/** By the keyboard, as far as it takes; what has the focus on the way there can be seen. */
async function tabTo(screen: Screen, target: Locator, key = 'Tab'): Promise<void> {
	await target.waitFor();
	for (let presses = 0; presses < 60; presses++) {
		if (await hasFocus(target)) return;
		await screen.page.keyboard.press(key);
	}
	throw new Error(`${key} does not lead to ${target.toString()}.`);
}

const hasFocus = (target: Locator) => target.evaluate((element) => element.matches(':focus'));

const focused = (target: Locator) => eventually(() => hasFocus(target)).toBe(true);
