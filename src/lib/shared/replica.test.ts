import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MemberView } from './conversations.ts';
import type { ConversationChange, ConversationDelta } from './events.ts';
import type { MessagePage, MessageView } from './messages.ts';
import {
	CACHE_MAX,
	adoptOpening,
	applyDelta,
	applyEvent,
	applySync,
	emptyReplica,
	fromSnapshot,
	isCached,
	isUnread,
	knownVersions,
	mergeMembers,
	mergePage,
	mergeRows,
	openingPage,
	trimMessages,
	unreadCount,
	type ConversationState,
	type Replica
} from './replica.ts';
import type { SyncAnswer } from './sync.ts';

const VIEWER = 'viewer';
const ID = 'conversation';

/** A conversation as the server keeps it: rows as they are now, and what is read of them. */
class Server {
	version = 0;
	name = { value: 'Start', changed: 0 };
	readonly messages: MessageView[] = [];
	readonly members = new Map<string, MemberView>();

	post(senderId = 'ana') {
		const seq = this.messages.length + 1;
		this.messages.push(textMessage(seq, ++this.version, senderId));
	}
	edit(seq: number) {
		const held = this.messages[seq - 1];
		if (held) this.messages[seq - 1] = textMessage(seq, ++this.version, held.senderId);
	}
	standing(personId: string, left: boolean, role: MemberView['role'] = 'member') {
		const person = { id: personId, name: personId, username: personId };
		this.members.set(personId, { person, role, left, version: ++this.version });
	}
	rename(value: string) {
		this.name = { value, changed: ++this.version };
	}

	conversation() {
		const { value: name, changed } = this.name;
		return { id: ID, kind: 'group' as const, name, createdAt: 0, changed };
	}
	snapshot(): Parameters<typeof fromSnapshot>[0] {
		const lastMessage = this.messages.at(-1) ?? null;
		const own = this.messages.findLast(({ senderId }) => senderId === VIEWER);
		return {
			conversation: this.conversation(),
			version: this.version,
			lastSeq: this.messages.length,
			lastMessage,
			activeAt: lastMessage?.sentAt ?? 0,
			peerId: null,
			role: this.members.get(VIEWER)?.role ?? 'member',
			readSeq: own?.seq ?? 0,
			markedUnread: false
		};
	}
	delta(base: number): ConversationDelta {
		const changes: ConversationChange[] = [
			...this.messages
				.filter(({ version }) => version > base)
				.map((message) => ({ type: 'message.changed' as const, message })),
			...[...this.members.values()]
				.filter(({ version }) => version > base)
				.map((member) => ({ type: 'member.changed' as const, member }))
		];
		if (this.name.changed > base) {
			changes.push({ type: 'conversation.changed', conversation: this.conversation() });
		}
		return { conversationId: ID, base, version: this.version, changes };
	}
	page(from: number, to: number): MessagePage {
		const messages = this.messages.slice(Math.max(0, from - 1), to);
		return { messages, people: [], version: this.version, lastSeq: this.messages.length };
	}
	list() {
		return { version: this.version, members: [...this.members.values()] };
	}
}

function textMessage(seq: number, version: number, senderId = 'ana'): MessageView {
	const id = `message-${seq}`;
	const body = `${seq} as of ${version}`;
	return { kind: 'text', id, conversationId: ID, seq, version, senderId, sentAt: seq * 1000, body };
}

function serverWith(count: number): Server {
	const server = new Server();
	for (let i = 0; i < count; i++) server.post();
	return server;
}

const message = (seq: number, version: number, senderId?: string): ConversationChange => ({
	type: 'message.changed',
	message: textMessage(seq, version, senderId)
});

const delta = (base: number, version: number, ...changes: ConversationChange[]) => ({
	conversationId: ID,
	base,
	version,
	changes
});

const answer = (parts: Partial<SyncAnswer>): SyncAnswer => ({
	personVersion: 0,
	deltas: [],
	snapshots: [],
	reset: [],
	gone: [],
	readSeqs: {},
	marked: [],
	people: [],
	...parts
});

function replicaOf(server: Server, personVersion = 0): Replica {
	const empty = emptyReplica(VIEWER);
	return applySync(empty, answer({ personVersion, snapshots: [server.snapshot()] }), empty).replica;
}

const held = (replica: Replica): ConversationState => {
	const state = replica.conversations.get(ID);
	if (!state) throw new Error('The conversation is not known.');
	return state;
};

describe('a delta', () => {
	const state = fromSnapshot(serverWith(10).snapshot());

	test('that continues is applied', () => {
		const after = applyDelta(state, delta(10, 11, message(11, 11)), VIEWER);
		expect(after.outcome).toBe('applied');
		expect(after.state).toMatchObject({ version: 11, lastSeq: 11, activeAt: 11_000 });
		expect(after.state.lastMessage?.seq).toBe(11);
	});

	test('that leaves a gap changes nothing', () => {
		const after = applyDelta(state, delta(11, 12, message(12, 12)), VIEWER);
		expect(after).toEqual({ state, outcome: 'gap' });
	});

	test('that is known changes nothing', () => {
		const after = applyDelta(state, delta(9, 10, message(10, 10)), VIEWER);
		expect(after.outcome).toBe('known');
		expect(after.state).toBe(state);
	});

	test('never puts an older row over a newer one', () => {
		const { state: later } = applyDelta(state, delta(10, 12, message(3, 12)), VIEWER);
		const { state: after } = applyDelta(later, delta(11, 13, message(3, 11)), VIEWER);
		expect(after.version).toBe(13);
		expect(after.messages.get(3)?.version).toBe(12);
	});

	test('brings the last message that a snapshot did not tell', () => {
		const server = new Server();
		server.post();
		server.post();
		// It was changed while the snapshot was made.
		const snapshot = { ...server.snapshot(), lastMessage: null, activeAt: 1 };
		server.edit(2);
		const { state } = applyDelta(fromSnapshot(snapshot), server.delta(2), VIEWER);
		const { version, lastSeq, lastMessage, activeAt } = server.snapshot();
		expect(state).toMatchObject({ version, lastSeq, lastMessage, activeAt });
	});

	test('with kinds of a newer server is applied without them', () => {
		const odd = { type: 'poll.changed', poll: {} } as unknown as ConversationChange;
		const after = applyDelta(state, delta(10, 12, odd, message(11, 12)), VIEWER);
		expect(after.state).toMatchObject({ version: 12, lastSeq: 11 });
	});

	test('raises what the viewer has read by what the viewer says', () => {
		const others = applyDelta(state, delta(10, 11, message(11, 11)), VIEWER).state;
		expect(unreadCount(others)).toBe(11);
		expect(
			unreadCount(applyDelta(others, delta(11, 12, message(12, 12, VIEWER)), VIEWER).state)
		).toBe(0);
	});

	test("tells of the viewer's new role", () => {
		const server = serverWith(1);
		const before = fromSnapshot(server.snapshot());
		server.standing(VIEWER, false, 'admin');
		expect(applyDelta(before, server.delta(1), VIEWER).state.role).toBe('admin');
	});
});

describe('rows of an own answer', () => {
	test('show without claiming what was before them', () => {
		const state = fromSnapshot(serverWith(10).snapshot());
		const ahead = mergeRows(state, [message(12, 12, VIEWER)], VIEWER);
		expect(ahead).toMatchObject({ version: 10, lastSeq: 12, readSeq: 12 });
		const after = applyDelta(
			ahead,
			delta(10, 12, message(11, 11), message(12, 12, VIEWER)),
			VIEWER
		);
		expect(after.outcome).toBe('applied');
		expect(isCached(after.state, { from: 10, to: 12 })).toBe(true);
	});

	test('older than the snapshot are not taken for news', () => {
		const state = fromSnapshot(serverWith(10).snapshot());
		expect(mergeRows(state, [message(3, 3)], VIEWER).messages.has(3)).toBe(false);
	});
});

describe('a page', () => {
	test('that was read before the snapshot is refused', () => {
		const server = serverWith(10);
		const page = server.page(1, 10);
		server.edit(3);
		const state = fromSnapshot(server.snapshot());
		expect(mergePage(state, page, VIEWER)).toBe(state);
	});

	test('that is newer than what is known is taken, with the end that it shows', () => {
		const server = serverWith(10);
		const state = fromSnapshot(server.snapshot());
		server.post();
		const after = mergePage(state, server.page(1, 11), VIEWER);
		expect(after).toMatchObject({ version: 10, lastSeq: 11 });
		expect(isCached(after, { from: 1, to: 11 })).toBe(true);
	});
});

describe('the cache', () => {
	test('keeps the newest page and the window, and forgets what is left over', () => {
		const server = serverWith(CACHE_MAX + 100);
		const state = mergePage(fromSnapshot(server.snapshot()), server.page(1, 600), VIEWER);
		const trimmed = trimMessages(state, { from: 1, to: 150 });
		expect(trimmed.messages.size).toBeLessThan(CACHE_MAX);
		expect(isCached(trimmed, { from: 1, to: 150 })).toBe(true);
		expect(isCached(trimmed, { from: 551, to: 600 })).toBe(true);
		expect(trimMessages(trimmed, null)).toBe(trimmed);
	});

	test('does not take back an older row of what it has forgotten', () => {
		const server = serverWith(CACHE_MAX + 100);
		let state = mergePage(fromSnapshot(server.snapshot()), server.page(1, 600), VIEWER);
		const late = server.page(180, 200);
		server.edit(200);
		state = applyDelta(state, server.delta(state.version), VIEWER).state;
		for (let i = 0; i < 600; i++) server.post();
		state = trimMessages(applyDelta(state, server.delta(state.version), VIEWER).state, null);
		expect(state.messages.has(200)).toBe(false);
		expect(mergePage(state, late, VIEWER)).toBe(state);
	});
});

describe('members', () => {
	test('come as a list, and what is newer stays', () => {
		const server = serverWith(1);
		server.standing('ana', false);
		const list = server.list();
		const state = fromSnapshot({ ...server.snapshot(), version: 1 });
		server.standing('ana', true);
		const left = applyDelta(state, server.delta(1), VIEWER).state;
		const after = mergeMembers(left, list);
		expect(after.membersLoaded).toBe(true);
		expect(after.members.get('ana')?.left).toBe(true);
	});

	test('read before the snapshot are refused, as a list and one by one', () => {
		const server = serverWith(1);
		server.standing('ana', false);
		const [list, early] = [server.list(), server.delta(1)];
		server.standing('ana', true);
		const state = fromSnapshot(server.snapshot());
		expect(mergeMembers(state, list)).toBe(state);
		expect(mergeRows(state, early.changes, VIEWER).members.size).toBe(0);
	});
});

describe('the page to open with', () => {
	test.each([
		['nothing unread', 100, 100, undefined],
		['a few unread', 100, 70, undefined],
		['many unread', 300, 100, 101]
	])('%s', (_, lastSeq, readSeq, around) => {
		expect(openingPage({ lastSeq, readSeq, conversation: { id: ID } }).around).toBe(around);
	});
});

describe("the person's line", () => {
	const changed = (readSeq: number, left = false, markedUnread = false) => ({
		type: 'membership.changed' as const,
		conversationId: ID,
		readSeq,
		markedUnread,
		left
	});
	const advanced = (base: number, version: number, ...changes: ReturnType<typeof changed>[]) => ({
		type: 'person.advanced' as const,
		delta: { base, version, changes }
	});

	test('reading elsewhere shows here', () => {
		const { replica } = applyEvent(replicaOf(serverWith(10)), advanced(0, 1, changed(7)));
		expect(unreadCount(held(replica))).toBe(3);
	});

	test('marking as unread elsewhere shows here, and so does reading after it', () => {
		const server = serverWith(2);
		const marked = applyEvent(replicaOf(server), advanced(0, 1, changed(2, false, true))).replica;
		expect(unreadCount(held(marked))).toBe(0);
		expect(isUnread(held(marked))).toBe(true);
		const read = applyEvent(marked, advanced(1, 2, changed(2))).replica;
		expect(isUnread(held(read))).toBe(false);
	});

	test('a late answer of sync neither brings a mark back nor takes one away', () => {
		const asked = replicaOf(serverWith(2));
		const before = answer({ personVersion: 1, readSeqs: { [ID]: 2 }, marked: [ID] });
		const now = applyEvent(
			applyEvent(asked, advanced(0, 1, changed(2, false, true))).replica,
			advanced(1, 2, changed(2))
		).replica;
		expect(isUnread(held(applySync(now, before, asked).replica))).toBe(false);
		const inTime = applySync(asked, before, asked).replica;
		expect(isUnread(held(inTime))).toBe(true);
		const later = answer({ personVersion: 2, readSeqs: { [ID]: 2 } });
		expect(isUnread(held(applySync(inTime, later, inTime).replica))).toBe(false);
	});

	test('leaving drops the conversation', () => {
		const { replica } = applyEvent(replicaOf(serverWith(1)), advanced(0, 1, changed(0, true)));
		expect(replica.conversations.size).toBe(0);
	});

	test('a gap asks for a sync and changes nothing', () => {
		const before = replicaOf(serverWith(1));
		expect(applyEvent(before, advanced(3, 4, changed(0, true)))).toEqual({
			replica: before,
			needsSync: true
		});
	});

	test('joining what is not known asks for a sync', () => {
		expect(applyEvent(emptyReplica(VIEWER), advanced(0, 1, changed(0))).needsSync).toBe(true);
	});
});

describe('an answer of sync', () => {
	test('is asked for with what is known', () => {
		expect(knownVersions(replicaOf(serverWith(3)))).toEqual({ [ID]: 3 });
	});

	test('resets what is far behind, with messages and members', () => {
		const server = serverWith(10);
		const asked = replicaOf(server);
		let replica = asked;
		for (let i = 0; i < 300; i++) server.post();
		replica = applySync(
			replica,
			answer({ snapshots: [server.snapshot()], reset: [ID] }),
			asked
		).replica;
		expect(held(replica)).toMatchObject({ version: 310, lastSeq: 310, membersLoaded: false });
		expect([...held(replica).messages.keys()]).toEqual([310]);
	});

	test('that comes late takes back nothing', () => {
		const server = serverWith(10);
		const asked = replicaOf(server);
		const late = answer({ deltas: [server.delta(9)] });
		server.post();
		const event = { type: 'conversation.advanced' as const, delta: server.delta(10) };
		const { replica } = applyEvent(asked, event);
		expect(held(applySync(replica, late, asked).replica).version).toBe(11);
	});

	test('does not bring back what was left since it was asked for', () => {
		const server = serverWith(10);
		const asked = emptyReplica(VIEWER);
		const late = answer({ personVersion: 1, snapshots: [server.snapshot()] });
		const left = {
			type: 'membership.changed' as const,
			conversationId: ID,
			readSeq: 0,
			markedUnread: false,
			left: true
		};
		const { replica } = applyEvent(
			{ ...asked, personVersion: 1 },
			{ type: 'person.advanced', delta: { base: 1, version: 2, changes: [left] } }
		);
		const after = applySync(replica, late, asked);
		expect(after.replica.conversations.size).toBe(0);
		expect(after).toMatchObject({ needsSync: true, replica: { personVersion: 2 } });
	});

	test('drops what is gone', () => {
		const asked = replicaOf(serverWith(1));
		expect(applySync(asked, answer({ gone: [ID] }), asked).replica.conversations.size).toBe(0);
	});

	test('follows a database that was brought back from a backup', () => {
		const asked = replicaOf(serverWith(50), 9);
		const snapshot = serverWith(20).snapshot();
		const restored = answer({ personVersion: 5, snapshots: [snapshot], reset: [ID] });
		const { replica, needsSync } = applySync(asked, restored, asked);
		expect(held(replica)).toMatchObject({ version: 20, lastSeq: 20 });
		expect(replica.personVersion).toBe(5);
		expect(needsSync).toBe(false);
	});
});

test('starting a conversation that is known already changes nothing about it', () => {
	const server = serverWith(5);
	const replica = replicaOf(server);
	server.post();
	const after = adoptOpening(replica, { snapshot: server.snapshot(), people: [] });
	expect(held(after)).toBe(held(replica));
});

/**
 * What a network can do to a client: any frames, doubled, delayed, dropped, in any order, between
 * pages, own answers and syncs that are late by any amount.
 */
const change = fc.oneof(
	{ weight: 2, arbitrary: fc.record({ do: fc.constant('post' as const), own: fc.boolean() }) },
	// Few rows, changed often: that is where an old one can come back.
	{ weight: 4, arbitrary: fc.record({ do: fc.constant('edit' as const), at: fc.nat(3) }) },
	{
		weight: 3,
		arbitrary: fc.record({ do: fc.constant('stand' as const), who: fc.nat(2), left: fc.boolean() })
	},
	fc.record({ do: fc.constant('rename' as const) })
);
const delivery = fc.record({
	get: fc.constantFrom('frame', 'frame', 'frame', 'rows', 'page', 'members', 'snapshot', 'forget'),
	back: fc.nat(8)
});
const history = fc.array(fc.oneof(change, delivery), { minLength: 20, maxLength: 120 });

type Change = typeof change extends fc.Arbitrary<infer S> ? S : never;
type Delivery = typeof delivery extends fc.Arbitrary<infer S> ? S : never;

function run(server: Server, step: Change): void {
	if (step.do === 'post') server.post(step.own ? VIEWER : 'ana');
	else if (step.do === 'edit') server.edit(1 + (step.at % Math.max(1, server.messages.length)));
	else if (step.do === 'stand') server.standing([VIEWER, 'a', 'b'][step.who] ?? '', step.left);
	else server.rename(`Name ${server.version}`);
}

/** Everything that the server ever said, to be delivered at any later time. */
interface Said {
	frame: ConversationDelta;
	page: MessagePage;
	list: ReturnType<Server['list']>;
	snapshot: ReturnType<Server['snapshot']>;
}

test('whatever is delivered, in whatever order, every row is one that was, and sync makes it so', () => {
	fc.assert(
		fc.property(history, (steps) => {
			const server = serverWith(3);
			const said: Said[] = [];
			const speak = (base: number) =>
				said.push({
					frame: server.delta(base),
					page: server.page(1, server.messages.length),
					list: server.list(),
					snapshot: server.snapshot()
				});
			speak(0);
			let replica = replicaOf(server);
			for (const step of steps) {
				if ('do' in step) {
					const base = server.version;
					run(server, step);
					speak(base);
					continue;
				}
				const then = said.at(-1 - (step.back % said.length));
				if (!then) continue;
				const before = held(replica);
				replica = deliver(replica, step.get, then);
				const after = held(replica);
				expect(after.version).toBeGreaterThanOrEqual(before.version);
				expect(after.readSeq).toBeGreaterThanOrEqual(before.readSeq);
				for (const [seq, row] of before.messages) {
					const now = after.messages.get(seq);
					if (now) expect(now.version).toBeGreaterThanOrEqual(row.version);
				}
				// Twice is as good as once.
				expect(deliver(replica, step.get, then)).toEqual(replica);
			}
			const sync = answer({ deltas: [server.delta(held(replica).version)] });
			const state = held(applySync(replica, sync, replica).replica);
			const { lastSeq, lastMessage, version, conversation, role, activeAt } = state;
			const { readSeq, markedUnread } = state;
			const standing = { lastSeq, lastMessage, version, conversation, role, activeAt };
			expect({ ...standing, readSeq, markedUnread }).toEqual({
				...server.snapshot(),
				peerId: undefined
			});
			for (const [seq, row] of state.messages) expect(row).toEqual(server.messages[seq - 1]);
			for (const [id, row] of state.members) expect(row).toEqual(server.members.get(id));
			if (state.membersLoaded) expect(state.members.size).toBe(server.members.size);
		}),
		{ numRuns: 1000 }
	);
});

function deliver(replica: Replica, get: Delivery['get'], then: Said): Replica {
	const state = held(replica);
	const into = (next: ConversationState): Replica => ({
		...replica,
		conversations: new Map([[ID, next]])
	});
	switch (get) {
		case 'frame':
			return applyEvent(replica, { type: 'conversation.advanced', delta: then.frame }).replica;
		case 'rows':
			return into(mergeRows(state, then.frame.changes, VIEWER));
		case 'page':
			return into(mergePage(state, then.page, VIEWER));
		case 'members':
			return into(mergeMembers(state, then.list));
		case 'snapshot':
			return applySync(replica, answer({ snapshots: [then.snapshot] }), emptyReplica(VIEWER))
				.replica;
		case 'forget':
			return into(forgetHalf(state));
	}
}

/** What a trim does, without the hundreds of messages that it takes. */
function forgetHalf(state: ConversationState): ConversationState {
	const messages = new Map(state.messages);
	let { forgotten } = state;
	for (const [seq, { version }] of state.messages) {
		if (seq % 2 === 0 || state.lastMessage?.seq === seq) continue;
		messages.delete(seq);
		forgotten = Math.max(forgotten, version);
	}
	return { ...state, messages, forgotten };
}
