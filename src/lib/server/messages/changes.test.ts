import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { MessageView } from '#lib/shared/messages.ts';
import type { Services } from '../services.ts';
import { since } from '../sync/sync.ts';
import {
	lockIsAwaited,
	openStream,
	somebody,
	testApp,
	type TestApp,
	type TestPerson
} from '../testing.ts';
import { messagePage } from './messages.ts';

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

async function sent(body: string, by = ana, to = conversationId) {
	const message = { id: uuidv7(), conversationId: to, body };
	await by.call.messages.send(message);
	return { id: message.id, conversationId: to };
}

function messageIn({ changes }: ConversationDelta): MessageView | undefined {
	const [change] = changes;
	return change?.type === 'message.changed' ? change.message : undefined;
}

/** As a page of the history shows it. */
async function shown(id: string, viewer = ben): Promise<MessageView | undefined> {
	const { messages } = await viewer.call.messages.page({ conversationId, limit: 100 });
	return messages.find((message) => message.id === id);
}

describe('an outsider', () => {
	test('can do nothing to a message, and does not learn that it exists', async () => {
		const message = await sent('ours');
		const { snapshot } = await outsider.call.conversations.startDirect({ personId: ana.id });
		const own = snapshot.conversation.id;
		for (const elsewhere of [conversationId, own]) {
			const key = { id: message.id, conversationId: elsewhere };
			const { call } = outsider;
			await expect(call.messages.edit({ ...key, body: 'x', edit: 1 })).rejects.toThrow('not_found');
			await expect(call.messages.delete(key)).rejects.toThrow('not_found');
			await expect(call.messages.texts(key)).rejects.toThrow('not_found');
		}
		expect(await shown(message.id)).toMatchObject({ kind: 'text', body: 'ours' });
	});

	test('hears nothing of it', async () => {
		const message = await sent('between us');
		const stream = await openStream(app.services, outsider);
		const inside = await openStream(app.services, ben);
		await ana.call.messages.edit({ ...message, body: 'between the two of us', edit: 1 });
		await ana.call.messages.delete(message);
		await inside.hears('conversation.advanced');
		await outsider.call.conversations.startDirect({ personId: ben.id });
		await stream.hears('person.advanced');
		expect(JSON.stringify(stream.heard)).not.toContain(conversationId);
	});

	test('is also who was a member, from the moment of the removal on', async () => {
		const id = uuidv7();
		await ana.call.conversations.createGroup({ id, name: 'Team', personIds: [ben.id] });
		const message = await sent('mine', ben, id);
		// The removal is under way when the edit comes, and takes its lock first.
		const { sql } = app.services.db;
		const removal = await sql.reserve();
		await removal`begin`;
		await removal`select 1 from conversation where id = ${id} for no key update`;
		const edit = ben.call.messages.edit({ ...message, body: 'still mine?', edit: 1 });
		const refused = expect(edit).rejects.toThrow('not_found');
		await lockIsAwaited(sql);
		await removal`
			update member set left_at = now() where conversation_id = ${id} and person_id = ${ben.id}`;
		await removal`commit`;
		removal.release();
		await refused;
		await expect(ben.call.messages.delete(message)).rejects.toThrow('not_found');
		await expect(ben.call.messages.texts(message)).rejects.toThrow('not_found');
	});
});

describe('who is removed while they read', () => {
	let id: string;
	let message: { id: string; conversationId: string };

	beforeEach(async () => {
		id = uuidv7();
		await ana.call.conversations.createGroup({ id, name: 'Team', personIds: [ben.id] });
		message = await sent('as they knew it', ana, id);
	});

	/** Ben's services, in whose way to the messages something happens. */
	function meanwhile(happens: () => Promise<unknown>): Services {
		const { db } = app.services;
		let times = 1;
		const sql = new Proxy(db.sql, {
			apply: (target, self, parts: unknown[]) => {
				const asked = () => Reflect.apply(target, self, parts) as Promise<unknown>;
				const text = [parts[0]].flat().join(' ');
				const isAboutMessages = /join message m on|from message m/.test(text);
				if (!isAboutMessages || times-- <= 0) return asked();
				return happens().then(asked);
			}
		});
		return { ...app.services, db: { ...db, sql } };
	}

	async function removeAndEdit() {
		await ana.call.conversations.removePerson({ conversationId: id, personId: ben.id });
		await ana.call.messages.edit({ ...message, body: 'among us now', edit: 1 });
	}

	test('reads no page with what was edited since', async () => {
		const page = messagePage(meanwhile(removeAndEdit), ben.id, { conversationId: id });
		await expect(page).rejects.toThrow('not_found');
	});

	test('is told nothing of it in a snapshot', async () => {
		const answer = await since(meanwhile(removeAndEdit), ben.id, { conversations: {} });
		const snapshot = answer.snapshots.find(({ conversation }) => conversation.id === id);
		expect(snapshot).toMatchObject({ lastSeq: 2, lastMessage: null });
	});

	test('and who is not, reads it', async () => {
		const edit = () => ana.call.messages.edit({ ...message, body: 'among us', edit: 1 });
		const page = await messagePage(meanwhile(edit), ben.id, { conversationId: id });
		expect(page.messages.at(-1)).toMatchObject({ body: 'among us' });
	});
});

describe('editing', () => {
	test('gives a message another text and keeps the earlier ones', async () => {
		const message = await sent('frist');
		await app.services.db.sql`
			update message set sent_at = sent_at - interval '1 hour' where id = ${message.id}`;
		const before = await shown(message.id);
		const answer = await ana.call.messages.edit({ ...message, body: 'first', edit: 1 });
		expect(messageIn(answer)).toEqual({
			...before,
			version: answer.version,
			body: 'first',
			edits: 1
		});
		await ana.call.messages.edit({ ...message, body: 'First!', edit: 2 });
		const texts = await ben.call.messages.texts(message);
		expect(texts.map(({ body }) => body)).toEqual(['frist', 'first', 'First!']);
		expect(texts[0]?.at).toBe(before?.sentAt);
		// The second one is of now.
		for (const { at } of texts.slice(1))
			expect(at - (texts[0]?.at ?? 0)).toBeGreaterThan(3_000_000);
	});

	test('takes the next version, and neither a place nor the order of the list', async () => {
		const message = await sent('one');
		await sent('two');
		const before = await ben.call.sync.since({ conversations: {} });
		const { base, version } = await ana.call.messages.edit({ ...message, body: '1', edit: 1 });
		const after = await ben.call.sync.since({ conversations: {} });
		const of = ({ snapshots }: typeof before) =>
			snapshots.find(({ conversation }) => conversation.id === conversationId);
		expect([base, version]).toEqual([of(before)?.version, (of(before)?.version ?? 0) + 1]);
		expect(of(after)).toEqual({ ...of(before), version });
	});

	test('is told to the others as it happens, and to who was away, however old the message is', async () => {
		const message = await sent('old');
		for (let i = 0; i < 60; i++) await sent(`newer ${i}`);
		const { version: known } = await ben.call.messages.page({ conversationId });
		const stream = await openStream(app.services, ben);
		await ana.call.messages.edit({ ...message, body: 'renewed', edit: 1 });
		await stream.hears('conversation.advanced');
		expect(stream.bodies).toEqual(['renewed']);
		await sent('and one more');
		const answer = await ben.call.sync.since({ conversations: { [conversationId]: known } });
		const [delta] = answer.deltas;
		const bodies = delta?.changes.map((change) =>
			change.type === 'message.changed' && change.message.kind === 'text' ? change.message.body : ''
		);
		expect(bodies?.toSorted()).toEqual(['and one more', 'renewed']);
	});

	test('what was sent and edited while one was away comes once', async () => {
		const { version: known } = await ben.call.messages.page({ conversationId });
		const message = await sent('new');
		await ana.call.messages.edit({ ...message, body: 'new, and better', edit: 1 });
		const { deltas } = await ben.call.sync.since({ conversations: { [conversationId]: known } });
		expect(deltas[0]?.changes).toHaveLength(1);
		expect(deltas[0]?.changes[0]).toMatchObject({ message: { body: 'new, and better', edits: 1 } });
	});

	test('reaches the streams of another process', async () => {
		const other = await testApp({}, { url: app.url });
		try {
			const message = await sent('here');
			const stream = await openStream(other.services, ben);
			await ana.call.messages.edit({ ...message, body: 'and there', edit: 1 });
			await stream.hears('conversation.advanced');
			expect(stream.bodies).toEqual(['and there']);
		} finally {
			await other.close();
		}
	});

	test('the same edit again is the same edit, also after a later one', async () => {
		const message = await sent('a');
		const first = { ...message, body: 'b', edit: 1 };
		const answer = await ana.call.messages.edit(first);
		expect(await ana.call.messages.edit(first)).toEqual(answer);
		const twin = { ...message, body: 'c', edit: 2 };
		const [one, two] = await Promise.all([
			ana.call.messages.edit(twin),
			ana.call.messages.edit(twin)
		]);
		expect(one).toEqual(two);
		// A retry that was on its way for long does not bring the older text back.
		expect(messageIn(await ana.call.messages.edit(first))).toMatchObject({ body: 'c', edits: 2 });
		expect(await ben.call.messages.texts(message)).toHaveLength(3);
	});

	test('of two devices one is first, and the other is told', async () => {
		const message = await sent('a');
		const outcomes = await Promise.allSettled([
			ana.call.messages.edit({ ...message, body: 'from the phone', edit: 1 }),
			ana.call.messages.edit({ ...message, body: 'from the desk', edit: 1 })
		]);
		expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
		expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
			reason: { message: 'changed_meanwhile' }
		});
		await expect(
			ana.call.messages.edit({ ...message, body: 'from the future', edit: 3 })
		).rejects.toThrow('changed_meanwhile');
	});

	test('the same text is no edit', async () => {
		const message = await sent('fine as it is');
		const before = await shown(message.id);
		await ana.call.messages.edit({ ...message, body: 'fine as it is', edit: 1 });
		expect(await shown(message.id)).toEqual(before);
	});

	test('is for one’s own messages, and neither for notices nor for what is too long', async () => {
		const message = await sent('mine');
		await expect(ben.call.messages.edit({ ...message, body: 'yours', edit: 1 })).rejects.toThrow(
			'not_allowed'
		);
		await expect(ana.call.messages.edit({ ...message, body: ' ', edit: 1 })).rejects.toThrow();
		const id = uuidv7();
		await ana.call.conversations.createGroup({ id, name: 'Team', personIds: [ben.id] });
		const { messages } = await ana.call.messages.page({ conversationId: id });
		const notice = { id: messages[0]?.id ?? '', conversationId: id };
		await expect(ana.call.messages.edit({ ...notice, body: 'x', edit: 1 })).rejects.toThrow(
			'not_found'
		);
		await expect(ana.call.messages.delete(notice)).rejects.toThrow('not_found');
	});

	test('does not keep the writer from the next message', async () => {
		const message = await sent('a');
		await ana.call.messages.edit({ ...message, body: 'b', edit: 1 });
		await sent('c');
		await ana.call.messages.edit({ ...message, body: 'd', edit: 2 });
		const [one, two] = await Promise.all([sent('e'), sent('f')]);
		expect([await shown(one.id), await shown(two.id)]).toMatchObject([
			{ body: 'e' },
			{ body: 'f' }
		]);
	});

	test('what was edited is what a retry of sending it is answered with', async () => {
		const message = { id: uuidv7(), conversationId, body: 'sent' };
		await ana.call.messages.send(message);
		await ana.call.messages.edit({ ...message, body: 'edited', edit: 1 });
		expect(messageIn(await ana.call.messages.send(message))).toMatchObject({ body: 'edited' });
	});
});

describe('deleting', () => {
	test('leaves the place, and nothing of what was said', async () => {
		const message = await sent('a secret');
		await ana.call.messages.edit({ ...message, body: 'another secret', edit: 1 });
		await ben.call.reactions.set({ conversationId, messageId: message.id, emoji: '👍', on: true });
		const before = await shown(message.id);
		const answer = await ana.call.messages.delete(message);
		expect(messageIn(answer)).toEqual({
			id: message.id,
			conversationId,
			seq: before?.seq,
			version: answer.version,
			senderId: ana.id,
			sentAt: before?.sentAt,
			kind: 'deleted'
		});
		expect(await shown(message.id)).toEqual(messageIn(answer));
		await expect(ben.call.messages.texts(message)).rejects.toThrow('not_found');
		const [left] = await app.services.db.sql<{ left: number }[]>`
			select (select count(*) from message_edit where message_id = ${message.id})
				+ (select count(*) from reaction where message_id = ${message.id}) as left`;
		expect(left).toEqual({ left: 0 });
		const tables = await app.services.db.sql<{ text: string }[]>`
			select m::text as text from message m where m.id = ${message.id}`;
		expect(tables[0]?.text).not.toContain('secret');
	});

	test('again is answered with the same, and after it there is nothing more to do', async () => {
		const message = await sent('gone');
		const answer = await ana.call.messages.delete(message);
		expect(await ana.call.messages.delete(message)).toEqual(answer);
		await expect(ana.call.messages.edit({ ...message, body: 'back', edit: 1 })).rejects.toThrow(
			'not_found'
		);
		await expect(
			ben.call.reactions.set({ conversationId, messageId: message.id, emoji: '👍', on: true })
		).rejects.toThrow('not_found');
		// Nor does a late retry of sending it bring it back.
		const { id } = message;
		const retry = await ana.call.messages.send({ id, conversationId, body: 'gone' });
		expect(messageIn(retry)).toMatchObject({ kind: 'deleted' });
	});

	test('is for one’s own messages', async () => {
		const message = await sent('mine');
		await expect(ben.call.messages.delete(message)).rejects.toThrow('not_allowed');
	});
});

test('edits count as messages do against sending too fast', async () => {
	const slow = await testApp({ SEND_BURST: '2', SEND_LIMIT_PER_MINUTE: '2' }, { url: app.url });
	try {
		const eva = await somebody(slow.services, 'Eva');
		const { snapshot } = await eva.call.conversations.startDirect({ personId: ben.id });
		const message = await sent('one', eva, snapshot.conversation.id);
		await eva.call.messages.edit({ ...message, body: 'two', edit: 1 });
		await expect(eva.call.messages.edit({ ...message, body: 'three', edit: 2 })).rejects.toThrow(
			'sending_too_fast'
		);
		const reaction = {
			conversationId: message.conversationId,
			messageId: message.id,
			emoji: '👍',
			on: true
		};
		await expect(eva.call.reactions.set(reaction)).rejects.toThrow('sending_too_fast');
		// What one wants to be rid of can go at any time.
		await eva.call.messages.delete(message);
	} finally {
		await slow.close();
	}
});
