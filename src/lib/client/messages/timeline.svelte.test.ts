import { expect, test } from 'vitest';
import { knowing } from '#lib/client/sync/fake-page.ts';
import { FakeServer, ID, gate, settled } from '#lib/client/sync/fake-server.ts';
import { CACHE_MAX } from '#lib/shared/replica.ts';
import { History } from './history.ts';
import { Timeline, WINDOW_MAX } from './timeline.svelte.ts';

function page(server: FakeServer) {
	const { store, engine } = knowing(server);
	const history = new History(server.api.messages, store);
	const make = () => {
		const timeline = new Timeline(ID, store, history);
		store.windowOf = () => timeline.span;
		return timeline;
	};
	return { store, engine, history, timeline: make(), make };
}

/** All read, and opened. */
async function opened(server: FakeServer) {
	server.readSeq = server.messages.length;
	const client = page(server);
	await client.timeline.open();
	return client;
}

/** First and last place of the window, which has to be whole. */
function ends(timeline: Timeline): [number, number] {
	const seqs = timeline.messages.map(({ seq }) => seq);
	seqs.forEach((seq, i) => expect(seq).toBe((seqs[0] ?? 0) + i));
	expect(seqs.length).toBeLessThanOrEqual(WINDOW_MAX);
	return [seqs.at(0) ?? 0, seqs.at(-1) ?? 0];
}

const pages = (server: FakeServer) => server.called('page');

test('opens at the newest when all is read', async () => {
	const server = new FakeServer(300);
	const { timeline } = await opened(server);
	expect(ends(timeline)).toEqual([251, 300]);
	expect(timeline).toMatchObject({ state: 'ready', hasOlder: true, hasNewer: false });
	expect(timeline.firstUnreadSeq).toBeNull();
	expect(pages(server)).toEqual([{ conversationId: ID }]);
});

test('opens at the first unread, and keeps the line where it was', async () => {
	const server = new FakeServer(300);
	server.readSeq = 100;
	const { timeline, store } = page(server);
	await timeline.open();
	expect(timeline.firstUnreadSeq).toBe(101);
	expect(ends(timeline)).toEqual([77, 126]);
	store.update(ID, (state) => ({ ...state, readSeq: 300 }));
	expect(timeline.firstUnreadSeq).toBe(101);
	await timeline.open();
	expect(timeline.firstUnreadSeq).toBeNull();
	expect(ends(timeline)).toEqual([251, 300]);
});

test('is ready from the start with what is cached, as when the server renders it', async () => {
	const server = new FakeServer(300);
	const { make } = await opened(server);
	const again = make();
	expect(again.state).toBe('ready');
	expect(ends(again)).toEqual([251, 300]);
	await again.open();
	expect(pages(server)).toHaveLength(1);
});

test('scrolls back to the first message and forth again, never with a hole or too much', async () => {
	const server = new FakeServer(1000);
	const { timeline, store } = await opened(server);
	while (timeline.hasOlder) {
		const [from] = ends(timeline);
		await timeline.loadOlder();
		expect(ends(timeline)[0]).toBe(from - 50);
	}
	expect(ends(timeline)).toEqual([1, 150]);
	expect(timeline.hasNewer).toBe(true);
	expect(store.get(ID)?.messages.size).toBeLessThanOrEqual(CACHE_MAX);
	while (timeline.hasNewer) {
		const [, to] = ends(timeline);
		await timeline.loadNewer();
		expect(ends(timeline)[1]).toBe(Math.min(1000, to + 50));
	}
	expect(ends(timeline)).toEqual([851, 1000]);
});

test('takes from the cache what is there', async () => {
	const server = new FakeServer(300);
	const { timeline } = await opened(server);
	await timeline.loadOlder();
	await timeline.loadOlder();
	await timeline.loadOlder();
	const asked = pages(server).length;
	await timeline.loadNewer();
	expect(ends(timeline)).toEqual([151, 300]);
	expect(pages(server)).toHaveLength(asked);
});

test('loads once, however often it is asked', async () => {
	const server = new FakeServer(300);
	const { timeline } = await opened(server);
	const answer = gate();
	server.before = () => answer.opened;
	const both = [timeline.loadOlder(), timeline.loadOlder(), timeline.loadOlder()];
	expect(timeline.loadingOlder).toBe(true);
	answer.open();
	await Promise.all(both);
	expect(timeline.loadingOlder).toBe(false);
	expect(pages(server)).toHaveLength(2);
	expect(ends(timeline)).toEqual([201, 300]);
	const jumps = [timeline.around(20), timeline.around(20)];
	await Promise.all(jumps);
	expect(pages(server)).toHaveLength(3);
});

test('shows new messages at once when it is at the end', async () => {
	const server = new FakeServer(300);
	const { timeline, engine } = await opened(server);
	engine.receive(server.post());
	expect(ends(timeline)).toEqual([251, 301]);
	for (let i = 0; i < 200; i++) engine.receive(server.post());
	expect(ends(timeline)).toEqual([352, 501]);
	expect(timeline.hasNewer).toBe(false);
});

test('does not take away what somebody reads further up', async () => {
	const server = new FakeServer(300);
	const { timeline, engine } = await opened(server);
	timeline.stayAtEnd(false);
	for (let i = 0; i < 200; i++) engine.receive(server.post());
	expect(ends(timeline)).toEqual([251, 400]);
	expect(timeline.hasNewer).toBe(true);
	await timeline.toNewest();
	timeline.stayAtEnd(true);
	engine.receive(server.post());
	expect(ends(timeline)).toEqual([451, 501]);
});

test('stays where it is when it is not at the end', async () => {
	const server = new FakeServer(300);
	const { timeline, engine } = await opened(server);
	await timeline.around(100);
	engine.receive(server.post());
	expect(ends(timeline)).toEqual([76, 125]);
});

test('a jump overtakes what was being loaded', async () => {
	const server = new FakeServer(300);
	const { timeline } = await opened(server);
	const answer = gate();
	server.before = () => answer.opened;
	const older = timeline.loadOlder();
	server.before = () => {};
	await timeline.around(100);
	answer.open();
	await older;
	expect(ends(timeline)).toEqual([76, 125]);
	const slow = gate();
	server.before = () => slow.opened;
	const first = timeline.around(200);
	server.before = () => {};
	await timeline.around(40);
	slow.open();
	await first;
	expect(ends(timeline)).toEqual([16, 65]);
});

test('shows what comes while the newest page is on its way', async () => {
	const server = new FakeServer(300);
	server.readSeq = 300;
	const { timeline, engine } = page(server);
	const answer = gate();
	server.after = () => answer.opened;
	const opening = timeline.open();
	await settled();
	engine.receive(server.post());
	answer.open();
	await opening;
	expect(ends(timeline)).toEqual([252, 301]);
	engine.receive(server.post());
	expect(ends(timeline)).toEqual([252, 302]);
	expect(timeline.hasNewer).toBe(false);
});

test('an empty conversation waits for its first message', async () => {
	const server = new FakeServer();
	const { timeline, engine } = page(server);
	await timeline.open();
	expect(timeline).toMatchObject({ state: 'ready', hasOlder: false, hasNewer: false });
	expect(pages(server)).toEqual([]);
	engine.receive(server.post());
	expect(ends(timeline)).toEqual([1, 1]);
});

test('says that it failed, keeps what it has, and tries again', async () => {
	const server = new FakeServer(300);
	const { timeline } = await opened(server);
	server.before = () => {
		throw new TypeError('Failed to fetch');
	};
	await timeline.loadOlder();
	expect(timeline.state).toBe('failed');
	expect(timeline.loadingOlder).toBe(false);
	expect(ends(timeline)).toEqual([251, 300]);
	server.before = () => {};
	await timeline.retry();
	expect(timeline.state).toBe('ready');
	expect(ends(timeline)).toEqual([201, 300]);
});

test('is at the newest again after a reset, and showed something all the time', async () => {
	const server = new FakeServer(300);
	const { timeline, engine } = await opened(server);
	for (let i = 0; i < 250; i++) server.post();
	const answer = gate();
	server.before = (name) => (name === 'page' ? answer.opened : undefined);
	engine.receive({ type: 'stream.opened' });
	await settled();
	expect(timeline.state).toBe('loading');
	expect(ends(timeline)).toEqual([251, 300]);
	answer.open();
	await settled();
	expect(timeline.state).toBe('ready');
	expect(ends(timeline)).toEqual([501, 550]);
	engine.receive(server.post());
	expect(ends(timeline)).toEqual([501, 551]);
});

test('stays in its place after a reset when it was not at the end', async () => {
	const server = new FakeServer(300);
	const { timeline, engine } = await opened(server);
	await timeline.around(100);
	for (let i = 0; i < 250; i++) server.post();
	engine.receive({ type: 'stream.opened' });
	await settled();
	expect(ends(timeline)).toEqual([76, 125]);
	expect(timeline.hasNewer).toBe(true);
});

test('reads a page again that was outrun by a reset', async () => {
	const server = new FakeServer(300);
	const { timeline, engine } = await opened(server);
	const answer = gate();
	server.after = (name) => (name === 'page' ? answer.opened : undefined);
	const jump = timeline.around(100);
	await settled();
	for (let i = 0; i < 250; i++) server.post();
	engine.receive({ type: 'stream.opened' });
	await settled();
	answer.open();
	await jump;
	expect(timeline.state).toBe('ready');
	expect(ends(timeline)).toEqual([76, 125]);
	expect(pages(server)).toHaveLength(3);
});

test('the conversations at the top are there before they are opened', async () => {
	const server = new FakeServer(300);
	server.readSeq = 300;
	const { history, store, make } = page(server);
	await history.prefetch([...store.replica.conversations.values()], () => Promise.resolve());
	expect(make().state).toBe('ready');
	await history.prefetch([...store.replica.conversations.values()], () => Promise.resolve());
	expect(pages(server)).toHaveLength(1);
});
