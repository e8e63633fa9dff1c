import type { Locator } from 'playwright';
import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { listen } from './listener.ts';
import type { Screen } from './people.ts';
import { eventually, test, useStage } from './stage.ts';

const stage = useStage();

const wordIn = (place: Locator) => place.getByText(en.presence.online, { exact: true });
/** In the line under the name of who is talked with. */
const saysOnline = (screen: Screen) =>
	screen.page.locator('#content header').getByText(`· ${en.presence.online}`);

async function two(name: string): Promise<[Screen, Screen]> {
	const ana = await stage.person(`${name} Ana`);
	const bruno = await stage.person(`${name} Bruno`);
	await ana.startDirect(bruno.name);
	await ana.say('Hello.');
	await bruno.row(ana.name).waitFor();
	return [ana, bruno];
}

test('who talks with somebody sees them come and go, and a third one sees nothing', async () => {
	const [ana, bruno] = await two('Seen');
	const carla = await stage.person('Seen Carla');
	const carlas = await listen(stage.url, carla);
	await saysOnline(ana).waitFor();
	await wordIn(ana.row(bruno.name)).waitFor();
	await wordIn(bruno.row(ana.name)).waitFor();
	const answer = await stage.api(carla).presence.look.mutate({
		tab: 'a tab',
		personIds: [await idOf(ana), await idOf(bruno)]
	});
	expect(answer).toEqual({ online: [] });

	// With the session, so at once.
	bruno.expectErrors(/status of 401/);
	await bruno.signOut();
	await saysOnline(ana).waitFor({ state: 'detached' });
	await wordIn(ana.row(bruno.name)).waitFor({ state: 'detached' });

	await bruno.signIn();
	await saysOnline(ana).waitFor();
	expect(carlas.text).not.toContain('presence.changed');
	expect(await carla.everything()).not.toContain(bruno.name);
});

test('in the dialog of a group each is marked who is there', async () => {
	const [ana, bruno] = await two('Group');
	await ana.createGroup('Group of two', bruno.name);
	await ana.chooseFrom(ana.button(en.conversation.actions), en.group.people);
	const people = ana.page.getByRole('dialog').getByRole('listitem');
	await wordIn(people.filter({ hasText: bruno.name })).waitFor();
	expect(await wordIn(people).count(), 'not oneself').toBe(1);
});

test('who hides is not seen, and does not see; who no longer hides does', async () => {
	const [ana, bruno] = await two('Hidden');
	await saysOnline(ana).waitFor();
	await wordIn(bruno.row(ana.name)).waitFor();

	await bruno.chooseFrom(bruno.menuButton, en.settings.open);
	const shows = bruno.page.getByRole('switch', { name: en.presence.show });
	await eventually(() => shows.isChecked()).toBe(true);
	await shows.uncheck();
	await saysOnline(ana).waitFor({ state: 'detached' });
	await wordIn(ana.row(bruno.name)).waitFor({ state: 'detached' });
	await wordIn(bruno.row(ana.name)).waitFor({ state: 'detached' });

	await bruno.page.reload();
	await bruno.row(ana.name).waitFor();
	await eventually(() => shows.isEnabled()).toBe(true);
	expect(await shows.isChecked()).toBe(false);
	expect(await wordIn(bruno.list).count()).toBe(0);
	await shows.check();
	await wordIn(bruno.row(ana.name)).waitFor();
	// Whoever looks asks again within half a minute; a fresh page asks at once.
	await ana.page.reload();
	await saysOnline(ana).waitFor();
});

test('without a connection nobody is shown as online, nor in the picture of the last screen', async () => {
	const [ana, bruno] = await two('Gone');
	await saysOnline(ana).waitFor();
	await eventually(() => ana.page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(
		true
	);
	await ana.page.reload();
	await ana.isUncovered();
	await saysOnline(ana).waitFor();
	// It is kept when the page goes.
	await ana.page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide')));
	const kept = await ana.page.evaluate(() =>
		Object.keys(localStorage)
			.filter((key) => key.startsWith('tertulia.screen.'))
			.map((key) => localStorage.getItem(key))
			.join()
	);
	expect(kept).toContain(bruno.name);
	expect(kept).not.toContain(en.presence.online);

	ana.expectErrors(/ERR_|Failed to fetch/);
	await ana.context.setOffline(true);
	await saysOnline(ana).waitFor({ state: 'detached' });
	expect(await wordIn(ana.list).count()).toBe(0);
	await ana.context.setOffline(false);
	await saysOnline(ana).waitFor();
});

const idOf = async (screen: Screen) => (await stage.api(screen).accounts.viewer.query()).id;
