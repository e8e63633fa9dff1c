/** What many ask in one statement is told to each alone, and by what is true then. */
import { eq } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { session } from '../accounts/schema.ts';
import type { Sql } from '../platform/db.ts';
import type { Services } from '../services.ts';
import { addSession, somebody, testApp, type TestApp, type TestPerson } from '../testing.ts';
import { changeSource, since } from './sync.ts';

let home: TestApp;
let ana: TestPerson;
let ben: TestPerson;
let cleo: TestPerson;

beforeAll(async () => {
	home = await testApp();
	ana = await somebody(home.services);
	ben = await somebody(home.services);
	cleo = await somebody(home.services);
});
afterAll(() => home.close());

async function group(): Promise<{ id: string; version: number }> {
	const id = uuidv7();
	const { snapshot } = await ana.call.conversations.createGroup({
		id,
		name: 'Group',
		personIds: [ben.id, cleo.id]
	});
	return { id, version: snapshot.version };
}

/** The same services, where `meanwhile` happens once, after the first statement that has `part`. */
function interrupted(part: string, meanwhile: () => Promise<unknown>) {
	let isToCome = true;
	const { db } = home.services;
	const sql = new Proxy(db.sql, {
		apply(target, self, given: Parameters<Sql>) {
			const query: unknown = Reflect.apply(target, self, given);
			const [text] = given as unknown as [readonly string[]];
			if (!isToCome || !Array.isArray(text) || !text.join('').includes(part)) return query;
			isToCome = false;
			return (async () => {
				const rows: unknown = await query;
				await meanwhile();
				return rows;
			})();
		}
	});
	const services: Services = { ...home.services, db: { ...db, sql } };
	return { services, hasHappened: () => !isToCome };
}

test.each([
	['what was known is behind', (version: number) => ({ known: version })],
	['nothing was known', () => ({})]
])('who is removed after the look at their own line is told nothing: %s', async (_, knowing) => {
	const { id, version } = await group();
	const { services, hasHappened } = interrupted('m.read_seq', async () => {
		await ana.call.conversations.removePerson({ conversationId: id, personId: ben.id });
		await ana.call.messages.send({ id: uuidv7(), conversationId: id, body: 'At last' });
	});
	const { known } = knowing(version) as { known?: number };
	const answer = await since(services, ben.id, {
		conversations: known === undefined ? {} : { [id]: known }
	});
	expect(hasHappened()).toBe(true);
	expect(JSON.stringify(answer)).not.toContain('At last');
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
	const { services, hasHappened } = interrupted('where c.version > k.since', () =>
		ana.call.conversations.removePerson({ conversationId: id, personId: ben.id })
	);
	const [told] = await changeSource(services.db).conversationDeltas([{ id, version }]);
	expect(hasHappened()).toBe(true);
	const members = (told?.changes ?? []).flatMap((change) =>
		change.type === 'member.changed' ? change.member.person.id : []
	);
	expect(members).toEqual([cleo.id]);
});
