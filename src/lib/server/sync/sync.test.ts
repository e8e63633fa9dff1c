/**
 * Who is removed between two statements of one answer is told nothing of what came after; and what
 * many ask in one statement is told to each alone, and by what is true then.
 */
import { eq } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { sinceInput } from '#lib/shared/sync.ts';
import { session } from '../accounts/schema.ts';
import { listMembers } from '../conversations/conversations.ts';
import { messagePage } from '../messages/messages.ts';
import type { Sql } from '../platform/db.ts';
import type { Services } from '../services.ts';
import {
	addSession,
	openStream,
	somebody,
	testApp,
	type TestApp,
	type TestPerson
} from '../testing.ts';
import { changeSource, since } from './sync.ts';

let home: TestApp;
let ana: TestPerson;
let ben: TestPerson;
let cleo: TestPerson;
/** Parts of statements that tests wait for and have not seen yet: they may have been reworded. */
const unseen = new Set<string>();

beforeAll(async () => {
	home = await testApp();
	ana = await somebody(home.services);
	ben = await somebody(home.services);
	cleo = await somebody(home.services);
});
afterAll(() => home.close());
afterEach(() => {
	expect([...unseen]).toEqual([]);
	unseen.clear();
});

/** The same services, where `meanwhile` happens after the statement that contains `part`. */
function interrupted(part: string, meanwhile: () => Promise<unknown>): Services {
	const { db } = home.services;
	unseen.add(part);
	const sql = new Proxy(db.sql, {
		apply(target, self, given: Parameters<Sql>) {
			const query: unknown = Reflect.apply(target, self, given);
			const [text] = given as unknown as [readonly string[]];
			if (!Array.isArray(text) || !text.join('').includes(part)) return query;
			unseen.delete(part);
			return (async () => {
				const rows: unknown = await query;
				await meanwhile();
				return rows;
			})();
		}
	});
	return { ...home.services, db: { ...db, sql } };
}

async function group(): Promise<{ id: string; version: number }> {
	const id = uuidv7();
	const { snapshot } = await ana.call.conversations.createGroup({
		id,
		name: 'Group',
		personIds: [ben.id, cleo.id]
	});
	return { id, version: snapshot.version };
}

const say = (conversationId: string, body: string) =>
	ana.call.messages.send({ id: uuidv7(), conversationId, body });

/** Ben is removed, and then the others talk about him. */
async function removeBen(conversationId: string): Promise<void> {
	await ana.call.conversations.removePerson({ conversationId, personId: ben.id });
	await say(conversationId, 'At last');
	await cleo.call.conversations.leave({ conversationId });
}

test('by sync', async () => {
	const { id, version } = await group();
	await say(id, 'Hello');
	const services = interrupted('c.version <> k.known', () => removeBen(id));
	const { deltas } = await since(services, ben.id, { conversations: { [id]: version } });
	const delta = deltas.find(({ conversationId }) => conversationId === id);
	expect(delta?.version).toBe(version + 1);
	expect(delta?.changes).toHaveLength(1);
	expect(JSON.stringify(deltas)).not.toContain('At last');
});

test('by a page of history', async () => {
	const { id } = await group();
	await say(id, 'Hello');
	for (const where of [{}, { after: 1 }, { before: 1000 }, { around: 2 }]) {
		const services = interrupted('select c.version, c.last_seq from conversation c', async () => {
			await say(id, 'At last');
		});
		const { messages, lastSeq } = await messagePage(services, ben.id, {
			conversationId: id,
			...where
		});
		expect(messages.at(-1)?.seq ?? 0).toBeLessThanOrEqual(lastSeq);
	}
});

test('by the list of members', async () => {
	const { id, version } = await group();
	const services = interrupted('select c.version from conversation c', () => removeBen(id));
	const { members } = await listMembers(services, ben.id, id);
	expect(Math.max(...members.map((member) => member.version))).toBeLessThanOrEqual(version);
	expect(members.some(({ left }) => left)).toBe(false);
});

test('by the hub, whose deltas tell of no message without the removal before it', async () => {
	const { id, version } = await group();
	await say(id, 'Hello');
	const { db: late } = interrupted('where c.version > k.since', () => removeBen(id));
	const told = await changeSource(late).conversationDeltas([{ id, version }]);
	expect(told).toMatchObject([{ base: version, version: version + 1 }]);
	expect(JSON.stringify(told)).not.toContain('At last');
	// And the rest comes whole, the next time.
	const rest = await changeSource(home.services.db).conversationDeltas([
		{ id, version: version + 1 }
	]);
	expect(rest[0]?.changes?.map(({ type }) => type)).toEqual([
		'member.changed',
		'member.changed',
		'message.changed',
		'message.changed',
		'message.changed'
	]);
});

test('who listens here and is current costs no statement, and who is not is told', async () => {
	const { id } = await group();
	const stream = await openStream(home.services, ben);
	const first = await ben.call.sync.since({ conversations: {} });
	const known = Object.fromEntries(
		first.snapshots.map(({ conversation, version }) => [conversation.id, version])
	);
	const { personVersion } = first;
	const { db } = home.services;
	let asked = 0;
	const counting = new Proxy(db.sql, {
		apply(target, self, given: Parameters<Sql>) {
			asked++;
			return Reflect.apply(target, self, given) as unknown;
		}
	});
	const services = { ...home.services, db: { ...db, sql: counting } };
	const answer = await since(services, ben.id, { conversations: known, personVersion });
	expect(answer).toEqual({
		personVersion,
		deltas: [],
		snapshots: [],
		reset: [],
		gone: [],
		readSeqs: {},
		marked: [],
		people: []
	});
	expect(asked).toBe(0);

	// One missed message, and one conversation that was forgotten.
	const missed = await ben.call.sync.since({
		conversations: { ...known, [id]: known[id]! - 1 },
		personVersion
	});
	expect(missed.deltas).toMatchObject([{ conversationId: id, version: known[id] }]);
	const { [id]: _, ...others } = known;
	const forgotten = await ben.call.sync.since({ conversations: others, personVersion });
	expect(forgotten.snapshots.map(({ conversation }) => conversation.id)).toEqual([id]);
	stream.end();
});

test('an outsider who listens learns nothing by naming what others are told', async () => {
	const { id, version } = await group();
	const outsider = await somebody(home.services);
	const inside = await openStream(home.services, ben);
	const stream = await openStream(home.services, outsider);
	const { personVersion } = await outsider.call.sync.since({ conversations: {} });
	for (const known of [version, version - 1]) {
		const answer = await outsider.call.sync.since({
			conversations: { [id]: known },
			personVersion
		});
		expect(answer).toMatchObject({
			deltas: [],
			snapshots: [],
			gone: [id],
			readSeqs: {},
			marked: [],
			people: []
		});
	}
	inside.end();
	stream.end();
});

test('read positions that moved are told, and only those', async () => {
	const [one, two] = [await group(), await group()];
	const before = await ben.call.sync.since({ conversations: {} });
	const { conversationId, ...read } = { conversationId: one.id, seq: 1 };
	await ben.call.conversations.markRead({ conversationId, ...read });
	const conversations = { [one.id]: one.version, [two.id]: two.version };
	const after = await ben.call.sync.since({ conversations, personVersion: before.personVersion });
	expect(after.readSeqs).toEqual({ [one.id]: 1 });
	// A client that knows more than there is has seen a database that was restored since.
	const restored = await ben.call.sync.since({ conversations, personVersion: 1_000_000 });
	expect(restored.readSeqs).toMatchObject({ [one.id]: 1, [two.id]: 0 });
});

test('who asks at the same time is told what each has missed, of the same conversation too', async () => {
	// People who have nothing else: none waits for anything that the others do not wait for.
	const [one, two, three, outsider] = await Promise.all(
		Array.from({ length: 4 }, () => somebody(home.services))
	);
	const id = uuidv7();
	const { snapshot } = await one!.call.conversations.createGroup({
		id,
		name: 'Group',
		personIds: [two!.id, three!.id]
	});
	const { version } = snapshot;
	for (const body of ['One', 'Two']) {
		await one!.call.messages.send({ id: uuidv7(), conversationId: id, body });
	}
	const asked = [
		[one!, version],
		[two!, version + 1],
		[three!, version],
		[two!, version + 2],
		[outsider!, version]
	] as const;
	const answers = await Promise.all(
		asked.map(([person, known]) =>
			since(home.services, person.id, { conversations: { [id]: known } })
		)
	);
	const told = answers.map(({ deltas }) =>
		deltas
			.filter(({ conversationId }) => conversationId === id)
			.flatMap(({ base, changes }) => [
				base - version,
				...changes.map((change) => change.type === 'message.changed' && change.message)
			])
			.map((part) => (part && typeof part === 'object' && part.kind === 'text' ? part.body : part))
	);
	expect(told).toEqual([[0, 'One', 'Two'], [1, 'Two'], [0, 'One', 'Two'], [], []]);
	expect(answers[4]).toMatchObject({ gone: [id], snapshots: [], people: [] });
	expect(answers[1]?.people.map((person) => person.id)).toEqual([one!.id]);
});

test.for([
	[{ '01890000-0000-7000-8000-000000000000': 3 }, true],
	[{}, true],
	[{ '01890000-0000-7000-8000-000000000000': 0.5 }, false],
	[{ '01890000-0000-7000-8000-000000000000': -1 }, false],
	[{ '01890000-0000-7000-8000-000000000000': '3' }, false],
	[{ '01890000-0000-7000-8000-000000000000': Number.MAX_SAFE_INTEGER + 1 }, false],
	[{ '01890000-0000-7000-8000-000000000000': 3, nothing: 1 }, false],
	[{ "01890000-0000-7000-8000-000000000000' or 1": 3 }, false],
	[JSON.parse('{"__proto__": 1}'), false],
	[[], false],
	[null, false],
	['', false],
	[undefined, false]
] as [unknown, boolean][])(
	'what a client says that it knows: %j',
	async ([conversations, good]) => {
		const { success } = sinceInput.safeParse({ conversations });
		expect(success).toBe(good);
		const call = ben.call.sync.since({ conversations: conversations as Record<string, number> });
		if (good) await call;
		else await expect(call).rejects.toMatchObject({ code: 'BAD_REQUEST' });
	}
);

test.each([
	['what was known is behind', (version: number) => ({ known: version })],
	['nothing was known', () => ({})]
])('who is removed after the look at their own line is told nothing: %s', async (_, knowing) => {
	const { id, version } = await group();
	const services = interrupted('m.read_seq', async () => {
		await ana.call.conversations.removePerson({ conversationId: id, personId: ben.id });
		await say(id, 'Out of hearing');
	});
	const { known } = knowing(version) as { known?: number };
	const answer = await since(services, ben.id, {
		conversations: known === undefined ? {} : { [id]: known }
	});
	expect(JSON.stringify(answer)).not.toContain('Out of hearing');
	const told = [
		...answer.deltas.map(({ conversationId }) => conversationId),
		...answer.snapshots.map(({ conversation }) => conversation.id)
	];
	expect(told).not.toContain(id);
});

test('each is told of their own read positions', async () => {
	const { id, version } = await group();
	const [bens, cleos] = await Promise.all(
		[ben, cleo].map((person) => since(home.services, person.id, { conversations: {} }))
	);
	await ben.call.conversations.markRead({ conversationId: id, seq: 1 });
	const conversations = { [id]: version };
	const [toBen, toCleo] = await Promise.all([
		since(home.services, ben.id, { conversations, personVersion: bens!.personVersion }),
		since(home.services, cleo.id, { conversations, personVersion: cleos!.personVersion })
	]);
	expect(toBen.readSeqs).toEqual({ [id]: 1 });
	expect(toCleo.readSeqs).toEqual({});
});

test('a stream has a standing only by a session that is its person’s and goes on', async () => {
	const { db } = home.services;
	const { id } = await group();
	const expired = await addSession(home.services, ben.id);
	await db.orm
		.update(session)
		.set({ expiresAt: new Date(Date.now() - 1000) })
		.where(eq(session.id, expired));
	const source = changeSource(db);
	const [own, anothers, over, unknown] = await Promise.all([
		source.standing(ben.id, ben.sessionId),
		source.standing(ben.id, cleo.sessionId),
		source.standing(ben.id, expired),
		source.standing(ben.id, 'nothing')
	]);
	expect(own?.conversations).toContain(id);
	expect([anothers, over, unknown]).toEqual([null, null, null]);
});

test('versions are named by the moment at which they were seen', async () => {
	const { id, version } = await group();
	const source = changeSource(home.services.db);
	const ask = (person: TestPerson) => source.memberVersions(person.id, [id]);
	const [[bens], [cleos]] = await Promise.all([ask(ben), ask(cleo)]);
	expect([bens?.version, cleos?.version]).toEqual([version, version]);
	expect(cleos?.moment).toBe(bens?.moment);
	const [later] = await ask(ben);
	expect(later?.moment).not.toBe(bens?.moment);
});

test('a delta of members ends where the conversation was read', async () => {
	const { id, version } = await group();
	await ana.call.conversations.removePerson({ conversationId: id, personId: cleo.id });
	const services = interrupted('where c.version > k.since', () =>
		ana.call.conversations.removePerson({ conversationId: id, personId: ben.id })
	);
	const [told] = await changeSource(services.db).conversationDeltas([{ id, version }]);
	const members = (told?.changes ?? []).flatMap((change) =>
		change.type === 'member.changed' ? change.member.person.id : []
	);
	expect(members).toEqual([cleo.id]);
});

test('each is told up to the version at which the conversation was read for them', async () => {
	const { id, version } = await group();
	await say(id, 'Hello');
	const conversations = { [id]: version };
	const isReadForBoth = Promise.withResolvers<undefined>();
	let toCleo: ReturnType<typeof since> | undefined;
	// From here on both ask in the same turn, for the same conversation from the same version.
	const services: Services = interrupted('c.version <> k.known', async () => {
		if (toCleo) return isReadForBoth.resolve(undefined);
		await say(id, 'At last');
		toCleo = since(services, cleo.id, { conversations });
		await isReadForBoth.promise;
	});
	const toBen = await since(services, ben.id, { conversations });
	const told = [toBen, await toCleo].map((answer) =>
		answer?.deltas.find(({ conversationId }) => conversationId === id)
	);
	expect(told).toMatchObject([
		{ version: version + 1, changes: [{ type: 'message.changed' }] },
		{
			version: version + 2,
			changes: [{ type: 'message.changed' }, { type: 'message.changed' }]
		}
	]);
});
