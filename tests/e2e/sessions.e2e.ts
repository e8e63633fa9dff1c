import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { eventually, test, useStage } from './stage.ts';
import { listen } from './listener.ts';
import type { Screen } from './people.ts';

const stage = useStage({ env: { SIGN_IN_LIMIT_PER_ACCOUNT: '4' } });

const REFUSED = /status of 40[0139]|status of 429/;

/** At the door, and nothing of what was on the screen is left anywhere in the page. */
async function isDark(screen: Screen, ...secrets: string[]): Promise<void> {
	await screen.page.waitForURL('**/sign-in**');
	await screen.button(en.signIn.submit).waitFor();
	const everything = await screen.everything();
	for (const secret of secrets) expect(everything).not.toContain(secret);
}

test('a session that is ended elsewhere goes dark at once, and its stream with it', async () => {
	const ana = await stage.person('Ana Elsewhere');
	const bruno = await stage.person('Bruno Elsewhere');
	await ana.startDirect(bruno.name);
	await ana.say('Just between us.');
	await ana.hasSent('Just between us.');
	const lost = await stage.anotherDevice(ana, { userAgent: IPHONE });
	lost.expectErrors(REFUSED);
	await lost.open(bruno.name);
	await lost.sees('Just between us.');
	const heard = await listen(stage.url, lost);

	await ana.chooseFrom(ana.menuButton, en.settings.open);
	const device = en.settings.device('Safari', 'iPhone');
	await ana.button(en.settings.endSessionOn(device)).click();

	await isDark(lost, 'Just between us.', bruno.name);
	await lost.page.getByText(en.signIn.ended).waitFor();
	await heard.ended();
	expect(heard.text).toContain('session.ended');
	await ana.page.getByText(en.settings.sessionEnded).waitFor();
	await lost.goto('/settings');
	await isDark(lost, bruno.name);
	// The one who did it stays.
	await ana.goto('/chats');
	await ana.row(bruno.name).waitFor();
});

test('all other sessions end together', async () => {
	const ana = await stage.person('Ana Everywhere');
	const others = [await stage.anotherDevice(ana), await stage.anotherDevice(ana)];
	for (const other of others) other.expectErrors(REFUSED);
	await ana.goto('/settings');
	await ana.button(en.settings.endOthers).click();
	const dialog = ana.page.getByRole('alertdialog');
	await dialog.getByRole('button', { name: en.settings.endOthers }).click();
	for (const other of others) await isDark(other);
	await ana.page.getByText(en.settings.othersEnded).waitFor();
});

test('signing out leaves nothing behind, in no tab', async () => {
	const ana = await stage.person('Ana Leaving');
	const bruno = await stage.person('Bruno Staying');
	await ana.startDirect(bruno.name);
	await ana.say('Until tomorrow.');
	await ana.hasSent('Until tomorrow.');
	const tab = await stage.anotherTab(ana);
	// The stream ends with the session, and each page makes sure that it is over.
	for (const screen of [ana, tab]) screen.expectErrors(REFUSED);
	await tab.goto(ana.path);
	await tab.sees('Until tomorrow.');

	await ana.signOut();
	// By one's own wish, which needs no explanation.
	expect(new URL(ana.page.url()).search).toBe('');
	await isDark(ana, 'Until tomorrow.', bruno.name);
	await isDark(tab, 'Until tomorrow.', bruno.name);
	await ana.page.goBack();
	await isDark(ana, 'Until tomorrow.', bruno.name);
	expect(await ana.context.cookies()).not.toContainEqual(
		expect.objectContaining({ name: 'session' })
	);

	// Back in by e-mail, and to where one wanted to go.
	await ana.goto('/settings');
	await ana.signIn(ana.account.password, ana.account.email.toUpperCase());
	await ana.page.getByRole('heading', { level: 1, name: en.settings.title }).waitFor();
	await ana.row(bruno.name).waitFor();
});

test('wrong credentials get the same words, whoever it is, and too many have to wait', async () => {
	const ana = await stage.person('Ana Careful');
	const guest = await stage.visitor('Guest');
	guest.expectErrors(REFUSED);
	await guest.goto('/sign-in');
	const alert = guest.page.getByRole('alert');

	await guest.signIn('not this one', 'nobody.at.all');
	await alert.getByText(en.errors.wrong_credentials).waitFor();
	await guest.signIn('not this one', ana.account.username);
	await alert.getByText(en.errors.wrong_credentials).waitFor();

	// The first one was for that account already.
	const waits = alert.getByText(/^Too many tries\. Wait \d+ (second|minute)s?\.$/);
	for (let tries = 2; tries <= 4; tries++) {
		await guest.signIn(`guess ${tries}`, ana.account.username);
		await alert.getByText(en.errors.wrong_credentials).waitFor();
	}
	await guest.signIn('the next guess', ana.account.username);
	await waits.waitFor();
	// And the right one is as good as a wrong one now.
	await guest.signIn(ana.account.password, ana.account.username);
	await waits.waitFor();
	expect(new URL(guest.page.url()).pathname).toBe('/sign-in');
});

test('signing up: what is missing, wrong or taken is said where it is', async () => {
	const ana = await stage.person('Ana First');
	const other = await stage.visitor('Ana Second');
	other.expectErrors(REFUSED);
	await other.goto('/sign-up');
	await other.field(en.signUp.password).pressSequentially('short');
	await other.page.getByText(en.signUp.strength.short(5)).waitFor();
	await other.field(en.signUp.password).clear();
	await other.button(en.signUp.submit).click();
	for (const words of [
		en.signUp.nameMissing,
		en.signUp.usernameMissing,
		en.signUp.emailMissing,
		en.signUp.passwordShort(10)
	]) {
		await other.page.getByText(words).first().waitFor();
	}
	expect(await other.field(en.signUp.name).evaluate((field) => field.matches(':focus'))).toBe(true);

	other.account.username = ana.account.username;
	await other.field(en.signUp.name).fill(other.name);
	await other.field(en.signUp.username).fill('ana first');
	await other.page.getByText(en.signUp.usernameCharacters).waitFor();
	await other.field(en.signUp.username).fill(ana.account.username);
	await other.field(en.signUp.email).fill(other.account.email);
	await other.field(en.signUp.password).fill(other.account.password);
	await other.button(en.signUp.submit).click();
	await other.page.getByText(en.errors.username_taken).waitFor();
	await other.field(en.signUp.username).fill('ana.second');
	await other.field(en.signUp.email).fill(ana.account.email);
	await other.button(en.signUp.submit).click();
	await other.page.getByText(en.errors.email_taken).waitFor();
	await other.field(en.signUp.email).fill(other.account.email);
	await other.button(en.signUp.submit).click();
	await other.isSignedIn();
});

test('a changed password ends the other sessions, and the old one opens nothing', async () => {
	const ana = await stage.person('Ana Changing');
	const bruno = await stage.person('Bruno Unchanged');
	await ana.startDirect(bruno.name);
	const phone = await stage.anotherDevice(ana);
	phone.expectErrors(REFUSED);
	ana.expectErrors(REFUSED);
	const old = ana.account.password;
	const next = 'a new one for the table';

	await ana.goto('/settings');
	await ana.field(en.settings.passwordCurrent).fill('not the current one');
	await ana.field(en.settings.passwordNew).fill(next);
	await ana.button(en.settings.passwordChange).click();
	await ana.page.getByText(en.errors.wrong_password).waitFor();
	await ana.field(en.settings.passwordCurrent).fill(old);
	await ana.button(en.settings.passwordChange).click();
	await ana.page.getByText(en.settings.passwordChanged).waitFor();

	await isDark(phone, bruno.name);
	await phone.signIn(old);
	await phone.page.getByText(en.errors.wrong_credentials).waitFor();
	await phone.signIn(next);
	await phone.isSignedIn();

	// This session goes on, under a new key, and still hears what is said.
	await bruno.open(ana.name);
	await bruno.say('Still there?');
	await ana.unread(bruno.name, 1).waitFor();
	await ana.page.reload();
	await ana.unread(bruno.name, 1).waitFor();
	await eventually(() => ana.page.title()).toMatch(/^\(1\) /);
});

const IPHONE =
	'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1';
