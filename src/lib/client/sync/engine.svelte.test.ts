import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { applySync, emptyReplica } from '#lib/shared/replica.ts';
import { SyncEngine } from './engine.ts';
import { FakeServer, ID, VIEWER, gate, refusal, settled } from './fake-server.ts';
import { ReplicaStore } from './store.svelte.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function begin(server: FakeServer) {
	const empty = emptyReplica(VIEWER.id);
	const store = new ReplicaStore(
		applySync(empty, server.since({ conversations: {} }), empty).replica
	);
	let caughtUp = 0;
	const engine = new SyncEngine({
		store,
		since: (input) => server.api.sync.since.mutate(input),
		onCaughtUp: () => caughtUp++,
		random: () => 0.999
	});
	return { engine, store, caughtUp: () => caughtUp, version: () => store.get(ID)?.version };
}

/** With the first sync done. */
async function live(server: FakeServer) {
	const client = begin(server);
	client.engine.receive({ type: 'stream.opened' });
	await settled();
	server.calls.length = 0;
	return client;
}

test('asks once for everything when the stream opens', async () => {
	const server = new FakeServer(5);
	const { engine, caughtUp, version } = begin(server);
	server.post();
	engine.receive({ type: 'stream.opened' });
	expect(caughtUp()).toBe(0);
	await settled();
	expect(server.called('since')).toEqual([{ conversations: { [ID]: 5 }, personVersion: 0 }]);
	expect(version()).toBe(6);
	expect(caughtUp()).toBe(1);
});

test('applies what continues without asking', async () => {
	const server = new FakeServer(5);
	const { engine, version } = await live(server);
	engine.receive(server.post());
	engine.receive(server.post());
	expect(version()).toBe(7);
	expect(server.calls).toEqual([]);
});

test('applies what comes before the answer, once it fits, without asking again', async () => {
	const server = new FakeServer(5);
	const { engine, store, version } = begin(server);
	server.post();
	const answer = gate();
	server.after = () => answer.opened;
	engine.receive({ type: 'stream.opened' });
	await settled();
	engine.receive(server.post());
	expect(version()).toBe(5);
	answer.open();
	await settled();
	expect(version()).toBe(7);
	expect(store.get(ID)?.lastSeq).toBe(7);
	expect(server.called('since')).toHaveLength(1);
});

test('asks once more when something is still missing after the answer', async () => {
	const server = new FakeServer(5);
	const { engine, version } = begin(server);
	const answer = gate();
	server.after = () => answer.opened;
	engine.receive({ type: 'stream.opened' });
	await settled();
	server.post();
	engine.receive(server.post());
	engine.receive(server.post());
	answer.open();
	await settled();
	expect(version()).toBe(8);
	expect(server.called('since')).toHaveLength(2);
});

test('asks once for any number of gaps', async () => {
	const server = new FakeServer(5);
	const { engine, version } = await live(server);
	server.post();
	engine.receive(server.post());
	server.post();
	engine.receive(server.post());
	await settled();
	expect(version()).toBe(9);
	// The first question was under way when the second gap came, and its answer covers it.
	expect(server.called('since').length).toBeLessThanOrEqual(2);
});

test('asks about a conversation that is followed and unknown or behind, and about no other', async () => {
	const server = new FakeServer(5);
	const { engine } = await live(server);
	engine.receive({ type: 'conversation.followed', conversationId: ID, version: 5 });
	await settled();
	expect(server.calls).toEqual([]);
	engine.receive({ type: 'conversation.followed', conversationId: ID, version: 6 });
	await settled();
	expect(server.called('since')).toHaveLength(1);
	engine.receive({ type: 'conversation.followed', conversationId: 'other', version: 1 });
	await settled();
	expect(server.called('since')).toHaveLength(2);
});

test('hears of a conversation that is not ours without asking for ever', async () => {
	const server = new FakeServer(5);
	const { engine } = await live(server);
	const delta = { ...server.delta(4), conversationId: 'other' };
	engine.receive({ type: 'conversation.advanced', delta });
	await settled();
	vi.advanceTimersByTime(60_000);
	await settled();
	expect(server.called('since')).toHaveLength(1);
});

test('holds an own answer that has overtaken the stream', async () => {
	const server = new FakeServer(5);
	const { engine, store, version } = await live(server);
	const first = server.post();
	server.post(VIEWER.id);
	engine.absorb(server.delta(6));
	// No hole in the timeline meanwhile.
	expect(store.get(ID)?.lastSeq).toBe(5);
	engine.receive(first);
	expect(version()).toBe(7);
	vi.advanceTimersByTime(5000);
	await settled();
	expect(server.calls).toEqual([]);
});

test('shows at once what an own answer says of a message that is here, ahead of the stream', async () => {
	const server = new FakeServer(5);
	const { engine, store, version } = await live(server);
	const first = server.post();
	server.edit(5);
	const edit = { ...server.delta(6), changes: server.delta(6).changes.slice(0, 1) };
	engine.absorb(edit);
	expect(store.get(ID)).toMatchObject({ lastSeq: 5, lastMessage: { seq: 5, body: 'Hello!' } });
	engine.receive(first);
	expect(version()).toBe(7);
	expect(store.get(ID)?.messages.get(5)).toMatchObject({ body: 'Hello!' });
	expect(store.get(ID)?.messages.get(6)).toMatchObject({ body: 'Hello' });
});

test('asks when what an own answer has overtaken does not come', async () => {
	const server = new FakeServer(5);
	const { engine, version } = await live(server);
	server.post();
	server.post(VIEWER.id);
	engine.absorb(server.delta(6));
	await vi.advanceTimersByTimeAsync(999);
	expect(server.calls).toEqual([]);
	await vi.advanceTimersByTimeAsync(1);
	expect(version()).toBe(7);
});

test('asks again after a failure, with patience, whatever else happens meanwhile', async () => {
	const server = new FakeServer(5);
	const { engine, caughtUp, version } = begin(server);
	let down = true;
	server.before = () => {
		if (down) throw new TypeError('Failed to fetch');
	};
	engine.receive({ type: 'stream.opened' });
	await settled();
	server.post();
	for (let i = 0; i < 10; i++) engine.receive(server.post());
	await settled();
	expect(server.called('since')).toHaveLength(1);
	await vi.advanceTimersByTimeAsync(500);
	expect(server.called('since')).toHaveLength(2);
	down = false;
	await vi.advanceTimersByTimeAsync(1000);
	expect(version()).toBe(16);
	expect(caughtUp()).toBe(1);
});

test('gives up when the stream is gone, and begins anew with the next one', async () => {
	const server = new FakeServer(5);
	const { engine, caughtUp } = begin(server);
	server.before = () => {
		throw refusal('server_busy');
	};
	engine.receive({ type: 'stream.opened' });
	await settled();
	engine.stop();
	await vi.advanceTimersByTimeAsync(60_000);
	expect(server.called('since')).toHaveLength(1);
	server.before = () => {};
	engine.receive({ type: 'stream.opened' });
	await settled();
	expect(caughtUp()).toBe(1);
});
