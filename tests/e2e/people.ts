/** What a person sees and does, in a person's words. Everything is found by role and name. */
import type { BrowserContext, Locator, Page } from 'playwright';
import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { SCREEN_ID } from '#lib/shared/last-screen.ts';

/** The machine may be busy: facts are waited for, and no test is about how long they take. */
export const POLL = { timeout: 30_000, interval: 50 };

/** Whatever has become of it since. */
const SENT = new RegExp(`^(${en.message.sent}|${en.receipts.delivered}|${en.receipts.read})$`);

export interface Account {
	name: string;
	username: string;
	email: string;
	password: string;
}

/** One tab of one person. */
export class Screen {
	readonly account: Account;
	readonly context: BrowserContext;
	readonly page: Page;
	/** Errors in the console that belong to the test. */
	readonly expected: RegExp[] = [];

	constructor(account: Account, context: BrowserContext, page: Page) {
		this.account = account;
		this.context = context;
		this.page = page;
	}

	get name(): string {
		return this.account.name;
	}

	async goto(path: string): Promise<void> {
		await this.page.goto(path);
	}

	/** What the console will say of the answer that a test provokes. */
	expectErrors(...patterns: RegExp[]): void {
		this.expected.push(...patterns);
	}

	/** The picture of the last screen is gone: what is seen now is the app. */
	async isUncovered(): Promise<void> {
		await this.page.locator('#app nav').waitFor();
		await this.page.locator(`#${SCREEN_ID}`).waitFor({ state: 'detached' });
	}

	/** Until nothing moves any more. */
	async settles(): Promise<void> {
		await this.page.evaluate(() =>
			Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})))
		);
	}

	// --- At the door -----------------------------------------------------------------------------

	field(label: string): Locator {
		return this.page.getByLabel(label, { exact: true });
	}

	button(name: string | RegExp): Locator {
		return this.page.getByRole('button', { name, exact: true });
	}

	async signUp(): Promise<void> {
		const { name, username, email, password } = this.account;
		await this.goto('/sign-up');
		await this.field(en.signUp.name).fill(name);
		await this.field(en.signUp.username).fill(username);
		await this.field(en.signUp.email).fill(email);
		await this.field(en.signUp.password).fill(password);
		await this.button(en.signUp.submit).click();
		await this.isSignedIn();
	}

	async signIn(password = this.account.password, login = this.account.username): Promise<void> {
		await this.field(en.signIn.login).fill(login);
		await this.field(en.signIn.password).fill(password);
		await this.button(en.signIn.submit).click();
	}

	async isSignedIn(): Promise<void> {
		await this.menuButton.waitFor();
	}

	get menuButton(): Locator {
		return this.button(en.conversations.menu(this.name));
	}

	async signOut(): Promise<void> {
		await this.chooseFrom(this.menuButton, en.settings.signOut);
		await this.page.waitForURL('**/sign-in');
	}

	/** Opens a menu and takes something from it. */
	async chooseFrom(button: Locator, item: string): Promise<void> {
		const entry = this.page.getByRole('menuitem', { name: item, exact: true });
		// A button that was drawn by the server may not be alive yet.
		await expect
			.poll(async () => {
				if (!(await entry.isVisible())) await button.click();
				return entry.isVisible();
			}, POLL)
			.toBe(true);
		await entry.click();
	}

	// --- The list --------------------------------------------------------------------------------

	get list(): Locator {
		return this.page.getByRole('navigation', { name: en.conversations.label });
	}

	get search(): Locator {
		return this.page.getByRole('searchbox', { name: en.conversations.find });
	}

	/** The conversation of this name in the list. */
	row(title: string): Locator {
		return this.list.getByRole('link').filter({ has: this.page.getByText(title, { exact: true }) });
	}

	/** The badge of a conversation in the list. */
	unread(title: string, count: number): Locator {
		return this.row(title).getByText(en.conversations.unread(count), { exact: true });
	}

	async open(title: string): Promise<void> {
		await this.row(title).click();
		await this.isIn(title);
	}

	/** Finds a person and goes into the conversation with them. */
	async startDirect(name: string, query = name): Promise<void> {
		await this.search.fill(query);
		const person = this.list.getByRole('button', { name: new RegExp(`^${name}`) });
		// Where they were quicker, the conversation is found in place of the person.
		await person.or(this.row(name)).click();
		await this.isIn(name);
	}

	/** Leaves the new group open. */
	async createGroup(group: string, ...names: string[]): Promise<void> {
		await this.chooseFrom(this.button(en.conversations.start), en.conversations.startGroup);
		await this.field(en.group.name).fill(group);
		await this.choosePeople(...names);
		await this.button(en.group.create).click();
		await this.isIn(group);
	}

	async choosePeople(...names: string[]): Promise<void> {
		for (const name of names) {
			await this.page.getByRole('combobox', { name: en.group.people }).fill(name);
			await this.page.getByRole('option', { name: new RegExp(`^${name}`) }).click();
			await this.button(en.group.unchoose(name)).waitFor();
		}
	}

	// --- A conversation --------------------------------------------------------------------------

	/** The address of what is open, `/c/<id>`. */
	get path(): string {
		return new URL(this.page.url()).pathname;
	}

	get conversationId(): string {
		return this.path.split('/').at(-1) ?? '';
	}

	async isIn(title: string): Promise<void> {
		await this.page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
		await this.page
			.getByRole('textbox', { name: en.composer.placeholderTo(title), exact: true })
			.waitFor();
	}

	get timeline(): Locator {
		return this.page.getByRole('log');
	}

	get composer(): Locator {
		return this.page.locator('#app main').getByRole('textbox', {
			name: new RegExp(`^${en.composer.placeholderTo('')}`)
		});
	}

	async say(...texts: string[]): Promise<void> {
		for (const text of texts) {
			await this.composer.fill(text);
			await this.composer.press('Enter');
		}
	}

	/** A message by what it says. */
	message(text: string): Locator {
		return this.timeline
			.getByRole('article')
			.filter({ has: this.page.getByText(text, { exact: true }) });
	}

	/** Takes something from the menu of a message. */
	async choose(text: string, item: string): Promise<void> {
		await this.openMessageMenu(text);
		await this.page.getByRole('menuitem', { name: item, exact: true }).click();
	}

	/** Reacts with one of the signs in the menu of a message, or takes it back there. */
	async react(text: string, emoji: keyof typeof en.reactions.names): Promise<void> {
		await this.openMessageMenu(text);
		await this.quickReaction(emoji).click();
	}

	async openMessageMenu(text: string): Promise<void> {
		await this.message(text).hover();
		await this.message(text).getByRole('button', { name: en.message.actions }).click();
	}

	quickReaction(emoji: keyof typeof en.reactions.names): Locator {
		const name = en.reactions.names[emoji];
		return this.page.getByRole('menuitemcheckbox', { name, exact: true });
	}

	/** The chip under a message, by the emoji and by who reacted (null is oneself). */
	chip(text: string, emoji: keyof typeof en.reactions.names, ...who: (string | null)[]): Locator {
		const name = `${en.reactions.names[emoji]} ${who.length}: ${en.reactions.by(who, 0)}`;
		return this.message(text).getByRole('button', { name, exact: true });
	}

	/** Where a message that was sent gets another text. */
	get editField(): Locator {
		return this.page.getByRole('textbox', { name: en.composer.editing, exact: true });
	}

	async sees(...texts: string[]): Promise<void> {
		for (const text of texts) await this.message(text).waitFor();
	}

	/** The server has these, and the screen says so. */
	async hasSent(...texts: string[]): Promise<void> {
		for (const text of texts) {
			await this.message(text).getByText(SENT).waitFor();
		}
	}

	/** What the timeline tells of the conversation itself. */
	notice(words: string): Locator {
		return this.timeline.getByText(words, { exact: true });
	}

	/** What was said, from top to bottom. */
	said(): Promise<string[]> {
		return this.timeline
			.getByRole('article')
			.evaluateAll((articles) =>
				articles.map((article) => article.querySelector('[dir=auto]')?.textContent ?? '')
			);
	}

	/** Everything that the document holds, seen or not. */
	everything(): Promise<string> {
		return this.page.evaluate(() => document.documentElement.outerHTML);
	}
}
