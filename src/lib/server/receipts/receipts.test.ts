import postgres from 'postgres';
import { afterEach, describe, expect, test } from 'vitest';
import { uuidv7 } from 'uuidv7';
import { RECEIPTS_MEMBERS_MAX, RECEIVED_MAX } from '#lib/shared/receipts.ts';
import { refusal } from '../accounts/testing.ts';
import { recordingLog } from '../platform/testing.ts';
import {
	addSession,
	openStream,
	overheard,
	somebody,
	testApp,
	type TestApp,
	type TestPerson,
	type TestStream
} from '../testing.ts';
import { Receipts } from './receipts.ts';

/** Where the calls are answered, and where the streams are. */
let calls: TestApp;
let streams: TestApp;
/** Rests of conversations that a test ends by hand. */
let rests: (() => void)[] = [];
let closing: (() => Promise<void>)[] = [];

afterEach(async () => {
	for (const close of closing.reverse()) await close();
	closing = [];
	rests = [];
});

const atOnce = (over: () => void) => void setImmediate(over);
const byHand = (over: () => void) => void rests.push(over);

async function start(processes: 1 | 2, apart = atOnce, log = recordingLog().log): Promise<void> {
	const receipts = { apart };
	calls = await testApp({}, { receipts, log });
	streams = processes === 2 ? await testApp({}, { url: calls.url, receipts, log }) : calls;
	closing.push(calls.close);
	if (processes === 2) closing.push(streams.close);
}

/** A group of these, the first of whom has said so much in it. */
async function talk(messages: number, ...names: string[]) {
	const people: TestPerson[] = [];
	for (const name of names) people.push(await somebody(calls.services, name));
	const [ana, ...others] = people;
	const id = uuidv7();
	const personIds = others.map((person) => person.id);
	await ana!.call.conversations.createGroup({ id, name: 'Group', personIds });
	for (let i = 1; i < messages; i++) await say(ana!, id);
	return { id, people };
}

const say = (who: TestPerson, conversationId: string) =>
	who.call.messages.send({ id: uuidv7(), conversationId, body: 'Hello.' });
const received = (who: TestPerson, id: string, seq: number) =>
	who.call.receipts.received([[id, seq]]);
const read = (who: TestPerson, conversationId: string, seq: number) =>
	who.call.conversations.markRead({ conversationId, seq });
const of = (who: TestPerson, conversationId: string) => who.call.receipts.of({ conversationId });
const comes = (who: TestPerson) => openStream(streams.services, who);
const eventsIn = (stream: TestStream) => stream.heard.filter((e) => e.type === 'receipts.changed');
const told = (stream: TestStream, who: TestPerson) =>
	stream.hears('receipts.changed', ({ receipts }) => receipts.some((r) => r.personId === who.id));
const at = (who: TestPerson, receivedSeq: number, readSeq: number) => ({
	personId: who.id,
	receivedSeq,
	readSeq
});

/**
 * Resolves when whatever came before has been told: readings come one after the other, and this
 * person is told of what comes now, in a conversation of its own.
 */
async function allIsTold(stream: TestStream, who: TestPerson): Promise<void> {
	const other = await somebody(calls.services);
	const { snapshot } = await who.call.conversations.startDirect({ personId: other.id });
	const { id } = snapshot.conversation;
	await stream.hears('conversation.followed', (e) => e.conversationId === id);
	await say(who, id);
	await received(other, id, 1);
	await told(stream, other);
	stream.heard.splice(
		stream.heard.findLastIndex((e) => e.type === 'receipts.changed'),
		1
	);
}

const storedOf = async (who: TestPerson, id: string) => {
	const [row] = await calls.services.db.sql<{ received_seq: number }[]>`
		select received_seq from member where conversation_id = ${id} and person_id = ${who.id}`;
	return row?.received_seq;
};

describe.each([1, 2] as const)('in processes: %i', (processes) => {
	test('who is no member learns nothing, and moves nothing', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben');
		const [ana, ben] = people as [TestPerson, TestPerson];
		const eve = await somebody(calls.services, 'Eve');
		const stream = await comes(eve);
		const anas = await comes(ana);
		const nowhere = uuidv7();
		// The same answer for what there is and what there is not.
		expect(await received(eve, id, 3)).toBe(await received(eve, nowhere, 3));
		expect(await refusal(of(eve, id))).toEqual({ reason: 'not_found' });
		expect(await refusal(of(eve, nowhere))).toEqual({ reason: 'not_found' });
		await received(ben, id, 3);
		await told(anas, ben);
		await allIsTold(stream, eve);
		expect(eventsIn(stream)).toEqual([]);
		expect(await of(ana, id)).toEqual([at(ben, 3, 0)]);
		expect(eventsIn(anas).flatMap((e) => e.receipts)).toEqual([at(ben, 3, 0)]);
	});

	test('who was a member neither hears nor is heard of any more', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben', 'Cyd');
		const [ana, ben, cyd] = people as [TestPerson, TestPerson, TestPerson];
		const [anas, bens] = [await comes(ana), await comes(ben)];
		await ana.call.conversations.removePerson({ conversationId: id, personId: ben.id });
		await received(ben, id, 3);
		expect(await storedOf(ben, id)).toBe(0);
		expect(await refusal(of(ben, id))).toEqual({ reason: 'not_found' });
		await received(cyd, id, 4);
		await told(anas, cyd);
		await allIsTold(bens, ben);
		expect(eventsIn(bens)).toEqual([]);
		expect(await of(ana, id)).toEqual([at(cyd, 4, 0)]);
	});

	test('a stream that has not heard of the removal of its person is told nothing', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben', 'Cyd');
		const [ana, ben, cyd] = people as [TestPerson, TestPerson, TestPerson];
		const [anas, bens] = [await comes(ana), await comes(ben)];
		// Past all doorbells.
		await calls.services.db.sql`
			update member set left_at = now() where conversation_id = ${id} and person_id = ${ben.id}`;
		await received(cyd, id, 3);
		await told(anas, cyd);
		expect(streams.services.realtime.hub.peopleIn(id, 9)).toContain(ben.id);
		await allIsTold(bens, ben);
		expect(eventsIn(bens)).toEqual([]);
		// Nor is anybody told of who was in the doorbell, and is gone by the time of the reading.
		calls.services.realtime.announceReceipts([{ conversationId: id, personId: ben.id }]);
		await allIsTold(anas, ana);
		expect(eventsIn(anas).flatMap((e) => e.receipts)).toEqual([at(cyd, 3, 0)]);
	});

	test('where the members are too many nobody is told, asked or stored', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben');
		const [ana, ben] = people as [TestPerson, TestPerson];
		const anas = await comes(ana);
		const { sql } = calls.services.db;
		const ids = Array.from({ length: RECEIPTS_MEMBERS_MAX - 1 }, () => uuidv7());
		await sql`
			insert into person (id, name, username, email, password_hash, searchable)
			select id, 'Many', id::text, id::text, 'none', 'many' from unnest(${ids}::uuid[]) as k(id)`;
		await sql`
			insert into member (conversation_id, person_id)
			select ${id}, id from unnest(${ids}::uuid[]) as k(id)`;
		expect(await of(ana, id)).toEqual([]);
		await received(ben, id, 3);
		expect(await storedOf(ben, id)).toBe(0);
		await read(ben, id, 2);
		await allIsTold(anas, ana);
		expect(eventsIn(anas)).toEqual([]);
		// One fewer is few enough.
		await sql`
			update member set left_at = now() where conversation_id = ${id} and person_id = ${ids[0]!}`;
		expect(await of(ana, id)).toHaveLength(RECEIPTS_MEMBERS_MAX - 1);
		await received(ben, id, 3);
		await told(anas, ben);
	});

	test('who turned it off is not told of, and is not told', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben', 'Cyd');
		const [ana, ben, cyd] = people as [TestPerson, TestPerson, TestPerson];
		const [anas, bens] = [await comes(ana), await comes(ben)];
		expect(await ben.call.receipts.shows()).toBe(true);
		await ben.call.receipts.show({ shows: false });
		expect(await ben.call.receipts.shows()).toBe(false);
		expect(await of(ben, id)).toEqual([]);
		await received(ben, id, 3);
		await read(ben, id, 2);
		await received(cyd, id, 3);
		await told(anas, cyd);
		await allIsTold(anas, ana);
		expect(eventsIn(anas).flatMap((e) => e.receipts)).toEqual([at(cyd, 3, 0)]);
		expect(eventsIn(bens)).toEqual([]);
		expect(await of(ana, id)).toEqual([at(cyd, 3, 0)]);

		await ben.call.receipts.show({ shows: true });
		expect(await of(ben, id)).toEqual(expect.arrayContaining([at(ana, 1, 1), at(cyd, 3, 0)]));
		expect(await of(ana, id)).toEqual(expect.arrayContaining([at(ben, 3, 2), at(cyd, 3, 0)]));
		await read(ben, id, 3);
		await told(anas, ben);
	});

	test('the others are told what somebody receives and reads', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben');
		const [ana, ben] = people as [TestPerson, TestPerson];
		const [anas, bens] = [await comes(ana), await comes(ben)];
		expect(await of(ana, id)).toEqual([at(ben, 0, 0)]);
		await received(ben, id, 2);
		await told(anas, ben);
		// Who reads has received it.
		await read(ben, id, 3);
		await anas.hears('receipts.changed', ({ receipts }) => receipts[0]?.readSeq === 3);
		expect(eventsIn(anas)).toEqual([
			{ type: 'receipts.changed', conversationId: id, receipts: [at(ben, 2, 0)] },
			{ type: 'receipts.changed', conversationId: id, receipts: [at(ben, 3, 3)] }
		]);
		await allIsTold(bens, ben);
		expect(eventsIn(bens), 'not oneself').toEqual([]);
		expect(await of(ana, id)).toEqual([at(ben, 3, 3)]);
	});

	test('never backward, never past the end, and quiet where nothing has moved', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben');
		const [ana, ben] = people as [TestPerson, TestPerson];
		const anas = await comes(ana);
		await received(ben, id, 1_000_000);
		await told(anas, ben);
		await received(ben, id, 1);
		await received(ben, id, 3);
		expect(await storedOf(ben, id)).toBe(3);
		await read(ben, id, 3);
		await anas.hears('receipts.changed', ({ receipts }) => receipts[0]?.readSeq === 3);
		// It is read as far, and only marked to come back to.
		await ben.call.conversations.markRead({ conversationId: id, seq: 3, unread: true });
		await read(ben, id, 1);
		await allIsTold(anas, ana);
		expect(eventsIn(anas).flatMap((e) => e.receipts)).toEqual([at(ben, 3, 0), at(ben, 3, 3)]);
	});

	test('what was read is not stored as received', async () => {
		await start(processes);
		const { id, people } = await talk(3, 'Ana', 'Ben');
		const [, ben] = people as [TestPerson, TestPerson];
		await read(ben, id, 3);
		await received(ben, id, 3);
		expect(await storedOf(ben, id)).toBe(0);
	});

	test('what changes while one event is out goes together in the next', async () => {
		await start(processes, byHand);
		const { id, people } = await talk(3, 'Ana', 'Ben', 'Cyd', 'Dan');
		const [ana, ben, cyd, dan] = people as [TestPerson, TestPerson, TestPerson, TestPerson];
		const [anas, bens] = [await comes(ana), await comes(ben)];
		await received(ben, id, 1);
		await told(anas, ben);
		await received(cyd, id, 2);
		await received(ben, id, 2);
		await received(dan, id, 3);
		await read(dan, id, 2);
		await allIsTold(anas, ana);
		expect(eventsIn(anas)).toHaveLength(1);
		for (const over of rests.splice(0)) over();
		await told(anas, dan);
		const [, second, ...more] = eventsIn(anas);
		expect(more).toEqual([]);
		expect(second?.receipts).toHaveLength(3);
		expect(second?.receipts).toEqual(
			expect.arrayContaining([at(ben, 2, 0), at(cyd, 2, 0), at(dan, 3, 2)])
		);
		// One who is among several hears the same.
		await told(bens, dan);
		// And when nothing changed meanwhile, the first one goes at once again.
		for (const over of rests.splice(0)) over();
		await received(ben, id, 3);
		await anas.hears(
			'receipts.changed',
			(e) => e.receipts.length === 1 && e.receipts[0]?.receivedSeq === 3
		);
	});
});

test('many conversations go in one statement, each once however often it is named', async () => {
	await start(1);
	const { id, people } = await talk(3, 'Ana', 'Ben');
	const [ana, ben] = people as [TestPerson, TestPerson];
	const { snapshot } = await ana.call.conversations.startDirect({ personId: ben.id });
	const direct = snapshot.conversation.id;
	await say(ana, direct);
	await ben.call.receipts.received([
		[id, 1],
		[direct, 1],
		[id, 3],
		[uuidv7(), 9]
	]);
	expect([await storedOf(ben, id), await storedOf(ben, direct)]).toEqual([3, 1]);
	const many = Array.from({ length: RECEIVED_MAX + 1 }, (): [string, number] => [uuidv7(), 1]);
	expect(await refusal(ben.call.receipts.received(many))).toEqual({ trpc: 'BAD_REQUEST' });
});

test('who tells too often has to wait', async () => {
	await start(1);
	const ben = await somebody(calls.services, 'Ben');
	const tell = async () => {
		for (let i = 0; i < 100; i++) await received(ben, uuidv7(), 1);
	};
	expect(await refusal(tell())).toMatchObject({ reason: 'too_many_attempts' });
});

test('who meets another writer in a deadlock tries again', async () => {
	await start(1);
	const { id, people } = await talk(3, 'Ana', 'Ben');
	const [, ben] = people as [TestPerson, TestPerson];
	const { db, log, limits, realtime } = calls.services;
	let deadlocks = 2;
	const sql = overheard(db.sql, (statement) => {
		if (!statement.includes('update member') || deadlocks === 0) return;
		deadlocks--;
		const error = new postgres.PostgresError('deadlock detected');
		throw Object.assign(error, { code: '40P01' });
	});
	const receipts = new Receipts({ db: { ...db, sql }, log, limits, realtime });
	await receipts.received(ben.id, [[id, 3]]);
	expect(await storedOf(ben, id)).toBe(3);
	deadlocks = 3;
	await expect(receipts.received(ben.id, [[id, 4]])).rejects.toMatchObject({ code: '40P01' });
});

test('what could not be read is said to the log, and the next ones are told', async () => {
	const { log, lines } = recordingLog();
	await start(1, atOnce, log);
	const { id, people } = await talk(3, 'Ana', 'Ben');
	const [ana, ben] = people as [TestPerson, TestPerson];
	const anas = await comes(ana);
	// A person who is none: Postgres refuses the statement.
	calls.services.realtime.announceReceipts([{ conversationId: id, personId: 'nobody' }]);
	await expect.poll(lines).toContain('Reading receipts failed; the next ones tell it.');
	await received(ben, id, 3);
	await told(anas, ben);
});

test('all devices of a person are told', async () => {
	await start(1);
	const { id, people } = await talk(3, 'Ana', 'Ben');
	const [ana, ben] = people as [TestPerson, TestPerson];
	const sessionId = await addSession(calls.services, ana.id);
	const devices = [await comes(ana), await comes({ ...ana, sessionId })];
	await received(ben, id, 3);
	for (const device of devices) await told(device, ben);
});
