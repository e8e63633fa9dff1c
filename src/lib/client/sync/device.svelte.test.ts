import fc from 'fast-check';
import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
	adoptKept,
	applyConversationDelta,
	applySync,
	emptyReplica,
	knownVersions,
	mergePage,
	withConversation,
	type ConversationState,
	type Replica
} from '#lib/shared/replica.ts';
import { DeviceReplica, wipeDevice, wipePerson } from './device.ts';
import { FakeServer, ID, VIEWER } from './fake-server.ts';
import { Memory } from './memory.svelte.ts';
import { ReplicaStore } from './store.svelte.ts';

let factory: IDBFactory;
beforeEach(() => (factory = new IDBFactory()));
afterEach(() => vi.restoreAllMocks());

const open = (onLost = () => {}) => DeviceReplica.open(factory, VIEWER, onLost);

/** As the server's first page gives it. */
function bootstrap(server: FakeServer): Replica {
	const empty = emptyReplica(VIEWER.id);
	return applySync(empty, server.since({ conversations: {} }), empty).replica;
}

function withPage(replica: Replica, server: FakeServer): Replica {
	const state = replica.conversations.get(ID);
	if (!state) return replica;
	const page = server.page({ conversationId: ID });
	return withConversation(replica, mergePage(state, page, VIEWER.id));
}

/** Asks, and takes the answer. */
function sync(replica: Replica, server: FakeServer): Replica {
	const answer = server.since({ conversations: knownVersions(replica) });
	return applySync(replica, answer, replica).replica;
}

async function keep(replica: Replica): Promise<void> {
	const device = await open();
	await device.load();
	await device.save(() => replica);
	device.close();
}

async function kept(): Promise<Replica> {
	const device = await open();
	const replica = await device.load();
	device.close();
	return replica;
}

const bodies = (replica: Replica) =>
	[...(replica.conversations.get(ID)?.messages.values() ?? [])].map((message) =>
		message.kind === 'text' ? message.body : ''
	);

test('gives back what it was given', async () => {
	const server = new FakeServer(60);
	const replica = withPage(bootstrap(server), server);
	await keep(replica);
	const again = await kept();
	expect(again.personVersion).toBe(replica.personVersion);
	expect(again.people).toEqual(replica.people);
	expect(again.conversations.get(ID)).toEqual(replica.conversations.get(ID));
});

test('only what changed since is asked for, and it opens with all that was seen', async () => {
	const server = new FakeServer(60);
	await keep(withPage(bootstrap(server), server));
	server.edit(55);
	server.post();
	const opened = adoptKept(bootstrap(server), await kept());
	expect(knownVersions(opened)).toEqual({ [ID]: 60 });
	expect(opened.conversations.get(ID)?.lastSeq).toBe(61);
	const synced = sync(opened, server);
	expect(synced.conversations.get(ID)?.messages.get(55)).toMatchObject({ body: 'Hello!' });
	expect(synced.conversations.get(ID)?.messages.size).toBe(51);
});

test('what is too far behind, or ahead of a restored server, is left out and written anew', async () => {
	const server = new FakeServer(60);
	await keep(withPage(bootstrap(server), server));
	for (let i = 0; i < 300; i++) server.post();
	expect(adoptKept(bootstrap(server), await kept()).conversations.get(ID)?.messages.size).toBe(1);

	const restored = new FakeServer(20);
	const store = new ReplicaStore(bootstrap(restored));
	const memory = new Memory(VIEWER, store, factory);
	await memory.recall();
	expect(store.get(ID)).toMatchObject({ version: 20, lastSeq: 20 });
	expect(store.get(ID)?.messages.size).toBe(1);
	memory.stop();
	await expect.poll(async () => (await kept()).conversations.get(ID)?.version).toBe(20);
	expect((await kept()).conversations.get(ID)?.messages.size).toBe(1);
});

test('what another app version kept is dropped', async () => {
	await keep(bootstrap(new FakeServer(5)));
	const [{ name } = {}] = await factory.databases();
	factory.deleteDatabase(name!);
	await new Promise((resolve) => {
		const newer = factory.open(name!, 99);
		newer.onsuccess = () => resolve(newer.result.close());
	});
	expect((await kept()).conversations.size).toBe(0);
});

test('forbidden storage is said, and the app goes on', async () => {
	vi.spyOn(factory, 'open').mockImplementation(() => {
		throw new DOMException('No.', 'SecurityError');
	});
	const memory = new Memory(VIEWER, new ReplicaStore(bootstrap(new FakeServer(5))), factory);
	expect(memory.keeps).toBe(true);
	await memory.recall();
	expect(memory.keeps).toBe(false);
});

test('storage that does not answer is waited for a second', async () => {
	vi.spyOn(factory, 'open').mockImplementation(() => ({}) as IDBOpenDBRequest);
	const memory = new Memory(VIEWER, new ReplicaStore(bootstrap(new FakeServer(5))), factory);
	await memory.recall();
	expect(memory.keeps).toBe(false);
});

test('a full device keeps what it had, and says so', async () => {
	const server = new FakeServer(5);
	const first = withPage(bootstrap(server), server);
	await keep(first);
	const store = new ReplicaStore(bootstrap(server));
	const memory = new Memory(VIEWER, store, factory);
	await memory.recall();
	const put = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
		throw new DOMException('Full.', 'QuotaExceededError');
	});
	server.post();
	store.commit(sync(store.replica, server));
	memory.flush();
	await expect.poll(() => memory.keeps).toBe(false);
	put.mockRestore();
	expect((await kept()).conversations.get(ID)).toEqual(first.conversations.get(ID));
});

test('a wiped device holds nothing, and no other tab writes to it again', async () => {
	const server = new FakeServer(5);
	const store = new ReplicaStore(withPage(bootstrap(server), server));
	const other = new Memory(VIEWER, store, factory);
	await other.recall();
	await keep(store.replica);
	wipePerson(factory, VIEWER.id);
	await expect.poll(() => factory.databases()).toEqual([]);
	server.post();
	store.commit(sync(store.replica, server));
	other.flush();
	other.stop();
	expect(await factory.databases()).toEqual([]);
});

test('nothing of somebody else stays beside what is the viewer’s', async () => {
	const others = await DeviceReplica.open(factory, { ...VIEWER, id: 'somebody else' }, () => {});
	others.close();
	await keep(bootstrap(new FakeServer(5)));
	await wipeDevice(factory, VIEWER.id);
	await expect.poll(async () => (await factory.databases()).length).toBe(1);
	await wipeDevice(factory);
	await expect.poll(() => factory.databases()).toEqual([]);
});

test('what was reset in the replica does not live on beside the new version', async () => {
	const server = new FakeServer(60);
	const device = await open();
	let replica = withPage(adoptKept(bootstrap(server), await device.load()), server);
	await device.save(() => replica);
	server.edit(30);
	for (let i = 0; i < 300; i++) server.post();
	replica = sync(replica, server);
	await device.save(() => replica);
	device.close();
	expect([...(await kept()).conversations.get(ID)!.messages.keys()]).toEqual([360]);
});

/** A tab that knows of an edit, which another, that does not, has written over. */
async function aheadOfAnother() {
	const server = new FakeServer(20);
	const [ahead, behind] = [await open(), await open()];
	await ahead.load();
	await behind.load();
	const early = withPage(bootstrap(server), server);
	server.edit(5);
	const replica = sync(early, server);
	await ahead.save(() => replica);
	await behind.save(() => early);
	behind.close();
	return { server, ahead, replica };
}

test('what a tab that is behind has written is not continued by one that is ahead', async () => {
	const { server, ahead, ...before } = await aheadOfAnother();
	expect((await kept()).conversations.get(ID)?.version).toBe(20);
	server.post();
	const replica = sync(before.replica, server);
	await ahead.save(() => replica);
	expect((await kept()).conversations.get(ID)).toMatchObject({ version: 22 });
	expect((await kept()).conversations.get(ID)?.messages.get(5)).toEqual(server.messages[4]);
	ahead.close();
});

test('a page that goes writes within the call, and waits for nothing', async () => {
	const server = new FakeServer(60);
	const device = await open();
	await device.load();
	const first = withPage(bootstrap(server), server);
	// Under way, and looking at what is there.
	const saving = device.save(() => first);
	server.edit(55);
	server.post();
	const replica = sync(first, server);
	const get = vi.spyOn(IDBObjectStore.prototype, 'get');
	const commit = vi.spyOn(IDBTransaction.prototype, 'commit');
	const abort = vi.spyOn(IDBTransaction.prototype, 'abort');
	device.leave(replica);
	// What was under way would be waited for, and both be lost.
	expect(abort).toHaveBeenCalledOnce();
	expect(commit).toHaveBeenCalledOnce();
	expect(get).not.toHaveBeenCalled();
	await saving;
	const opened = await DeviceReplica.opening(factory, VIEWER.id, ID);
	expect(opened?.viewer).toEqual(VIEWER);
	opened?.device.close();
	expect((await kept()).conversations.get(ID)).toEqual({
		...replica.conversations.get(ID),
		forgotten: 62
	});

	// It was not gone after all.
	server.post();
	const later = sync(replica, server);
	await device.save(() => later);
	device.close();
	expect((await kept()).conversations.get(ID)).toMatchObject({ version: 63, lastSeq: 62 });
	expect((await kept()).personVersion).toBe(later.personVersion);
});

test('a page that goes does not continue what a tab that is behind has written', async () => {
	const { server, ahead, ...before } = await aheadOfAnother();
	server.post();
	const replica = sync(before.replica, server);
	ahead.leave(replica);
	const now = (await kept()).conversations.get(ID);
	expect(now?.version).toBe(22);
	expect(now?.messages.get(5)).toEqual(server.messages[4]);
	ahead.close();
});

test('a page that goes leaves the version of the person to one that looks', async () => {
	const device = await open();
	await device.load();
	const first = { ...bootstrap(new FakeServer(5)), personVersion: 3 };
	await device.save(() => first);
	const next = { ...first, personVersion: 4 };
	device.leave(next);
	expect((await kept()).personVersion).toBe(3);
	await device.save(() => ({ ...next }));
	expect((await kept()).personVersion).toBe(4);
	device.close();
});

test('a page that goes leaves alone what it has only a part of', async () => {
	const server = new FakeServer(120);
	let replica = withPage(bootstrap(server), server);
	const older = server.page({ conversationId: ID, before: 71, limit: 50 });
	replica = withConversation(replica, mergePage(replica.conversations.get(ID)!, older, VIEWER.id));
	await keep(replica);
	server.post();
	const early = await openedFrom(ID);
	early.store.commit(sync(early.store.replica, server));
	early.memory.leave();
	expect((await kept()).conversations.get(ID)).toMatchObject({ version: 120 });
	expect((await kept()).conversations.get(ID)?.messages.size).toBe(100);

	await early.memory.recallOf(ID);
	early.memory.leave();
	expect((await kept()).conversations.get(ID)).toMatchObject({ version: 121 });
	expect((await kept()).conversations.get(ID)?.messages.size).toBe(101);
	early.memory.stop();
});

const step = fc.record({
	tab: fc.nat(1),
	kind: fc.oneof(
		{ weight: 4, arbitrary: fc.constantFrom('post', 'edit', 'save', 'sync') },
		{ weight: 3, arbitrary: fc.constantFrom('hear', 'save', 'page', 'sync and save') },
		{ weight: 2, arbitrary: fc.constantFrom('leave', 'leave in the midst of saving') },
		{ weight: 1, arbitrary: fc.constantFrom('page before', 'trim', 'far', 'reopen') }
	),
	at: fc.nat(15)
});

test('whatever tabs write in whatever order, what is kept is never out of date', async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
			factory = new IDBFactory();
			const server = new FakeServer(12);
			server.resetPast = 30;
			const enter = async () => {
				const device = await open();
				const earlier = await device.load();
				const now = bootstrap(server);
				const replica = adoptKept(now, earlier);
				const state = earlier.conversations.get(ID);
				if (state && replica.conversations.get(ID) === now.conversations.get(ID)) {
					device.disown(ID);
				}
				return { device, replica };
			};
			const tabs = [await enter(), await enter()];
			for (const { tab: which, kind, at } of steps) {
				const tab = tabs[which]!;
				const state = tab.replica.conversations.get(ID)!;
				const change = (next: typeof state) => (tab.replica = withConversation(tab.replica, next));
				const page = (before?: number) =>
					server.page({ conversationId: ID, limit: 10, ...(before !== undefined && { before }) });
				if (kind === 'post') server.post();
				else if (kind === 'edit') server.edit(server.messages.length - (at % 10));
				else if (kind === 'far') {
					for (let i = 0; i < 40; i++) server.edit(server.messages.length - (i % 8));
				} else if (kind === 'sync and save') {
					tab.replica = sync(tab.replica, server);
					await tab.device.save(() => tab.replica);
				} else if (kind === 'sync') tab.replica = sync(tab.replica, server);
				else if (kind === 'hear') {
					const delta = server.delta(server.version - 1);
					tab.replica = applyConversationDelta(tab.replica, delta).replica;
				} else if (kind === 'page') change(mergePage(state, page(), VIEWER.id));
				else if (kind === 'page before') {
					change(mergePage(state, page(2 + (at % server.messages.length)), VIEWER.id));
				} else if (kind === 'trim') change(trimHard(state));
				else if (kind === 'save') await tab.device.save(() => tab.replica);
				else if (kind === 'leave') tab.device.leave(tab.replica);
				else if (kind === 'leave in the midst of saving') {
					const saving = tab.device.save(() => tab.replica);
					tab.device.leave(tab.replica);
					await saving;
				} else {
					tab.device.close();
					tabs[which] = await enter();
				}

				const now = (await kept()).conversations.get(ID);
				for (const [seq, message] of now?.messages ?? []) {
					const truth = server.messages[seq - 1]!;
					// Newer than what is kept as known, or exactly as it was then: the rest comes by the delta.
					if (truth.version <= (now?.version ?? 0)) expect(message).toEqual(truth);
				}
			}
			for (const { device } of tabs) device.close();
			// And a new visit has everything after one sync.
			const visit = sync(adoptKept(bootstrap(server), await kept()), server);
			const state = visit.conversations.get(ID)!;
			expect(state.version).toBe(server.version);
			for (const [seq, message] of state.messages)
				expect(message).toEqual(server.messages[seq - 1]);
			expect(bodies(visit).length).toBe(state.messages.size);
		}),
		{
			numRuns: 200,
			// A row that came ahead of its version, replaced by a tab that does not know it.
			examples: [
				[
					[
						{ tab: 0, kind: 'edit', at: 0 },
						{ tab: 1, kind: 'page', at: 0 },
						{ tab: 1, kind: 'leave', at: 0 },
						{ tab: 0, kind: 'leave', at: 0 },
						{ tab: 0, kind: 'post', at: 0 },
						{ tab: 1, kind: 'sync and save', at: 0 },
						{ tab: 1, kind: 'hear', at: 0 }
					]
				]
			]
		}
	);
}, 120_000);

/** As `trimMessages` does past hundreds of messages. */
function trimHard(state: ConversationState): ConversationState {
	const dropped = [...state.messages.values()].slice(0, 5);
	const messages = new Map(state.messages);
	for (const { seq } of dropped) messages.delete(seq);
	const forgotten = Math.max(state.forgotten, ...dropped.map(({ version }) => version));
	return { ...state, messages, forgotten };
}

/** A page that was drawn from the device, and is to be told the rest. */
async function openedFrom(conversationId: string | undefined) {
	const kept = await DeviceReplica.opening(factory, VIEWER.id, conversationId);
	if (!kept) throw new Error('Nothing was kept.');
	const store = new ReplicaStore(kept.replica);
	const memory = new Memory(kept.viewer, store, factory);
	memory.goOn(kept.device);
	return { kept, store, memory };
}

test('a page opens with the list and the window of one conversation, and gets the rest later', async () => {
	const server = new FakeServer(120);
	let replica = withPage(bootstrap(server), server);
	const older = server.page({ conversationId: ID, before: 71, limit: 50 });
	const state = replica.conversations.get(ID)!;
	server.readSeq = 120;
	replica = withConversation(replica, { ...mergePage(state, older, VIEWER.id), readSeq: 120 });
	await keep(replica);

	const { kept, store, memory } = await openedFrom(ID);
	expect(kept.viewer).toEqual(VIEWER);
	expect([...(store.get(ID)?.messages.keys() ?? [])].sort((a, b) => a - b)).toEqual(
		Array.from({ length: 50 }, (_, index) => 71 + index)
	);
	await memory.recallOf(ID);
	expect(store.get(ID)?.messages).toEqual(replica.conversations.get(ID)?.messages);
	memory.stop();

	const list = await openedFrom(undefined);
	expect(list.store.get(ID)?.messages.size).toBe(0);
	expect(list.store.get(ID)?.lastMessage?.seq).toBe(120);
	list.memory.stop();
});

test('what was kept and is out of date by the time it is recalled takes nothing back', async () => {
	const server = new FakeServer(60);
	await keep(withPage(bootstrap(server), server));
	const { store, memory } = await openedFrom(undefined);
	server.edit(55);
	server.post();
	store.commit(sync(store.replica, server));
	await memory.recallOf(ID);
	expect(store.get(ID)?.version).toBe(62);
	expect(store.get(ID)?.messages.get(55)).toMatchObject({ body: 'Hello!' });
	expect(store.get(ID)?.messages.size).toBe(51);
	memory.stop();
	await expect.poll(async () => (await kept()).conversations.get(ID)?.version).toBe(62);
	expect((await kept()).conversations.get(ID)).toMatchObject({
		messages: store.get(ID)?.messages
	});
});

test('a conversation that was reset meanwhile takes in none of what was kept before', async () => {
	const server = new FakeServer(60);
	await keep(withPage(bootstrap(server), server));
	const { store, memory } = await openedFrom(undefined);
	server.edit(55);
	for (let i = 0; i < 300; i++) server.post();
	store.commit(sync(store.replica, server));
	await memory.recallOf(ID);
	expect(store.get(ID)?.messages.has(55)).toBe(false);
	memory.stop();
});

test('nothing opens where nothing was kept, and looking leaves nothing behind', async () => {
	expect(await DeviceReplica.opening(factory, VIEWER.id, ID)).toBeNull();
	expect(await factory.databases()).toEqual([]);
	await keep(bootstrap(new FakeServer(5)));
	expect(await DeviceReplica.opening(factory, 'somebody else', ID)).toBeNull();
	expect(await factory.databases()).toHaveLength(1);
});
