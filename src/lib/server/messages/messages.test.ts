import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BODY_MAX } from '#lib/shared/messages.ts';
import { MessageWriter } from './messages.ts';
import type { Listen } from '../realtime/realtime.ts';
import {
	lockIsAwaited,
	callerFor,
	openStream,
	somebody,
	testApp,
	type TestApp,
	type TestPerson
} from '../testing.ts';
import { settleReadPositions } from './settle.ts';

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

const text = (body: string, id = uuidv7()) => ({ id, conversationId, body });

describe('an outsider', () => {
	test('cannot send, read or sync a conversation of others', async () => {
		await expect(outsider.call.messages.send(text('let me in'))).rejects.toThrow('not_found');
		await expect(outsider.call.messages.page({ conversationId })).rejects.toThrow('not_found');
		const answer = await outsider.call.sync.since({ conversations: { [conversationId]: 0 } });
		expect(answer).toMatchObject({ deltas: [], snapshots: [], gone: [conversationId], people: [] });
	});

	test('cannot learn by an id whether a message exists', async () => {
		const sent = text('ours');
		await ana.call.messages.send(sent);
		const { snapshot } = await outsider.call.conversations.startDirect({ personId: ana.id });
		const own = snapshot.conversation.id;
		await expect(
			outsider.call.messages.send({ ...text('theirs', sent.id), conversationId: own })
		).rejects.toThrow('not_found');
		// Nor does the attempt change anything.
		const { messages } = await outsider.call.messages.page({ conversationId: own });
		expect(messages).toEqual([]);
	});

	test('hears nothing', async () => {
		const stream = await openStream(app.services, outsider);
		const inside = await openStream(app.services, ben);
		await ana.call.messages.send(text('between us'));
		await inside.hears('conversation.advanced');
		// What the outsider may hear comes after, by the same hub: so nothing is still on its way.
		await outsider.call.conversations.startDirect({ personId: ben.id });
		await stream.hears('person.advanced');
		expect(stream.bodies).toEqual([]);
		expect(JSON.stringify(stream.heard)).not.toContain(conversationId);
	});
});

describe('sending', () => {
	test('gives each message the next place and version', async () => {
		const before = await ana.call.messages.page({ conversationId });
		const deltas = [];
		for (const body of ['one', 'two', 'three']) {
			deltas.push(await ana.call.messages.send(text(body)));
		}
		expect(deltas.map(({ base }) => base - before.version)).toEqual([0, 1, 2]);
		const after = await ben.call.messages.page({ conversationId, after: before.lastSeq });
		expect(after.messages.map(({ seq }) => seq - before.lastSeq)).toEqual([1, 2, 3]);
	});

	test('the same id again returns the first result, in sequence and at once', async () => {
		const message = text('once');
		const first = await ana.call.messages.send(message);
		expect(await ana.call.messages.send(message)).toEqual(first);
		const twin = text('twice at once');
		const [a, b] = await Promise.all([ana.call.messages.send(twin), ana.call.messages.send(twin)]);
		expect(a).toEqual(b);
		const { messages } = await ana.call.messages.page({ conversationId });
		expect(messages.filter(({ id }) => id === message.id || id === twin.id)).toHaveLength(2);
	});

	test('the same id by two processes at once is one message', async () => {
		const other = await testApp({}, { url: app.url });
		try {
			for (let i = 0; i < 20; i++) {
				const message = text(`race ${i}`);
				const [a, b] = await Promise.all([
					app.services.writer.send(message, ana.id),
					other.services.writer.send(message, ana.id)
				]);
				expect(a).toEqual(b);
			}
		} finally {
			await other.close();
		}
	});

	test('somebody else’s id is refused as unknown, also within one batch', async () => {
		const mine = text('mine');
		const results = await Promise.allSettled([
			ana.call.messages.send(mine),
			ben.call.messages.send({ ...mine, body: 'stolen' })
		]);
		expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
	});

	test('an id of a notice is not a message of one’s own', async () => {
		const { snapshot } = await ana.call.conversations.createGroup({
			id: uuidv7(),
			name: 'Group',
			personIds: [ben.id]
		});
		const id = snapshot.lastMessage?.id ?? '';
		await expect(
			ana.call.messages.send({ id, conversationId: snapshot.conversation.id, body: 'x' })
		).rejects.toThrow('not_found');
	});

	test('many at once, to several conversations, are all there and in order', async () => {
		const groups = await Promise.all(
			[1, 2, 3].map((n) =>
				ana.call.conversations.createGroup({
					id: uuidv7(),
					name: `Group ${n}`,
					personIds: [ben.id]
				})
			)
		);
		const ids = groups.map(({ snapshot }) => snapshot.conversation.id);
		const sends = Array.from({ length: 300 }, (_, i) => ({
			id: uuidv7(),
			conversationId: ids[i % 3] ?? '',
			body: String(i)
		}));
		await Promise.all(sends.map((send, i) => (i % 2 ? ana : ben).call.messages.send(send)));
		for (const id of ids) {
			const { messages, version } = await ben.call.messages.page({
				conversationId: id,
				after: 1,
				limit: 100
			});
			const expected = sends.filter((send) => send.conversationId === id).map(({ body }) => body);
			expect(messages.map((m) => (m.kind === 'text' ? m.body : ''))).toEqual(expected);
			expect(messages.map(({ seq }) => seq)).toEqual(expected.map((_, i) => i + 2));
			expect(messages.at(-1)?.version).toBe(version);
		}
	});

	test('a bad message harms none of its batch', async () => {
		const good = Array.from({ length: 5 }, (_, i) => text(`good ${i}`));
		// Past validation on purpose: Postgres itself refuses a NUL.
		const results = await Promise.allSettled(
			[...good, text('bad \0'), text('good after')].map((input) =>
				app.services.writer.send(input, ana.id)
			)
		);
		expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
		// For good: to come back with it would be of no use.
		expect(results[5]).toMatchObject({ reason: { code: 'invalid_input' } });
	});

	test('what an earlier try has stored is answered, and harms none of its batch', async () => {
		const { db, realtime, log } = app.services;
		const writer = new MessageWriter([db.sql], realtime, log);
		const [old, other] = [text('stored'), text('stored too')];
		const [first, second] = [await writer.send(old, ana.id), await writer.send(other, ana.id)];
		const batch = [text('new'), old, text('newer'), other, { ...old, body: 'not his' }];
		const settled = await Promise.allSettled([
			...writer.sendAll(batch.slice(0, 4), ana.id),
			...writer.sendAll(batch.slice(4), ben.id)
		]);
		expect(settled.map(({ status }) => status)).toEqual([
			...Array<string>(4).fill('fulfilled'),
			'rejected'
		]);
		expect(settled[1]).toEqual({ status: 'fulfilled', value: first });
		expect(settled[3]).toEqual({ status: 'fulfilled', value: second });
		expect(settled[2]).toMatchObject({ value: { base: second.version + 1 } });
	});

	test.for(['alone', 'in a batch', 'alone, and known', 'in a batch, and known'])(
		'%s: who is removed while it waits is no member',
		async (how) => {
			const { snapshot } = await ana.call.conversations.createGroup({
				id: uuidv7(),
				name: 'Group',
				personIds: [ben.id]
			});
			const { id } = snapshot.conversation;
			const { sql } = app.services.db;
			const message = (body: string) => ({ ...text(body), conversationId: id });
			if (how.endsWith('known')) await app.services.writer.send(message('before'), ben.id);
			const sent = await sql.begin(async (tx) => {
				await tx`update conversation set version = version + 1 where id = ${id}`;
				await tx`
				update member set left_at = now(), version = ${snapshot.version + 1}
				where conversation_id = ${id} and person_id = ${ben.id}`;
				const sends = how.startsWith('alone') ? ['a'] : ['a', 'b'];
				const sent = Promise.allSettled(app.services.writer.sendAll(sends.map(message), ben.id));
				await lockIsAwaited(sql);
				return { settled: sent };
			});
			for (const outcome of await sent.settled) {
				expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'not_found' } });
			}
		}
	);

	test('who was known as a member and is removed is refused, whichever process removed them', async () => {
		const other = await testApp({}, { url: app.url });
		try {
			for (const { services } of [app, other]) {
				const { snapshot } = await ana.call.conversations.createGroup({
					id: uuidv7(),
					name: 'Group',
					personIds: [ben.id]
				});
				const { id } = snapshot.conversation;
				const send = (...bodies: string[]) =>
					Promise.allSettled(
						app.services.writer.sendAll(
							bodies.map((body) => ({ ...text(body), conversationId: id })),
							ben.id
						)
					);
				for (const sent of [...(await send('known from here on')), ...(await send('known'))]) {
					expect(sent.status).toBe('fulfilled');
				}
				await callerFor(services, ana, ana.sessionId).conversations.removePerson({
					conversationId: id,
					personId: ben.id
				});
				for (const sent of [...(await send('alone')), ...(await send('in', 'a batch'))]) {
					expect(sent).toMatchObject({ status: 'rejected', reason: { code: 'not_found' } });
				}
			}
		} finally {
			await other.close();
		}
	});

	test('two processes that do not hear each other give every place once, in order', async () => {
		const deaf: Listen = async (_hear, begun) => {
			begun();
			return { notify: async () => {}, stop: async () => {} };
		};
		const [one, two] = [
			await testApp({}, { url: app.url, listen: deaf }),
			await testApp({}, { url: app.url, listen: deaf })
		];
		try {
			const groups = await Promise.all(
				[1, 2, 3].map(async (n) => {
					const start = { id: uuidv7(), name: `Group ${n}`, personIds: [ben.id] };
					return (await ana.call.conversations.createGroup(start)).snapshot.conversation.id;
				})
			);
			const said = new Map<string, string[]>(groups.map((id) => [id, []]));
			// Now and then the other process: then what a process knows of a conversation is out of date.
			for (let turn = 0; turn < 30; turn++) {
				const { writer } = (turn % 5 < 3 ? one : two).services;
				const inputs = groups.slice(0, 1 + (turn % 3)).flatMap((conversationId) =>
					Array.from({ length: 1 + (turn % 2) }, (_, i) => ({
						...text(`${turn}.${i}`),
						conversationId
					}))
				);
				for (const { conversationId, body } of inputs) said.get(conversationId)?.push(body);
				await Promise.all(writer.sendAll(inputs, turn % 4 < 2 ? ana.id : ben.id));
			}
			for (const id of groups) {
				const { messages, version, lastSeq } = await ben.call.messages.page({
					conversationId: id,
					after: 1,
					limit: 100
				});
				expect(messages.map((m) => m.kind === 'text' && m.body)).toEqual(said.get(id));
				expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, i) => i + 2));
				expect(messages.at(-1)).toMatchObject({ version, seq: lastSeq });
			}
		} finally {
			await one.close();
			await two.close();
		}
	});

	test('reaches the streams of another process by the bell, not only by its sweep', async () => {
		const other = await testApp({}, { url: app.url, hub: { sweepMs: 3_600_000 } });
		try {
			const stream = await openStream(other.services, ben);
			await ana.call.messages.send(text('ring'));
			await stream.hears('conversation.advanced');
			expect(stream.bodies).toContain('ring');
		} finally {
			await other.close();
		}
	});

	test('refuses what is empty or too long, and counts as people do', async () => {
		await expect(ana.call.messages.send(text(' \n '))).rejects.toThrow();
		await expect(ana.call.messages.send(text('x'.repeat(BODY_MAX + 1)))).rejects.toThrow();
		const emoji = '🫖'.repeat(BODY_MAX);
		const delta = await ana.call.messages.send(text(emoji));
		expect(delta.changes[0]).toMatchObject({ message: { body: emoji } });
	});

	test('is reading: one’s own message is not unread', async () => {
		await ben.call.messages.send(text('from ben'));
		await ana.call.messages.send(text('from ana'));
		const { snapshots } = await ana.call.sync.since({ conversations: {} });
		const mine = snapshots.find(({ conversation }) => conversation.id === conversationId);
		expect(mine?.readSeq).toBe(mine?.lastSeq);
	});

	test('is reading, also for whoever reads the table, soon after', async () => {
		const { sql } = app.services.db;
		const stored = async (personId: string) => {
			const [row] = await sql<{ read_seq: number; settled_seq: number; last_seq: number }[]>`
				select m.read_seq, c.settled_seq, c.last_seq
				from member m join conversation c on c.id = m.conversation_id
				where c.id = ${conversationId} and m.person_id = ${personId}`;
			return row!;
		};
		await ben.call.messages.send(text('a word'));
		await settleReadPositions(sql, [conversationId]);
		const before = await stored(ana.id);
		expect(before.settled_seq).toBe(before.last_seq);
		await ana.call.messages.sendMany(Array.from({ length: 40 }, (_, i) => text(String(i))));
		await ben.call.messages.send(text('and a last one'));
		// By the writer itself, after so many.
		await expect
			.poll(() => stored(ana.id), { timeout: 5000 })
			.toMatchObject({ read_seq: before.last_seq + 40 });
		// A position that was ahead does not go back.
		await ana.call.messages.send(text('mine'));
		await ben.call.messages.send(text('his'));
		await ana.call.conversations.markRead({ conversationId, seq: before.last_seq + 43 });
		await settleReadPositions(sql, [conversationId]);
		const after = await stored(ana.id);
		expect(after).toEqual({
			read_seq: before.last_seq + 43,
			settled_seq: before.last_seq + 43,
			last_seq: before.last_seq + 43
		});
		expect((await stored(ben.id)).read_seq).toBe(before.last_seq + 43);
	});

	test('several in one request: each has its outcome, and a bad one harms no other', async () => {
		const before = await ana.call.messages.page({ conversationId });
		const foreign = { ...text('not mine'), conversationId: uuidv7() };
		const first = text('first');
		const outcomes = await ana.call.messages.sendMany([
			first,
			text('   '),
			foreign,
			text('second'),
			first,
			{ nonsense: true }
		]);
		const [one, empty, stranger, two, again, nonsense] = outcomes;
		expect(empty).toEqual({ error: { reason: 'invalid_input' } });
		expect(nonsense).toEqual({ error: { reason: 'invalid_input' } });
		expect(stranger).toEqual({ error: { reason: 'not_found' } });
		expect(one).toMatchObject({ delta: { base: before.version } });
		expect(two).toMatchObject({ delta: { base: before.version + 1 } });
		expect(again).toEqual(one);
		const { messages } = await ben.call.messages.page({ conversationId, after: before.lastSeq });
		expect(messages.map((m) => m.kind === 'text' && m.body)).toEqual(['first', 'second']);
		// A retry of the request, whose answer was lost, changes nothing.
		expect((await ana.call.messages.sendMany([first]))[0]).toEqual(one);
		await expect(outsider.call.messages.sendMany([text('let me in')])).resolves.toEqual([
			{ error: { reason: 'not_found' } }
		]);
		await expect(ana.call.messages.sendMany([])).rejects.toThrow();
	});

	test('several in one request: none overtakes one that has to come back', async () => {
		const other = (await ana.call.conversations.startDirect({ personId: outsider.id })).snapshot;
		// As many as fit into one batch of this writer; the first batch meets a database in trouble.
		const { db, realtime, log } = app.services;
		let troubles = 1;
		const shaky = new Proxy(db.sql, {
			apply: (target, self, parts: unknown[]) => {
				const isInsert = /with (locked|standing)/.test(String((parts[0] as string[])[0]));
				if (isInsert && troubles-- > 0) return Promise.reject(new Error('connection lost'));
				return Reflect.apply(target, self, parts) as unknown;
			}
		});
		const writer = new MessageWriter([shaky], realtime, log, { batchMax: 2 });
		const settled = await Promise.allSettled(
			writer.sendAll(
				[
					text('a'),
					text('b'),
					{ ...text('elsewhere'), conversationId: other.conversation.id },
					text('c')
				],
				ana.id
			)
		);
		expect(settled.map(({ status }) => status)).toEqual([
			'rejected',
			'rejected',
			'fulfilled',
			'rejected'
		]);
	});

	test('several in one request: the limit holds back all that come after', async () => {
		const slow = await testApp({ SEND_LIMIT_PER_MINUTE: '3' });
		try {
			const [one, two] = [await somebody(slow.services), await somebody(slow.services)];
			const { snapshot } = await one.call.conversations.startDirect({ personId: two.id });
			const own = { conversationId: snapshot.conversation.id };
			const outcomes = await one.call.messages.sendMany(
				['1', '2', '3', '4', '5'].map((body) => ({ ...text(body), ...own }))
			);
			expect(outcomes.map((o) => ('error' in o ? o.error.reason : 'sent'))).toEqual([
				'sent',
				'sent',
				'sent',
				'sending_too_fast',
				'sending_too_fast'
			]);
		} finally {
			await slow.close();
		}
	});

	test('is limited per person, with the seconds to wait', async () => {
		const slow = await testApp({ SEND_LIMIT_PER_MINUTE: '3' });
		try {
			const [one, two] = [await somebody(slow.services), await somebody(slow.services)];
			const { snapshot } = await one.call.conversations.startDirect({ personId: two.id });
			const send = (from: TestPerson) =>
				from.call.messages.send({
					id: uuidv7(),
					conversationId: snapshot.conversation.id,
					body: 'hi'
				});
			for (let i = 0; i < 3; i++) await send(one);
			await expect(send(one)).rejects.toMatchObject({
				cause: { code: 'sending_too_fast', details: { retryAfter: 20 } }
			});
			await send(two);
		} finally {
			await slow.close();
		}
	});
});

describe('history', () => {
	test('comes in pages before, after and around any place, without gaps', async () => {
		const { snapshot } = await ana.call.conversations.createGroup({
			id: uuidv7(),
			name: 'History',
			personIds: [ben.id]
		});
		const id = snapshot.conversation.id;
		await Promise.all(
			Array.from({ length: 119 }, (_, i) =>
				ana.call.messages.send({ id: uuidv7(), conversationId: id, body: String(i) })
			)
		);
		const seqs = async (place: object) =>
			(await ben.call.messages.page({ conversationId: id, ...place })).messages.map((m) => m.seq);
		const range = (from: number, to: number) =>
			Array.from({ length: to - from + 1 }, (_, i) => from + i);
		expect(await seqs({})).toEqual(range(71, 120));
		expect(await seqs({ before: 71 })).toEqual(range(21, 70));
		expect(await seqs({ before: 21 })).toEqual(range(1, 20));
		expect(await seqs({ before: 1 })).toEqual([]);
		expect(await seqs({ after: 100 })).toEqual(range(101, 120));
		expect(await seqs({ around: 60 })).toEqual(range(36, 85));
		expect(await seqs({ around: 3 })).toEqual(range(1, 50));
		expect(await seqs({ around: 120 })).toEqual(range(71, 120));
	});
});
