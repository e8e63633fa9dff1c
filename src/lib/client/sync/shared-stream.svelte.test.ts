import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { HEARTBEAT_MS } from '#lib/shared/events.ts';
import { Session } from '#lib/client/session.svelte.ts';
import { useFakePage } from './fake-page.ts';
import { FakeServer, FakeSource, ID, VIEWER, refusal, settled } from './fake-server.ts';
import { FakeChannels, FakeLocks } from './fake-tabs.ts';

useFakePage();

/** Several tabs of one browser, at one server. */
class Browser {
	readonly server = new FakeServer(3);
	readonly locks = new FakeLocks();
	readonly channels = new FakeChannels();
	readonly tabs: Tab[] = [];

	constructor() {
		this.server.told = (event) => {
			for (const { source } of this.tabs) if (source && !source.closed) source.say(event);
		};
	}

	open(): Tab {
		const tab = new Tab(this);
		this.tabs.push(tab);
		return tab;
	}

	/** Streams that the server holds. */
	get streams(): number {
		return this.tabs.filter(({ source }) => source && !source.closed).length;
	}

	async settle(): Promise<void> {
		for (let i = 0; i < 5; i++) {
			this.channels.deliverAll();
			await settled();
		}
	}

	heartbeat(): void {
		for (const { source } of this.tabs) {
			if (source && !source.closed) source.say({ type: 'heartbeat' });
		}
	}
}

class Tab {
	source: FakeSource | null = null;
	asleep = false;
	readonly session: Session;
	readonly #crash: (() => void)[];
	readonly close: () => void;

	constructor({ server, locks, channels }: Browser) {
		const [lock, channel] = [locks.forTab(), channels.forTab()];
		this.#crash = [() => lock.crash(), () => channel.crash()];
		this.session = new Session(
			{ viewer: VIEWER, bootstrap: server.since({ conversations: {} }), opening: null },
			{
				api: server.api,
				locks: lock,
				channel: channel.make,
				connect: () => this.#connect(),
				poll: () => this.#connect()
			}
		);
		this.close = this.session.start();
	}

	#connect(): FakeSource {
		const source = (this.source = new FakeSource());
		queueMicrotask(() => !source.closed && source.say({ type: 'stream.opened' }));
		return source;
	}

	/** Everything of it is gone at once, as far as others can see. */
	crash(): void {
		for (const step of this.#crash) step();
		this.source?.close();
		this.source = null;
		this.close();
	}

	get version(): number | undefined {
		return this.session.conversations.get(ID)?.version;
	}
}

test('one stream serves all tabs, and each is live', async () => {
	const browser = new Browser();
	const tabs = [browser.open(), browser.open(), browser.open()];
	await browser.settle();
	expect(browser.streams).toBe(1);
	for (const { session } of tabs) expect(session.connection.state).toBe('live');
	browser.server.calls.length = 0;
	browser.server.post();
	await browser.settle();
	expect(tabs.map(({ version }) => version)).toEqual([4, 4, 4]);
	expect(browser.server.calls).toEqual([]);
});

test('a tab that comes later asks once for what it does not know, and hears the rest', async () => {
	const browser = new Browser();
	browser.open();
	await browser.settle();
	const late = browser.open();
	browser.server.calls.length = 0;
	browser.server.post();
	await browser.settle();
	expect(late.version).toBe(4);
	expect(late.session.connection.state).toBe('live');
	expect(browser.server.called('since')).toHaveLength(1);
	expect(browser.streams).toBe(1);
});

test.each(['close', 'crash'] as const)('when the leader is gone (%s), nothing is', async (how) => {
	const browser = new Browser();
	const [leader, next, third] = [browser.open(), browser.open(), browser.open()];
	await browser.settle();
	leader[how]();
	browser.server.post();
	await browser.settle();
	expect(browser.streams).toBe(1);
	expect(next.source).not.toBeNull();
	expect([next.version, third.version]).toEqual([4, 4]);
	browser.server.post();
	await browser.settle();
	expect([next.version, third.version]).toEqual([5, 5]);
});

test('a leader that was put to sleep loses the lead, and follows when it wakes up', async () => {
	const browser = new Browser();
	const [leader, next] = [browser.open(), browser.open()];
	await browser.settle();
	const sleeping = leader.source!;
	sleeping.onmessage = null;
	browser.server.post();
	await browser.settle();
	expect(next.version).toBe(3);
	await vi.advanceTimersByTimeAsync(2 * HEARTBEAT_MS + 1);
	await browser.settle();
	expect(next.version).toBe(4);
	expect(sleeping.closed).toBe(true);
	expect(browser.streams).toBe(1);
	browser.server.post();
	await browser.settle();
	expect([leader.version, next.version]).toEqual([5, 5]);
});

test('a tab that somebody comes back to finds out soon that the leader sleeps', async () => {
	const browser = new Browser();
	const next = [browser.open(), browser.open()][1]!;
	await browser.settle();
	document.dispatchEvent(new Event('visibilitychange'));
	await browser.settle();
	await vi.advanceTimersByTimeAsync(5000);
	expect(next.source).toBeNull();
	document.dispatchEvent(new Event('visibilitychange'));
	// The question is never delivered, as to a tab that is frozen.
	await vi.advanceTimersByTimeAsync(2001);
	await browser.settle();
	expect(next.source).not.toBeNull();
	expect(browser.streams).toBe(1);
});

test('all tabs go dark together', async () => {
	const browser = new Browser();
	const tabs = [browser.open(), browser.open()];
	await browser.settle();
	browser.server.api.accounts.viewer.query = () => Promise.reject(refusal('not_signed_in'));
	tabs[0]!.source!.say({ type: 'session.ended' });
	await browser.settle();
	for (const { session } of tabs) expect(session.ended).toBe(true);
	expect(browser.streams).toBe(0);
});

test('each tab has its own stream where the browser has no locks', async () => {
	const server = new FakeServer(3);
	const sources: FakeSource[] = [];
	for (let i = 0; i < 2; i++) {
		const session = new Session(
			{ viewer: VIEWER, bootstrap: server.since({ conversations: {} }), opening: null },
			{
				api: server.api,
				locks: null,
				connect: () => {
					sources.push(new FakeSource());
					return sources.at(-1)!;
				}
			}
		);
		session.start();
	}
	expect(sources).toHaveLength(2);
});

const step = fc.oneof(
	{ weight: 6, arbitrary: fc.constant('post' as const) },
	{ weight: 6, arbitrary: fc.constant('deliver' as const) },
	{ weight: 4, arbitrary: fc.constant('settle' as const) },
	{ weight: 2, arbitrary: fc.constantFrom('open', 'close', 'crash', 'drop', 'sleep', 'look') },
	{ weight: 2, arbitrary: fc.constantFrom('a moment', 'a while') }
);

test('whatever happens to the tabs, those that stay know all, by one stream', async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.record({ kind: step, which: fc.nat(10) }), { maxLength: 60 }),
			async (steps) => {
				const browser = new Browser();
				browser.open();
				for (const { kind, which } of steps) {
					const tab = browser.tabs[which % Math.max(1, browser.tabs.length)];
					if (kind === 'open' || !tab) browser.open();
					else if (kind === 'post') browser.server.post();
					else if (kind === 'deliver') browser.channels.deliverAll();
					else if (kind === 'settle') await settled();
					else if (kind === 'drop') tab.source?.drop();
					else if (kind === 'sleep' && tab.source) tab.source.onmessage = null;
					else if (kind === 'look') document.dispatchEvent(new Event('visibilitychange'));
					else if (kind === 'close' || kind === 'crash') {
						tab[kind]();
						browser.tabs.splice(browser.tabs.indexOf(tab), 1);
					} else await vi.advanceTimersByTimeAsync(kind === 'a moment' ? 300 : 10_000);
				}
				for (let i = 0; i < 30; i++) {
					browser.heartbeat();
					await browser.settle();
					await vi.advanceTimersByTimeAsync(HEARTBEAT_MS / 2);
				}
				await browser.settle();
				expect(browser.streams).toBe(Math.min(1, browser.tabs.length));
				for (const { version } of browser.tabs) expect(version).toBe(browser.server.version);
				for (const tab of browser.tabs) tab.close();
			}
		),
		{ numRuns: 100 }
	);
}, 60_000);
