import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConversationDelta } from '#lib/shared/events.ts';
import { REACTIONS_MAX, type Reaction } from '#lib/shared/reactions.ts';
import { openStream, somebody, testApp, type TestApp, type TestPerson } from '../testing.ts';

let app: TestApp;
let ana: TestPerson;
let ben: TestPerson;
let outsider: TestPerson;
let conversationId: string;

beforeAll(async () => {
	app = await testApp();
	[ana, ben, outsider] = await Promise.all([
		somebody(app.services, 'Ana'),
		somebody(app.services, 'Ben'),
		somebody(app.services, 'Outsider')
	]);
	const { snapshot } = await ana.call.conversations.startDirect({ personId: ben.id });
	conversationId = snapshot.conversation.id;
});
afterAll(() => app.close());

/** A new message, and what is needed to react to it. */
async function newMessage() {
	const id = uuidv7();
	await ana.call.messages.send({ id, conversationId, body: 'What do you think?' });
	return (emoji: string, on = true) => ({ conversationId, messageId: id, emoji, on });
}

function reactionsIn({ changes }: ConversationDelta): Reaction[] {
	const [change] = changes;
	if (change?.type !== 'message.changed' || change.message.kind !== 'text') return [];
	return change.message.reactions ?? [];
}

describe('an outsider', () => {
	test('can neither react nor hear of reactions', async () => {
		const reacting = await newMessage();
		const stream = await openStream(app.services, outsider);
		const { snapshot } = await outsider.call.conversations.startDirect({ personId: ana.id });
		const own = snapshot.conversation.id;
		for (const elsewhere of [conversationId, own]) {
			const input = { ...reacting('👍'), conversationId: elsewhere };
			await expect(outsider.call.reactions.set(input)).rejects.toThrow('not_found');
		}
		const inside = await openStream(app.services, ana);
		await ben.call.reactions.set(reacting('👍'));
		await inside.hears('conversation.advanced');
		await outsider.call.conversations.startDirect({ personId: ben.id });
		await stream.hears('person.advanced');
		expect(JSON.stringify(stream.heard)).not.toContain(conversationId);
	});
});

describe('a reaction', () => {
	test('shows who, in the order in which they came, and goes again', async () => {
		const reacting = await newMessage();
		await ben.call.reactions.set(reacting('🎉'));
		await ana.call.reactions.set(reacting('👍'));
		const both = await ana.call.reactions.set(reacting('🎉'));
		expect(reactionsIn(both)).toEqual([
			{ emoji: '🎉', personIds: [ben.id, ana.id] },
			{ emoji: '👍', personIds: [ana.id] }
		]);
		const one = await ben.call.reactions.set(reacting('🎉', false));
		expect(reactionsIn(one)).toContainEqual({ emoji: '🎉', personIds: [ana.id] });
		const last = await ana.call.reactions.set(reacting('🎉', false));
		expect(reactionsIn(last)).toEqual([{ emoji: '👍', personIds: [ana.id] }]);
		const none = await ana.call.reactions.set(reacting('👍', false));
		expect(none.changes).toMatchObject([{ message: { kind: 'text' } }]);
		expect(JSON.stringify(none.changes)).not.toContain('reactions');
	});

	test('said twice, or taken back twice, is one change', async () => {
		const reacting = await newMessage();
		const first = await ben.call.reactions.set(reacting('👍'));
		expect(await ben.call.reactions.set(reacting('👍'))).toEqual(first);
		const [one, two] = await Promise.all([
			ben.call.reactions.set(reacting('❤️')),
			ben.call.reactions.set(reacting('❤️'))
		]);
		expect(one).toEqual(two);
		const gone = await ben.call.reactions.set(reacting('👍', false));
		expect(await ben.call.reactions.set(reacting('👍', false))).toEqual(gone);
	});

	test('is heard by the others and told to who was away, with who it was', async () => {
		const cleo = await somebody(app.services, 'Cleo');
		const id = uuidv7();
		await ana.call.conversations.createGroup({ id, name: 'Team', personIds: [ben.id, cleo.id] });
		const messageId = uuidv7();
		await ana.call.messages.send({ id: messageId, conversationId: id, body: 'Lunch?' });
		const { version } = await ben.call.messages.page({ conversationId: id });
		const stream = await openStream(app.services, ben);
		await cleo.call.reactions.set({ conversationId: id, messageId, emoji: '🥗', on: true });
		const { delta } = await stream.hears('conversation.advanced');
		const reactions = [{ emoji: '🥗', personIds: [cleo.id] }];
		expect(reactionsIn(delta)).toEqual(reactions);
		const answer = await ben.call.sync.since({ conversations: { [id]: version } });
		expect(answer.deltas.map(reactionsIn)).toEqual([reactions]);
		expect(answer.people).toContainEqual(expect.objectContaining({ name: 'Cleo' }));
		const page = await ben.call.messages.page({ conversationId: id });
		expect(page.people).toContainEqual(expect.objectContaining({ name: 'Cleo' }));
	});

	test('is one emoji, and of different ones there is an end', async () => {
		const reacting = await newMessage();
		for (const text of ['', 'ok', '👍👍', '👍 ', 'x'.repeat(10_000), '1', '<b>']) {
			await expect(ben.call.reactions.set(reacting(text)), text).rejects.toThrow();
		}
		const some = Array.from({ length: REACTIONS_MAX }, (_, i) => String.fromCodePoint(0x1f600 + i));
		for (const emoji of some) await ben.call.reactions.set(reacting(emoji));
		await expect(ana.call.reactions.set(reacting('👩‍👩‍👧‍👦'))).rejects.toThrow('too_many_reactions');
		// Joining in is always possible.
		await ana.call.reactions.set(reacting(some[0] ?? ''));
		await ana.call.reactions.set(reacting('👍🏽', false));
	});
});
