import { beforeEach, expect, test, vi } from 'vitest';
import type { ReceivedInput } from '#lib/shared/receipts.ts';
import { emptyReplica, fromSnapshot, withConversation, withReadSeq } from '#lib/shared/replica.ts';
import { useFakePage } from '../sync/fake-page.ts';
import { FakeServer, gate, refusal, VIEWER } from '../sync/fake-server.ts';
import { ReplicaStore } from '../sync/store.svelte.ts';
import { Received } from './received.ts';

useFakePage();

let told: ReceivedInput[] = [];
let before: () => unknown;
let speaks: boolean;
let store: ReplicaStore;
let received: Received;

beforeEach(() => {
	told = [];
	before = () => {};
	speaks = true;
	store = new ReplicaStore(emptyReplica(VIEWER.id));
	received = new Received({
		store,
		tell: async (input) => {
			told.push(input);
			await before();
		},
		speaks: () => speaks,
		random: () => 0.5
	});
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** The replica learns that a conversation goes up to there. */
function arrives(id: string, lastSeq: number, readSeq = 0) {
	const snapshot = new FakeServer().snapshot();
	const conversation = { ...snapshot.conversation, id };
	const state = fromSnapshot({ ...snapshot, conversation, lastSeq, readSeq, activeAt: lastSeq });
	store.commit(withConversation(store.replica, state));
}

test('tells what is unread, the latest first, and not before the connection is live', async () => {
	arrives('a', 3);
	arrives('b', 7, 5);
	arrives('read', 9, 9);
	await pass(10_000);
	expect(told).toEqual([]);
	received.connected();
	await pass(999);
	expect(told).toEqual([]);
	await pass(1);
	const first = [
		['b', 7],
		['a', 3]
	];
	expect(told).toEqual([first]);
});

test('gathers what comes, and tells only what rose', async () => {
	arrives('a', 3);
	received.connected();
	await pass(1000);
	arrives('b', 1);
	await pass(500);
	arrives('b', 2);
	arrives('a', 3);
	await pass(500);
	expect(told).toEqual([[['a', 3]], [['b', 2]]]);
	arrives('a', 3);
	await pass(100_000);
	expect(told).toHaveLength(2);
});

test('what is read by then is not told', async () => {
	received.connected();
	arrives('a', 3);
	await pass(500);
	store.update('a', (state) => withReadSeq(state, 3));
	await pass(100_000);
	expect(told).toEqual([]);
});

test('tells again what failed, with what came since', async () => {
	before = () => {
		throw new TypeError('Failed to fetch');
	};
	received.connected();
	arrives('a', 3);
	await pass(1000);
	expect(told).toHaveLength(1);
	before = () => {};
	arrives('b', 1);
	await pass(60_000);
	expect(told).toHaveLength(2);
	expect(told[1]?.toSorted()).toEqual([
		['a', 3],
		['b', 1]
	]);
});

test('waits as long as it is told', async () => {
	before = () => {
		throw refusal('too_many_attempts', { retryAfter: 20 });
	};
	received.connected();
	arrives('a', 3);
	await pass(1000);
	arrives('a', 4);
	await pass(19_999);
	expect(told).toHaveLength(1);
	await pass(1);
	expect(told).toHaveLength(2);
});

test('one call at a time; what comes meanwhile goes with the next', async () => {
	const { opened, open } = gate();
	before = () => opened;
	received.connected();
	arrives('a', 1);
	await pass(1000);
	arrives('a', 2);
	await pass(10_000);
	expect(told).toHaveLength(1);
	open();
	await pass(1000);
	expect(told.at(-1)).toEqual([['a', 2]]);
});

test('of very many conversations it tells those that one call can hold, then the others', async () => {
	for (let i = 1; i <= 250; i++) arrives(`c${i}`, i);
	received.connected();
	await pass(3000);
	expect(told.map((input) => input.length)).toEqual([200, 50]);
	expect(told[0]?.[0]).toEqual(['c250', 250]);
});

test('without a connection it is quiet, and comes back not with everybody else', async () => {
	received.connected();
	await pass(2000);
	received.lost();
	arrives('a', 3);
	await pass(100_000);
	expect(told).toEqual([]);
	received.connected();
	await pass(2499);
	expect(told).toEqual([]);
	await pass(1);
	expect(told).toEqual([[['a', 3]]]);
});

test('only the tab that has the stream tells it', async () => {
	speaks = false;
	received.connected();
	arrives('a', 3);
	await pass(10_000);
	expect(told).toEqual([]);
	// The other one was closed.
	speaks = true;
	arrives('b', 1);
	await pass(1000);
	expect(told[0]).toHaveLength(2);
});

test('tells nothing after it was stopped', async () => {
	received.connected();
	arrives('a', 3);
	received.stop();
	arrives('a', 4);
	await pass(100_000);
	expect(told).toEqual([]);
});
