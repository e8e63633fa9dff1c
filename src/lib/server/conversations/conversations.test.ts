import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConversationDelta } from '#lib/shared/events.ts';
import {
	lockIsAwaited,
	openStream,
	somebody,
	testApp,
	type TestApp,
	type TestPerson,
	type TestStream
} from '../testing.ts';

let app: TestApp;
let ana: TestPerson;
let ben: TestPerson;
let carla: TestPerson;
let outsider: TestPerson;

beforeAll(async () => {
	app = await testApp();
	[ana, ben, carla, outsider] = await Promise.all([
		somebody(app.services, 'Ana'),
		somebody(app.services, 'Ben'),
		somebody(app.services, 'Carla'),
		somebody(app.services, 'Outsider')
	]);
});
afterAll(() => app.close());

async function group(...people: TestPerson[]): Promise<string> {
	const { snapshot } = await ana.call.conversations.createGroup({
		id: uuidv7(),
		name: 'Group',
		personIds: people.map(({ id }) => id)
	});
	return snapshot.conversation.id;
}

const notices = (delta: ConversationDelta) =>
	delta.changes.flatMap((change) =>
		change.type === 'message.changed' && change.message.kind === 'notice'
			? change.message.notice
			: []
	);

describe('an outsider', () => {
	test('can do nothing to a group, which does not exist for them', async () => {
		const conversationId = await group(ben);
		const { conversations } = outsider.call;
		const attempts = [
			conversations.rename({ conversationId, name: 'Mine' }),
			conversations.addPeople({ conversationId, personIds: [outsider.id] }),
			conversations.removePerson({ conversationId, personId: ben.id }),
			conversations.leave({ conversationId }),
			conversations.members({ conversationId }),
			conversations.markRead({ conversationId, seq: 1 }),
			conversations.markRead({ conversationId, seq: 1, unread: true })
		];
		for (const result of await Promise.allSettled(attempts)) {
			expect(result).toMatchObject({ status: 'rejected', reason: { message: 'not_found' } });
		}
		const missing = conversations.members({ conversationId: uuidv7() });
		await expect(missing).rejects.toThrow('not_found');
	});

	test('cannot learn of a group by creating one with its id', async () => {
		const id = await group(ben);
		await expect(
			outsider.call.conversations.createGroup({ id, name: 'Twin', personIds: [ben.id] })
		).rejects.toThrow('not_found');
	});

	test('who was removed hears and finds nothing from then on', async () => {
		const conversationId = await group(ben, carla);
		const [gone, here] = [
			await openStream(app.services, carla),
			await openStream(app.services, ben)
		];
		await ana.call.conversations.removePerson({ conversationId, personId: carla.id });
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'now we are two' });
		await here.hears('conversation.advanced', ({ delta }) => delta.changes.length > 0);
		await expect.poll(() => here.bodies).toEqual(['now we are two']);
		await gone.hears('person.advanced', ({ delta }) => delta.changes.some(({ left }) => left));
		expect(gone.heard.filter(({ type }) => type === 'conversation.advanced')).toEqual([]);
		await expect(carla.call.messages.page({ conversationId })).rejects.toThrow('not_found');
		await expect(
			carla.call.messages.send({ id: uuidv7(), conversationId, body: 'still here' })
		).rejects.toThrow('not_found');
	});
});

describe('direct conversations', () => {
	test('there is one per pair, also when both start it at the same instant', async () => {
		for (let i = 0; i < 10; i++) {
			const [one, two] = [await somebody(app.services), await somebody(app.services)];
			const openings = await Promise.all([
				one.call.conversations.startDirect({ personId: two.id }),
				two.call.conversations.startDirect({ personId: one.id }),
				one.call.conversations.startDirect({ personId: two.id })
			]);
			const ids = new Set(openings.map(({ snapshot }) => snapshot.conversation.id));
			expect(ids.size).toBe(1);
			expect(openings[0]?.snapshot.peerId).toBe(two.id);
			expect(openings[1]?.snapshot.peerId).toBe(one.id);
		}
	});

	test('with nobody, and with oneself, there is none', async () => {
		const { conversations } = ana.call;
		await expect(conversations.startDirect({ personId: uuidv7() })).rejects.toThrow('not_found');
		await expect(conversations.startDirect({ personId: ana.id })).rejects.toThrow('not_found');
	});

	test('cannot be renamed, joined or left', async () => {
		const { snapshot } = await ana.call.conversations.startDirect({ personId: ben.id });
		const conversationId = snapshot.conversation.id;
		const { conversations } = ana.call;
		const attempts = [
			conversations.rename({ conversationId, name: 'Us' }),
			conversations.addPeople({ conversationId, personIds: [carla.id] }),
			conversations.leave({ conversationId })
		];
		for (const result of await Promise.allSettled(attempts)) {
			expect(result).toMatchObject({ status: 'rejected', reason: { message: 'not_allowed' } });
		}
	});
});

describe('groups', () => {
	test('creating one again with the same id returns the same group', async () => {
		const input = { id: uuidv7(), name: 'Retry', personIds: [ben.id] };
		const first = await ana.call.conversations.createGroup(input);
		expect(await ana.call.conversations.createGroup(input)).toEqual(first);
		expect(first.snapshot).toMatchObject({ lastSeq: 1, readSeq: 1, version: 4, role: 'owner' });
	});

	test('a group with somebody who does not exist is not made', async () => {
		const id = uuidv7();
		await expect(
			ana.call.conversations.createGroup({ id, name: 'Ghosts', personIds: [ben.id, uuidv7()] })
		).rejects.toThrow('not_found');
		await expect(ana.call.conversations.members({ conversationId: id })).rejects.toThrow();
	});

	test('renaming, adding, removing and leaving are told in the timeline', async () => {
		const conversationId = await group(ben);
		const { conversations } = ana.call;
		const renamed = await conversations.rename({ conversationId, name: 'Better' });
		expect(notices(renamed)).toEqual([{ type: 'renamed', name: 'Better' }]);
		const added = await conversations.addPeople({ conversationId, personIds: [carla.id, ben.id] });
		expect(notices(added)).toEqual([{ type: 'added', personIds: [carla.id] }]);
		expect(added.version - added.base).toBe(2);
		const removed = await conversations.removePerson({ conversationId, personId: carla.id });
		expect(notices(removed)).toEqual([{ type: 'removed', personId: carla.id }]);
		await ben.call.conversations.leave({ conversationId });
		const { messages } = await ana.call.messages.page({ conversationId });
		expect(messages.map((m) => (m.kind === 'notice' ? m.notice.type : m.kind))).toEqual([
			'created',
			'renamed',
			'added',
			'removed',
			'left'
		]);
	});

	test('who is added has nothing unread of before, and comes back after leaving', async () => {
		const conversationId = await group(ben);
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'before' });
		await ana.call.conversations.addPeople({ conversationId, personIds: [carla.id] });
		const find = async () =>
			(await carla.call.sync.since({ conversations: {} })).snapshots.find(
				({ conversation }) => conversation.id === conversationId
			);
		const snapshot = await find();
		expect((snapshot?.lastSeq ?? 0) - (snapshot?.readSeq ?? 0)).toBe(1);
		await carla.call.conversations.leave({ conversationId });
		expect(await find()).toBeUndefined();
		await ana.call.conversations.addPeople({ conversationId, personIds: [carla.id] });
		expect(await find()).toBeDefined();
	});

	test('only owners and admins remove others', async () => {
		const conversationId = await group(ben, carla);
		await expect(
			ben.call.conversations.removePerson({ conversationId, personId: carla.id })
		).rejects.toThrow('not_allowed');
		await expect(
			ben.call.conversations.removePerson({ conversationId, personId: ana.id })
		).rejects.toThrow('not_allowed');
	});

	test('the last owner hands over to who has been there longest', async () => {
		const conversationId = await group(ben);
		await ana.call.conversations.addPeople({ conversationId, personIds: [carla.id] });
		await ana.call.conversations.leave({ conversationId });
		const { members } = await ben.call.conversations.members({ conversationId });
		const roles = new Map(members.map((m) => [m.person.id, m.left ? 'left' : m.role]));
		expect(roles).toEqual(
			new Map([
				[ana.id, 'left'],
				[ben.id, 'owner'],
				[carla.id, 'member']
			])
		);
	});
});

/** Others hear of how far somebody has read in passing alone (`receipts`). */
const durable = (stream: TestStream) =>
	stream.heard.map(({ type }) => type).filter((type) => type !== 'receipts.changed');

describe('read positions', () => {
	test('move forward, never back and never past the end, and are told to one’s other devices', async () => {
		const conversationId = await group(ben);
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'one' });
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'two' });
		const [mine, theirs] = [
			await openStream(app.services, ben),
			await openStream(app.services, ana)
		];
		await ben.call.conversations.markRead({ conversationId, seq: 2 });
		await ben.call.conversations.markRead({ conversationId, seq: 1 });
		await ben.call.conversations.markRead({ conversationId, seq: 99 });
		await mine.hears('person.advanced', ({ delta }) =>
			delta.changes.some(({ readSeq }) => readSeq === 3)
		);
		const answer = await ben.call.sync.since({ conversations: { [conversationId]: 6 } });
		expect(answer.readSeqs[conversationId]).toBe(3);
		expect(durable(theirs)).toEqual(['stream.opened']);
	});

	test('stay where they are when one marks as unread, until one reads again, on all devices', async () => {
		const conversationId = await group(ben);
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'one' });
		const { personVersion } = await ben.call.sync.since({ conversations: {} });
		const mine = await openStream(app.services, ben);
		const theirs = await openStream(app.services, ana);
		const told = (markedUnread: boolean) =>
			mine.hears('person.advanced', ({ delta }) =>
				delta.changes.some((change) => change.readSeq === 2 && change.markedUnread === markedUnread)
			);
		const known = { conversations: { [conversationId]: 5 }, personVersion };

		await ben.call.conversations.markRead({ conversationId, seq: 2, unread: true });
		await told(true);
		const marked = await ben.call.sync.since(known);
		expect(marked).toMatchObject({ readSeqs: { [conversationId]: 2 }, marked: [conversationId] });
		const { snapshots } = await ben.call.sync.since({ conversations: {} });
		const found = snapshots.find(({ conversation }) => conversation.id === conversationId);
		expect(found).toMatchObject({ readSeq: 2, markedUnread: true });
		const others = await ana.call.sync.since({ conversations: {} });
		expect(others.snapshots.filter(({ markedUnread }) => markedUnread)).toEqual([]);

		await ben.call.conversations.markRead({ conversationId, seq: 2 });
		await told(false);
		const read = await ben.call.sync.since(known);
		expect(read).toMatchObject({ readSeqs: { [conversationId]: 2 }, marked: [] });
		expect(durable(theirs)).toEqual(['stream.opened']);
	});

	test('are not taken from who is removed meanwhile', async () => {
		const conversationId = await group(ben);
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'one' });
		const { sql } = app.services.db;
		const marked = await sql.begin(async (tx) => {
			await tx`
				update member set left_at = now()
				where conversation_id = ${conversationId} and person_id = ${ben.id}`;
			const settled = Promise.allSettled([
				ben.call.conversations.markRead({ conversationId, seq: 2 })
			]);
			await lockIsAwaited(sql);
			return { settled };
		});
		const [outcome] = await marked.settled;
		expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'not_found' } });
	});
});
