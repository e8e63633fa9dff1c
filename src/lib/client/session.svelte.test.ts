import { flushSync } from 'svelte';
import { expect, test, vi } from 'vitest';
import { useFakePage } from './sync/fake-page.ts';
import { FakeServer, FakeSource, ID, VIEWER, gate, refusal, settled } from './sync/fake-server.ts';
import { Session } from './session.svelte.ts';

useFakePage();

function begin(server: FakeServer, withOpening = false) {
	const sources: FakeSource[] = [];
	const connect = () => {
		const source = new FakeSource();
		sources.push(source);
		return source;
	};
	const opening = {
		conversationId: ID,
		page: server.page({ conversationId: ID }),
		members: { version: server.version, members: server.members }
	};
	const session = new Session(
		{
			viewer: VIEWER,
			bootstrap: server.since({ conversations: {} }),
			opening: withOpening ? opening : null
		},
		{ api: server.api, connect, poll: connect }
	);
	const latest = () => sources.at(-1) ?? new FakeSource();
	return { session, sources, latest };
}

async function live(server: FakeServer) {
	const client = begin(server);
	client.session.start();
	client.latest().say({ type: 'stream.opened' });
	await settled();
	return client;
}

test('shows what the server gave, before it is started', () => {
	const server = new FakeServer(60);
	server.readSeq = 58;
	vi.unstubAllGlobals();
	const { session } = begin(server, true);
	expect(session.conversations.list.map(({ conversation }) => conversation.id)).toEqual([ID]);
	expect(session.conversations.unreadTotal).toBe(2);
	expect(session.people.get(VIEWER.id)?.name).toBe('Vera');
	expect(session.timeline(ID)).toMatchObject({ state: 'ready', firstUnreadSeq: 59 });
	expect(session.timeline(ID).messages).toHaveLength(50);
	expect(session.conversations.get(ID)?.membersLoaded).toBe(true);
	expect(session.timeline(ID)).toBe(session.timeline(ID));
	expect(session.connection).toMatchObject({ state: 'connecting', troubled: false });
	expect(server.calls).toEqual([]);
});

test('what the screen reads follows what the stream says', async () => {
	const server = new FakeServer(3);
	const { session, latest } = await live(server);
	const shown: string[] = [];
	const stop = $effect.root(() => {
		$effect(() => {
			shown.push(`${session.conversations.unreadTotal} ${session.timeline(ID).messages.length}`);
		});
	});
	await session.timeline(ID).open();
	flushSync();
	latest().say(server.post());
	flushSync();
	session.conversations.markRead(ID, 4);
	flushSync();
	expect(shown.slice(-3)).toEqual(['3 3', '4 4', '0 4']);
	stop();
});

test('is live when it has caught up, and troubled only when that takes long', async () => {
	const server = new FakeServer(3);
	const { session, latest } = await live(server);
	expect(session.connection.state).toBe('live');
	latest().drop();
	expect(session.connection.state).toBe('connecting');
	await vi.advanceTimersByTimeAsync(1000);
	latest().say({ type: 'stream.opened' });
	await settled();
	expect(session.connection).toMatchObject({ state: 'live', troubled: false });
	await vi.advanceTimersByTimeAsync(5000);
	expect(session.connection.troubled).toBe(false);
	latest().drop();
	await vi.advanceTimersByTimeAsync(1999);
	expect(session.connection.troubled).toBe(false);
	await vi.advanceTimersByTimeAsync(2);
	expect(session.connection.troubled).toBe(true);
	await vi.advanceTimersByTimeAsync(30_000);
	latest().say({ type: 'stream.opened' });
	await settled();
	expect(session.connection).toMatchObject({ state: 'live', troubled: false });
});

test('comes back at once when the network does', async () => {
	const server = new FakeServer(3);
	const { session, sources, latest } = await live(server);
	vi.stubGlobal('navigator', { onLine: false });
	window.dispatchEvent(new Event('offline'));
	expect(session.connection.state).toBe('offline');
	vi.stubGlobal('navigator', { onLine: true });
	const before = sources.length;
	window.dispatchEvent(new Event('online'));
	expect(sources).toHaveLength(before + 1);
	latest().say({ type: 'stream.opened' });
	await settled();
	expect(session.connection.state).toBe('live');
});

test('goes dark when the session is ended elsewhere', async () => {
	const server = new FakeServer(3);
	const { session, sources, latest } = await live(server);
	server.api.accounts.viewer.query = () => Promise.reject(refusal('not_signed_in'));
	latest().say({ type: 'session.ended' });
	await settled();
	expect(session.ended).toBe(true);
	expect(sources.every(({ closed }) => closed)).toBe(true);
	await vi.advanceTimersByTimeAsync(120_000);
	expect(sources).toHaveLength(1);
});

test('stays when only the session was renewed, as with a new password', async () => {
	const server = new FakeServer(3);
	const { session, sources, latest } = await live(server);
	latest().say({ type: 'session.ended' });
	latest().drop();
	await vi.advanceTimersByTimeAsync(500);
	expect(session.ended).toBe(false);
	expect(sources).toHaveLength(2);
});

test('tells the server once what was read meanwhile, also when it could not at first', async () => {
	const server = new FakeServer(10);
	const { session, latest } = await live(server);
	let down = true;
	server.before = (name) => {
		if (name === 'markRead' && down) throw new TypeError('Failed to fetch');
	};
	session.conversations.markRead(ID, 4);
	session.conversations.markRead(ID, 5);
	session.conversations.markRead(ID, 3);
	await settled();
	expect(server.readSeq).toBe(0);
	expect(session.conversations.unreadTotal).toBe(5);
	down = false;
	server.calls.length = 0;
	latest().say({ type: 'stream.opened' });
	await vi.advanceTimersByTimeAsync(1000);
	expect(server.readSeq).toBe(5);
	expect(server.called('markRead')).toEqual([{ conversationId: ID, seq: 5 }]);
	expect(session.conversations.unreadTotal).toBe(5);
});

test('fetches the top of the list once it is live and idle', async () => {
	const server = new FakeServer(300);
	const { session } = await live(server);
	await vi.advanceTimersByTimeAsync(5000);
	expect(server.called('page')).toEqual([{ conversationId: ID, around: 1 }]);
	await session.timeline(ID).open();
	expect(server.called('page')).toHaveLength(1);
});

test('making the same group again after a lost answer makes no second one', async () => {
	const server = new FakeServer(1);
	const { session } = await live(server);
	const ids: string[] = [];
	server.api.conversations.createGroup.mutate = async ({ id }) => {
		ids.push(id);
		if (ids.length === 1) throw new TypeError('Failed to fetch');
		return { snapshot: server.snapshot(), people: [] };
	};
	await expect(session.conversations.createGroup('Team', ['ana'])).rejects.toThrow();
	await session.conversations.createGroup('Team', ['ana']);
	await session.conversations.createGroup('Team', ['ana']);
	expect(ids[0]).toBe(ids[1]);
	expect(ids[2]).not.toBe(ids[1]);
});

test('asks who is online after it has caught up, and shows what the stream tells', async () => {
	const server = new FakeServer(3);
	server.online.add('ana');
	const { session, latest } = begin(server);
	session.presence.look('ana');
	session.presence.look('ben');
	session.start();
	await vi.advanceTimersByTimeAsync(3000);
	expect(server.called('look')).toEqual([]);
	const { opened, open } = gate();
	server.before = (name) => (name === 'since' ? opened : undefined);
	latest().say({ type: 'stream.opened' });
	await vi.advanceTimersByTimeAsync(3000);
	expect(server.called('look')).toEqual([]);
	open();
	await vi.advanceTimersByTimeAsync(3000);
	const later = ['page', 'received'];
	expect(server.calls.findLast(({ name }) => !later.includes(name))?.name).toBe('look');
	expect(session.presence.isOnline('ana')).toBe(true);
	latest().say({ type: 'presence.changed', personId: 'ben', online: true });
	expect(session.presence.isOnline('ben')).toBe(true);
	latest().drop();
	expect(session.presence.isOnline('ana')).toBe(false);
});

test('asks how far the others are, tells what has arrived, and shows what the stream tells', async () => {
	const server = new FakeServer(3);
	server.receipts = [{ personId: 'ana', receivedSeq: 2, readSeq: 1 }];
	const { session, latest } = begin(server);
	session.receipts.open(ID);
	session.start();
	const { opened, open } = gate();
	server.before = (name) => (name === 'since' ? opened : undefined);
	latest().say({ type: 'stream.opened' });
	await vi.advanceTimersByTimeAsync(3000);
	expect([...server.called('receipts'), ...server.called('received')]).toEqual([]);
	open();
	await vi.advanceTimersByTimeAsync(3000);
	expect(server.called('receipts')).toEqual([{ conversationId: ID }]);
	expect(server.called('received')).toEqual([[[ID, 3]]]);
	const stateOf = (seq: number) => session.receipts.stateOf({ conversationId: ID, seq });
	// Ana wrote all that there is.
	expect(stateOf(3)).toBe('read');
	server.post(VIEWER.id);
	const receipts = [{ personId: 'ana', receivedSeq: 4, readSeq: 3 }];
	latest().say({ type: 'receipts.changed', conversationId: ID, receipts });
	expect(stateOf(4)).toBe('delivered');

	latest().drop();
	await vi.advanceTimersByTimeAsync(10_000);
	latest().say({ type: 'stream.opened' });
	await vi.advanceTimersByTimeAsync(10_000);
	expect(server.called('receipts')).toHaveLength(2);
});
