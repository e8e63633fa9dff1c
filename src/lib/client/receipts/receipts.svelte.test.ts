import { flushSync } from 'svelte';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Receipt } from '#lib/shared/receipts.ts';
import { useFakePage, knowing } from '../sync/fake-page.ts';
import { FakeServer, gate, ID, settled, VIEWER } from '../sync/fake-server.ts';
import type { ReplicaStore } from '../sync/store.svelte.ts';
import { Receipts } from './receipts.svelte.ts';

useFakePage();

let asked: string[] = [];
let answer: Receipt[] = [];
let before: () => unknown;
let server: FakeServer;
let store: ReplicaStore;
let take: ReturnType<typeof knowing>['engine'];
let receipts: Receipts;

beforeEach(() => {
	asked = [];
	answer = [];
	before = () => {};
	server = new FakeServer();
	// The viewer has said so much, and the others nothing.
	for (let i = 0; i < 9; i++) server.post(VIEWER.id);
	({ store, engine: take } = knowing(server));
	receipts = new Receipts({
		viewerId: VIEWER.id,
		store,
		ask: async (conversationId) => {
			asked.push(conversationId);
			const given = answer;
			await before();
			return given;
		},
		random: () => 0.5
	});
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const at = (personId: string, receivedSeq: number, readSeq: number) => ({
	personId,
	receivedSeq,
	readSeq
});
const hears = (...told: Receipt[]) =>
	receipts.receive({ type: 'receipts.changed', conversationId: ID, receipts: told });
const states = (...seqs: number[]) =>
	seqs.map((seq) => receipts.stateOf({ conversationId: ID, seq }));

async function opened(...told: Receipt[]) {
	answer = told;
	receipts.connected();
	const close = receipts.open(ID);
	await settled();
	return close;
}

test('asks when a conversation opens, and not before the connection is live', async () => {
	answer = [at('ana', 5, 3)];
	receipts.open(ID);
	await pass(10_000);
	expect(asked).toEqual([]);
	expect(states(1)).toEqual(['sent']);
	receipts.connected();
	await settled();
	expect(asked).toEqual([ID]);
	expect(states(3, 4, 5, 6)).toEqual(['read', 'delivered', 'delivered', 'sent']);
	expect(receipts.stateOf({ conversationId: 'another', seq: 1 })).toBe('sent');
});

test('it is read when all have read it who tell', async () => {
	await opened(at('ana', 5, 5), at('ben', 4, 2), at('cyd', 9, 9));
	expect(states(2, 3, 4, 5)).toEqual(['read', 'delivered', 'delivered', 'sent']);
});

test('where nobody tells it stays sent', async () => {
	await opened();
	hears(at(VIEWER.id, 9, 9));
	expect(states(1)).toEqual(['sent']);
});

test('whoever has written has read up to there', async () => {
	await opened(at('ben', 2, 2));
	take.receive(server.post('ana'));
	await settled();
	expect(states(2, 3), 'who tells nothing, not by writing either').toEqual(['read', 'sent']);
	hears(at('ana', 3, 1), at('ben', 9, 9));
	expect(states(9)).toEqual(['read']);
});

test('follows what the stream tells; positions only rise, and one’s own is none', async () => {
	await opened(at('ana', 3, 3));
	hears(at('ana', 6, 4), at(VIEWER.id, 0, 0));
	expect(states(4, 6, 7)).toEqual(['read', 'delivered', 'sent']);
	hears(at('ana', 5, 2));
	expect(states(4, 6, 7)).toEqual(['read', 'delivered', 'sent']);
	hears(at('ben', 2, 0));
	expect(states(2, 3), 'somebody tells again').toEqual(['delivered', 'sent']);
});

test('an event that overtakes the answer is newer', async () => {
	const { opened: answered, open } = gate();
	before = () => answered;
	await opened(at('ana', 1, 1));
	hears(at('ana', 5, 5), at('ben', 4, 4));
	open();
	await settled();
	expect(states(4, 5)).toEqual(['read', 'sent']);
});

test('is asked again after the connection was lost, not with everybody else, and kept meanwhile', async () => {
	await opened(at('ana', 5, 5));
	receipts.lost();
	expect(states(5)).toEqual(['read']);
	answer = [at('ana', 7, 7)];
	await pass(100_000);
	receipts.connected();
	await pass(1499);
	expect(asked).toHaveLength(1);
	await pass(1);
	expect(asked).toEqual([ID, ID]);
	expect(states(7)).toEqual(['read']);
});

test('an answer from before the connection was lost, or the conversation closed, is worth nothing', async () => {
	const { opened: answered, open } = gate();
	before = () => answered;
	const close = await opened(at('ana', 5, 5));
	receipts.lost();
	open();
	await settled();
	expect(states(5)).toEqual(['sent']);
	close();
	receipts.connected();
	await pass(10_000);
	expect(asked).toHaveLength(1);
});

test('opens with what was known, and hears of it while it is closed', async () => {
	const close = await opened(at('ana', 5, 3));
	close();
	expect(states(3)).toEqual(['sent']);
	hears(at('ana', 6, 6));
	before = () => new Promise(() => {});
	const closeAgain = receipts.open(ID);
	expect(states(6)).toEqual(['read']);
	receipts.open('another');
	expect(asked).toEqual([ID, ID, 'another']);
	// A pane that is closed late closes only its own.
	closeAgain();
	const told = [at('ana', 2, 2)];
	receipts.receive({ type: 'receipts.changed', conversationId: 'another', receipts: told });
	expect(receipts.stateOf({ conversationId: 'another', seq: 2 })).toBe('read');
});

test('who tells nothing any more no longer counts', async () => {
	const close = await opened(at('ana', 5, 5), at('ben', 0, 0));
	expect(states(5)).toEqual(['sent']);
	close();
	await opened(at('ana', 5, 5));
	expect(states(5)).toEqual(['read']);
});

test('asks again when it failed', async () => {
	before = () => {
		throw new TypeError('Failed to fetch');
	};
	await opened(at('ana', 5, 5));
	before = () => {};
	await pass(4999);
	expect(asked).toHaveLength(1);
	await pass(1);
	expect(states(5)).toEqual(['read']);
	await pass(100_000);
	expect(asked).toHaveLength(2);
});

test('asks again when somebody joins or leaves, and not when the members become known', async () => {
	await opened(at('ana', 5, 5));
	const member = (id: string, left = false) =>
		[id, { person: { id, name: id, username: id }, role: 'member', left, version: 1 }] as const;
	const known = (...members: ReturnType<typeof member>[]) => {
		store.update(ID, (state) => ({ ...state, members: new Map(members), membersLoaded: true }));
		return settled();
	};
	await known(member(VIEWER.id), member('ana'));
	expect(asked).toHaveLength(1);
	answer = [at('ana', 5, 5), at('ben', 0, 0)];
	await known(member(VIEWER.id), member('ana'), member('ben'));
	expect(asked).toHaveLength(2);
	expect(states(5)).toEqual(['sent']);
	answer = [at('ana', 5, 5)];
	await known(member(VIEWER.id), member('ana'), member('ben', true));
	expect(asked).toHaveLength(3);
	expect(states(5)).toEqual(['read']);
});

test('who turns it off sees nothing of the others from that moment on', async () => {
	await opened(at('ana', 5, 5));
	answer = [];
	receipts.changed();
	expect(states(5)).toEqual(['sent']);
	await settled();
	expect(asked).toHaveLength(2);
});

test('what the screen shows follows', async () => {
	const shown: string[] = [];
	await opened(at('ana', 0, 0));
	const stop = $effect.root(() => {
		$effect(() => void shown.push(receipts.stateOf({ conversationId: ID, seq: 4 })));
	});
	flushSync();
	hears(at('ana', 4, 0));
	flushSync();
	hears(at('ana', 5, 5));
	flushSync();
	stop();
	expect(shown).toEqual(['sent', 'delivered', 'read']);
});

test('is opened once by an effect, whatever is said there', async () => {
	receipts.connected();
	const stop = $effect.root(() => {
		$effect(() => receipts.open(ID));
	});
	flushSync();
	take.receive(server.post('ana'));
	hears(at('ana', 4, 0));
	flushSync();
	expect(asked).toEqual([ID]);
	stop();
	expect(states(4)).toEqual(['sent']);
});
