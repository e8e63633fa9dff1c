import { expect } from 'vitest';
import { en } from '#lib/client/i18n/en.ts';
import { listen } from './listener.ts';
import type { Screen } from './people.ts';
import { BROKEN, eventually, test, useStage } from './stage.ts';

const stage = useStage();
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

test('two people sign up, find each other and talk both ways', async () => {
	const ana = await stage.visitor('Ana Núñez');
	const bruno = await stage.visitor('Bruno Sá');
	await ana.signUp();
	await bruno.signUp();

	// Neither accents nor the second name have to be right.
	await bruno.startDirect('Ana Núñez', 'nunez');
	await bruno.say('Are you there?');
	await bruno.hasSent('Are you there?');

	await ana.unread(bruno.name, 1).waitFor();
	await ana.open(bruno.name);
	await ana.sees('Are you there?');
	await ana.say('Yes, just sat down.', 'Coffee?');
	await bruno.sees('Yes, just sat down.', 'Coffee?');
	await bruno.say('Coffee.');
	await ana.sees('Coffee.');

	const talk = ['Are you there?', 'Yes, just sat down.', 'Coffee?', 'Coffee.'];
	await eventually(() => ana.said()).toEqual(talk);
	await eventually(() => bruno.said()).toEqual(talk);
	expect(ana.path).toBe(bruno.path);

	await ana.page.reload();
	await eventually(() => ana.said()).toEqual(talk);
});

test('both start the same conversation, and there is one', async () => {
	const ines = await stage.person('Inés Mar');
	const omar = await stage.person('Omar Vidal');
	await Promise.all([ines.startDirect(omar.name), omar.startDirect(ines.name)]);
	expect(ines.path).toBe(omar.path);
	await ines.say('First.');
	await omar.sees('First.');
	expect(await ines.list.getByRole('link').count()).toBe(1);
});

test('quick messages of two people arrive once each, in one order', async () => {
	const ana = await stage.person('Quick Ana');
	const bruno = await stage.person('Quick Bruno');
	await ana.startDirect(bruno.name);
	await ana.say('Go.');
	await bruno.open(ana.name);
	const numbered = (who: string) => Array.from({ length: 15 }, (_, i) => `${who} ${i + 1}`);
	await Promise.all([ana.say(...numbered('a')), bruno.say(...numbered('b'))]);
	await Promise.all([ana.sees('b 15'), bruno.sees('a 15')]);
	await Promise.all([ana.hasSent('a 15'), bruno.hasSent('b 15')]);

	const said = await ana.said();
	expect(said).toHaveLength(31);
	expect(said.filter((text) => text.startsWith('a '))).toEqual(numbered('a'));
	expect(said.filter((text) => text.startsWith('b '))).toEqual(numbered('b'));
	await eventually(() => bruno.said()).toEqual(said);
});

test('what is unread is counted in list and title, and read on one device is read on all', async () => {
	const ana = await stage.person('Lucía Prado');
	const phone = await stage.anotherDevice(ana);
	const tab = await stage.anotherTab(ana);
	await tab.goto('/settings');
	const bruno = await stage.person('Mateo Gil');
	await bruno.startDirect(ana.name);
	await bruno.say('One.', 'Two.', 'Three.');

	for (const screen of [ana, phone, tab]) {
		await screen.unread(bruno.name, 3).waitFor();
		await eventually(() => screen.page.title()).toMatch(/^\(3\) /);
	}

	await ana.open(bruno.name);
	await ana.sees('Three.');
	for (const screen of [ana, phone, tab]) {
		await screen.unread(bruno.name, 3).waitFor({ state: 'detached' });
		await eventually(() => screen.page.title()).not.toContain('(');
	}

	// Also across a reload: it is the server that knows, whatever the device had kept.
	await phone.page.reload();
	await phone.row(bruno.name).waitFor();
	await eventually(() => phone.page.title()).not.toContain('(');

	await phone.open(bruno.name);
	await phone.say('Four.');
	await ana.sees('Four.');
	await bruno.sees('Four.');
	await eventually(() => bruno.page.title()).not.toContain('(');
});

test('what is marked as unread is so on all devices, also later, until one reads there again', async () => {
	const ana = await stage.person('Marked Ana');
	const phone = await stage.anotherDevice(ana, PHONE);
	const bruno = await stage.person('Marked Bruno');
	await bruno.startDirect(ana.name);
	await bruno.say('Could you look at this?');
	await ana.open(bruno.name);
	await ana.sees('Could you look at this?');
	const marked = (screen: Screen) =>
		screen.row(bruno.name).getByText(en.conversations.markedUnread, { exact: true });
	const isMarked = async (screen: Screen) => {
		await marked(screen).waitFor();
		await eventually(() => screen.page.title()).toMatch(/^\(1\) /);
	};
	const isRead = async (screen: Screen) => {
		await marked(screen).waitFor({ state: 'detached' });
		await eventually(() => screen.page.title()).not.toContain('(');
	};
	await isRead(phone);

	await ana.chooseFrom(ana.button(en.conversation.actions), en.conversation.markUnread);
	await eventually(() => new URL(ana.page.url()).pathname).toBe('/chats');
	for (const screen of [ana, phone]) await isMarked(screen);
	await phone.page.reload();
	await isMarked(phone);

	await phone.open(bruno.name);
	await phone.sees('Could you look at this?');
	for (const screen of [ana, phone]) await isRead(screen);

	// Without a network it is kept, and told when there is one.
	await phone.context.setOffline(true);
	phone.expectErrors(BROKEN);
	await phone.chooseFrom(phone.button(en.conversation.actions), en.conversation.markUnread);
	await isMarked(phone);
	await isRead(ana);
	await phone.context.setOffline(false);
	await isMarked(ana);
	await isMarked(phone);
});

test('the list is ordered by activity and shows the last message', async () => {
	const ana = await stage.person('Order Ana');
	const bruno = await stage.person('Order Bruno');
	const carla = await stage.person('Order Carla');
	await bruno.startDirect(ana.name);
	await bruno.say('From Bruno.');
	await ana.row(bruno.name).getByText('From Bruno.').waitFor();
	await carla.startDirect(ana.name);
	await carla.say('From Carla.');
	const order = async () => (await ana.list.getByRole('link').allInnerTexts()).map(firstLine);
	await eventually(order).toEqual([carla.name, bruno.name]);
	await bruno.say('Again.');
	await eventually(order).toEqual([bruno.name, carla.name]);
});

test('days are separated, and a link is a link', async () => {
	const ana = await stage.person('Day Ana');
	const bruno = await stage.person('Day Bruno');
	await ana.startDirect(bruno.name);
	await ana.say('See https://example.org/menu?a=1, it is new.');
	await ana.hasSent('See https://example.org/menu?a=1, it is new.');
	const link = ana.timeline.getByRole('link');
	expect(await link.getAttribute('href')).toBe('https://example.org/menu?a=1');
	expect(await link.getAttribute('rel')).toContain('noopener');
	await ana.say('<img src=x onerror=alert(1)> **not bold**');
	await ana.hasSent('<img src=x onerror=alert(1)> **not bold**');
	expect(await ana.timeline.locator('img').count()).toBe(0);
	expect(await ana.timeline.getByRole('region').count()).toBe(1);
});

test('a third person learns nothing: by no procedure, id, address or stream', async () => {
	const ana = await stage.person('Private Ana');
	const bruno = await stage.person('Private Bruno');
	const eve = await stage.person('Eve Oído');
	const heard = await listen(stage.url, eve);
	const secret = 'The key is under the third pot.';

	await ana.startDirect(bruno.name);
	await ana.say(secret);
	await bruno.open(ana.name);
	await bruno.sees(secret);
	const conversationId = ana.conversationId;
	const [message] = await stage.sql<{ id: string }[]>`
		select id from message where body = ${secret}`;

	const api = stage.api(eve);
	const { id: eveId } = await api.accounts.viewer.query();
	const { id: brunoId } = await stage.api(bruno).accounts.viewer.query();
	const body = 'Let me in.';
	const refused = {
		page: () => api.messages.page.query({ conversationId }),
		around: () => api.messages.page.query({ conversationId, around: 1 }),
		send: () => api.messages.send.mutate({ id: crypto.randomUUID(), conversationId, body }),
		'send with a known id': () =>
			api.messages.send.mutate({ id: message!.id, conversationId, body: secret }),
		members: () => api.conversations.members.query({ conversationId }),
		rename: () => api.conversations.rename.mutate({ conversationId, name: 'Mine' }),
		'add oneself': () => api.conversations.addPeople.mutate({ conversationId, personIds: [eveId] }),
		remove: () => api.conversations.removePerson.mutate({ conversationId, personId: brunoId }),
		leave: () => api.conversations.leave.mutate({ conversationId }),
		markRead: () => api.conversations.markRead.mutate({ conversationId, seq: 1 }),
		'a group of the same id': () =>
			api.conversations.createGroup.mutate({
				id: conversationId,
				name: 'Mine',
				personIds: [brunoId]
			})
	};
	for (const [name, call] of Object.entries(refused)) {
		const answer = await call().then(
			() => 'allowed',
			(error: unknown) => (error as { data?: { reason?: string } }).data?.reason
		);
		expect([name, answer]).toEqual([name, 'not_found']);
	}
	const nowhere = crypto.randomUUID();
	for (const id of [conversationId, nowhere]) {
		const since = await api.sync.since.mutate({ conversations: { [id]: 0 } });
		expect(since).toMatchObject({ gone: [id], snapshots: [], deltas: [], people: [] });
	}

	// Her screen shows the same as for an address that never existed.
	await eve.goto(ana.path);
	await eve.page.getByRole('heading', { name: en.errorPage.notFoundTitle }).waitFor();
	for (const word of [secret, 'Private', message!.id]) {
		expect(await eve.everything()).not.toContain(word);
	}

	// What is said to her after it arrives, so everything before it would have.
	await ana.say('And another one.');
	await bruno.sees('And another one.');
	await bruno.startDirect(eve.name);
	await bruno.say('Hello, Eve.');
	await heard.says('Hello, Eve.');
	for (const word of [secret, 'And another one.', conversationId, 'Private Ana']) {
		expect(heard.text).not.toContain(word);
	}
	heard.close();

	// And who is not signed in learns even less.
	const nobody = await stage.visitor('Nobody');
	await nobody.goto(ana.path);
	await nobody.page.waitForURL('**/sign-in?next=*');
	expect(await nobody.everything()).not.toContain(secret);
	expect((await nobody.context.request.get('/events')).status()).toBe(401);
	await expect(stage.api(nobody).messages.page.query({ conversationId })).rejects.toMatchObject({
		data: { reason: 'not_signed_in' }
	});
});

test('a group: made, renamed, joined, left, and gone at once for who is removed', async () => {
	const ana = await stage.person('Group Ana');
	const bruno = await stage.person('Group Bruno');
	const carla = await stage.person('Group Carla');
	const dario = await stage.person('Group Darío');

	await ana.createGroup('Sunday walk', bruno.name, carla.name);
	await ana.say('Who brings the map?');
	await bruno.open('Sunday walk');
	await bruno.sees('Who brings the map?');
	await carla.open('Sunday walk');

	// Anybody in it may give it a name and bring somebody.
	const menu = (screen: typeof ana) => screen.button(en.conversation.actions);
	await bruno.chooseFrom(menu(bruno), en.group.rename);
	await bruno.field(en.group.name).fill('Saturday walk');
	await bruno.button(en.common.save).click();
	for (const screen of [ana, bruno, carla]) await screen.isIn('Saturday walk');
	await ana.notice(en.notices.renamed(bruno.name, 'Saturday walk')).waitFor();
	await dario.row('Saturday walk').waitFor({ state: 'detached' });

	await carla.chooseFrom(menu(carla), en.group.add);
	await carla.choosePeople(dario.name);
	await carla.button(en.group.addSubmit(1)).click();
	await dario.open('Saturday walk');
	await dario.sees('Who brings the map?');
	await dario.say('I do.');
	await ana.sees('I do.');
	await ana.notice(en.notices.added(carla.name, [dario.name])).waitFor();
	await ana.page.getByText(en.conversations.people(4), { exact: true }).waitFor();

	// Removed: what was open goes dark, and nothing more is heard.
	const heard = await listen(stage.url, carla);
	await ana.chooseFrom(menu(ana), en.group.people);
	await ana.button(en.group.removePerson(carla.name)).click();
	await ana.button(en.group.remove).click();
	await carla.page.getByRole('heading', { name: en.conversation.leftTitle }).waitFor();
	await carla.row('Saturday walk').waitFor({ state: 'detached' });
	for (const word of ['Who brings the map?', 'I do.', 'Saturday walk']) {
		expect(await carla.everything()).not.toContain(word);
	}
	// Carla may hear of it before Ana's question is answered, which closes it.
	await ana.button(en.group.remove).waitFor({ state: 'hidden' });
	await ana.button(en.group.removePerson(carla.name)).waitFor({ state: 'hidden' });
	await ana.page.keyboard.press('Escape');
	await ana.say('Now without Carla.');
	await dario.sees('Now without Carla.');
	await bruno.startDirect(carla.name);
	await bruno.say('Sorry about that.');
	await heard.says('Sorry about that.');
	expect(heard.text).not.toContain('Now without Carla.');
	heard.close();
	await carla.page.reload();
	await carla.page.getByRole('heading', { name: en.errorPage.notFoundTitle }).waitFor();
	const conversationId = ana.conversationId;
	await expect(stage.api(carla).messages.page.query({ conversationId })).rejects.toMatchObject({
		data: { reason: 'not_found' }
	});

	// Left: by one's own wish.
	await dario.chooseFrom(menu(dario), en.group.leave);
	await dario.page.getByRole('alertdialog').getByRole('button', { name: en.group.leave }).click();
	await dario.page.waitForURL('**/chats');
	await dario.row('Saturday walk').waitFor({ state: 'detached' });
	await ana.notice(en.notices.left(dario.name)).waitFor();
	await ana.page.getByText(en.conversations.people(2), { exact: true }).waitFor();

	await bruno.open('Saturday walk');
	await bruno.say('Two of us, then.');
	await ana.sees('Two of us, then.');
});

const firstLine = (text: string) => text.split('\n').find((line) => line.includes('Order')) ?? '';
