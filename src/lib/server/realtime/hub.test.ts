/** Moments that a real database seldom makes: answers that are late. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ConversationChange, PersonChange } from '#lib/shared/events.ts';
import { openLog } from '../platform/log.ts';
import { TestStream } from '../testing.ts';
import type { ChangeSource, Position } from './change-source.ts';
import { Hub } from './hub.ts';

const GROUP = 'group';
const ana = { id: 'ana', sessionId: 'session of ana' };
const ben = { id: 'ben', sessionId: 'session of ben' };

/** Tables of which a test decides what they say, and when. */
class FakeTables implements ChangeSource {
	readonly members = new Set([ana.id, ben.id]);
	version = 10;
	moments = 0;
	personDeltas: ChangeSource['personDeltas'] = async () => [];
	conversationDeltas: ChangeSource['conversationDeltas'] = async () => [];

	async standing(personId: string) {
		return { version: 4, conversations: this.members.has(personId) ? [GROUP] : [] };
	}
	async memberVersions(personId: string, ids: string[]) {
		const moment = ++this.moments;
		if (!this.members.has(personId)) return [];
		return ids.map((id) => ({ id, version: this.version, moment }));
	}
	async conversationVersions(ids: string[]): Promise<Position[]> {
		return ids.map((id) => ({ id, version: this.version }));
	}
	async personVersions(): Promise<Position[]> {
		return [];
	}
	async liveSessions(ids: string[]) {
		return ids;
	}
}

let tables: FakeTables;
let hub: Hub;
let streamOfAna: TestStream;
let streamOfBen: TestStream;

beforeEach(async () => {
	tables = new FakeTables();
	hub = new Hub(tables, openLog('silent'), { sweepMs: 3_600_000 });
	[streamOfAna, streamOfBen] = [new TestStream(ana), new TestStream(ben)];
	await hub.open(streamOfAna);
	await hub.open(streamOfBen);
});
afterEach(() => hub.close(0));

const membership = (left: boolean): PersonChange => ({
	type: 'membership.changed',
	conversationId: GROUP,
	readSeq: 0,
	markedUnread: false,
	left
});
const standing = (version: number, left: boolean): ConversationChange => ({
	type: 'member.changed',
	member: { person: { id: ben.id, name: 'Ben', username: 'ben' }, role: 'member', left, version }
});

function removeBen(): void {
	tables.members.delete(ben.id);
	tables.version = 11;
	hub.publish({
		people: [{ personId: ben.id, delta: { base: 5, version: 6, changes: [membership(true)] } }],
		conversations: [
			{ conversationId: GROUP, base: 10, version: 11, changes: [standing(11, true)] }
		],
		sessions: []
	});
}

const publish = (version: number, body: string) =>
	hub.publish({
		people: [],
		conversations: [
			{
				conversationId: GROUP,
				base: version - 1,
				version,
				changes: [
					{
						type: 'message.changed',
						message: {
							id: `message ${version}`,
							conversationId: GROUP,
							seq: version,
							version,
							senderId: ana.id,
							sentAt: 0,
							kind: 'text',
							body
						}
					}
				]
			}
		],
		sessions: []
	});

async function say(body: string): Promise<void> {
	publish(++tables.version, body);
	await expect.poll(() => streamOfAna.bodies).toContain(body);
}

/** What the tables said of Ben before he was removed is on its way while he is removed. */
async function lateWordOf(then: () => void): Promise<void> {
	let asked = () => {};
	const question = new Promise<void>((resolve) => (asked = resolve));
	let answer = () => {};
	const answered = new Promise<void>((resolve) => (answer = resolve));
	tables.personDeltas = async ([from]) => {
		if (from?.version !== 4) return [];
		asked();
		await answered;
		return [{ id: ben.id, base: 4, version: 5, changes: [membership(false)] }];
	};
	hub.ring({
		people: [{ id: ben.id, base: 4, version: 5 }],
		conversations: [],
		sessions: []
	});
	await question;
	removeBen();
	then();
	answer();
	await expect.poll(() => streamOfBen.heard.map(({ type }) => type)).toContain('person.advanced');
}

test('a late word of having been added does not bring back who was removed since', async () => {
	await lateWordOf(() => {});
	await say('About Ben');
	expect(streamOfBen.bodies).toEqual([]);
	expect(streamOfBen.conversations.size).toBe(0);
});

test('and one that is true does, though the conversation has not told of it', async () => {
	await lateWordOf(() => tables.members.add(ben.id));
	await expect.poll(() => streamOfBen.conversations.has(GROUP)).toBe(true);
	expect(streamOfBen.heard.map(({ type }) => type)).toContain('conversation.followed');
	await say('Welcome back');
	expect(streamOfBen.bodies).toEqual(['Welcome back']);
});

test.for(['standing', 'memberVersions'] as const)(
	'who is removed by another process while %s is asked does not hear what somebody else began',
	async (late) => {
		const quiet = new Hub(tables, openLog('silent'), { sweepMs: 3_600_000 });
		const [first, second] = [new TestStream(ana), new TestStream(ben)];
		// What the tables say of Ben is on its way while he is removed, and Ana opens.
		let answer = () => {};
		const answered = new Promise<void>((resolve) => (answer = resolve));
		let asked = () => {};
		const question = new Promise<void>((resolve) => (asked = resolve));
		const slowly = async <T>(personId: string, said: Promise<T>): Promise<T> => {
			const word = await said;
			if (personId === ben.id) {
				asked();
				await answered;
			}
			return word;
		};
		const standing = tables.standing.bind(tables);
		const memberVersions = tables.memberVersions.bind(tables);
		if (late === 'standing') {
			tables.standing = (personId) => slowly(personId, standing(personId));
		} else {
			tables.memberVersions = (personId, ids) => slowly(personId, memberVersions(personId, ids));
		}
		const opening = quiet.open(second);
		await question;
		tables.members.delete(ben.id);
		tables.version = 11;
		await quiet.open(first);
		answer();
		await opening;
		expect(first.conversations.has(GROUP)).toBe(true);
		expect(second.conversations.has(GROUP)).toBe(false);
		quiet.close(0);
	}
);

test.for([
	['the same moment', 1],
	['different moments', 2]
] as const)('two openings that begin one line, out of %s', async ([, moments]) => {
	const quiet = new Hub(tables, openLog('silent'), { sweepMs: 3_600_000 });
	const streams = [new TestStream(ana), new TestStream(ben)];
	// Both ask before either is answered.
	let asked = 0;
	let answer = () => {};
	const answered = new Promise<void>((resolve) => (answer = resolve));
	tables.memberVersions = async (_, ids) => {
		const moment = Math.min(++asked, moments);
		if (asked === 2) answer();
		await answered;
		return ids.map((id) => ({ id, version: tables.version, moment }));
	};
	let standings = 0;
	const standing = tables.standing.bind(tables);
	tables.standing = (personId) => {
		standings++;
		return standing(personId);
	};
	await Promise.all(streams.map((stream) => quiet.open(stream)));
	expect(streams.map(({ conversations }) => conversations.has(GROUP))).toEqual([true, true]);
	// What was seen at another moment than the line began with has to be asked for again.
	expect(standings).toBe(1 + moments);
	quiet.close(0);
});

test('what comes at once is one frame; many streams hear it after the callers of this turn', async () => {
	const crowd = Array.from({ length: 30 }, () => new TestStream(ana));
	const hears = () => [streamOfAna, streamOfBen, ...crowd].map(({ bodies }) => bodies);
	publish(11, 'a');
	publish(12, 'b');
	await Promise.resolve();
	expect(streamOfBen.bodies).toEqual(['a', 'b']);
	expect(streamOfBen.heard.filter(({ type }) => type === 'conversation.advanced')).toHaveLength(1);

	for (const stream of crowd) await hub.open(stream);
	publish(13, 'c');
	await Promise.resolve();
	expect(hears().flat()).not.toContain('c');
	await new Promise((resolve) => setImmediate(resolve));
	expect(hears().every((bodies) => bodies.at(-1) === 'c')).toBe(true);
});

test('who comes back hears nothing of what was told while they were away', async () => {
	// So many that they hear it only after this turn, in which Ben comes back.
	for (let i = 0; i < 30; i++) await hub.open(new TestStream(ana));
	removeBen();
	tables.members.add(ben.id);
	hub.publish({
		people: [],
		conversations: [
			{ conversationId: GROUP, base: 11, version: 12, changes: [standing(12, false)] }
		],
		sessions: []
	});
	publish(13, 'welcome back');
	await expect.poll(() => streamOfBen.bodies).toEqual(['welcome back']);
	const told = streamOfBen.heard.filter((event) => event.type === 'conversation.advanced');
	expect(told.map(({ delta }) => delta.base)).toEqual([11]);
	expect(streamOfAna.bodies).toEqual(['welcome back']);
});

test('who is let in while a reading is under way may hear the end of it: by then it is theirs', async () => {
	removeBen();
	// Another process says two things, and lets Ben in while they are read.
	let answer = () => {};
	const answered = new Promise<void>((resolve) => (answer = resolve));
	let asked = () => {};
	const question = new Promise<void>((resolve) => (asked = resolve));
	const renamed = (changed: number): ConversationChange => ({
		type: 'conversation.changed',
		conversation: { id: GROUP, kind: 'group', name: `As of ${changed}`, createdAt: 0, changed }
	});
	tables.conversationDeltas = async ([from]) => {
		if (from?.version !== 11) return [];
		asked();
		await answered;
		return [{ id: GROUP, base: 11, version: 13, changes: [renamed(13)] }];
	};
	hub.ring({ people: [], conversations: [{ id: GROUP, base: 11, version: 13 }], sessions: [] });
	await question;
	expect(streamOfBen.conversations.has(GROUP)).toBe(false);
	tables.members.add(ben.id);
	tables.version = 14;
	hub.publish({
		people: [{ personId: ben.id, delta: { base: 4, version: 7, changes: [membership(false)] } }],
		conversations: [],
		sessions: []
	});
	await expect.poll(() => streamOfBen.conversations.has(GROUP)).toBe(true);
	const heard = () => streamOfBen.heard.filter(({ type }) => type === 'conversation.advanced');
	expect(heard()).toEqual([]);
	answer();
	await expect.poll(heard).toMatchObject([{ delta: { base: 11, version: 13 } }]);
	const words = streamOfBen.heard.map(({ type }) => type);
	expect(words.indexOf('conversation.followed')).toBeLessThan(
		words.indexOf('conversation.advanced')
	);
});
