import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HEARTBEAT_MS, type StreamEvent } from '#lib/shared/events.ts';
import { FakeSource } from './fake-server.ts';
import { EventStream, type StreamState } from './stream.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function open(random = () => 0.999) {
	const sources: FakeSource[] = [];
	const events: StreamEvent[] = [];
	const states: StreamState[] = [];
	let refusals = 0;
	const stream = new EventStream({
		connect() {
			const source = new FakeSource();
			sources.push(source);
			return source;
		},
		onEvent: (event) => events.push(event),
		onState: (state) => states.push(state),
		onRefused: () => refusals++,
		random
	});
	stream.open();
	const latest = () => {
		const source = sources.at(-1);
		if (!source) throw new Error('Nothing was connected.');
		return source;
	};
	return { stream, sources, events, states, latest, refusals: () => refusals };
}

test('passes on what it hears', () => {
	const { latest, events, states } = open();
	latest().say({ type: 'stream.opened' });
	latest().say({ type: 'heartbeat' });
	expect(events.map(({ type }) => type)).toEqual(['stream.opened', 'heartbeat']);
	expect(states).toEqual(['connecting', 'open']);
});

test('waits longer after each failure, up to half a minute, and never as long as all the others', () => {
	const { latest, sources } = open();
	const waits: number[] = [];
	for (let i = 0; i < 9; i++) {
		const before = sources.length;
		const failedAt = Date.now();
		latest().drop();
		expect(latest().closed).toBe(true);
		while (sources.length === before) vi.advanceTimersToNextTimer();
		waits.push(Math.ceil((Date.now() - failedAt) / 500) * 500);
	}
	expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]);
	const { sources: jittered, latest: first } = open(() => 0.1);
	first().drop();
	vi.advanceTimersByTime(51);
	expect(jittered).toHaveLength(2);
});

test('begins anew after a stream that held, and not after one that died at once', () => {
	const { latest, sources } = open();
	latest().drop();
	vi.advanceTimersByTime(500);
	latest().say({ type: 'stream.opened' });
	latest().drop();
	vi.advanceTimersByTime(500);
	expect(sources).toHaveLength(2);
	vi.advanceTimersByTime(500);
	expect(sources).toHaveLength(3);
	latest().say({ type: 'stream.opened' });
	vi.advanceTimersByTime(10_000);
	latest().drop();
	vi.advanceTimersByTime(500);
	expect(sources).toHaveLength(4);
});

test('comes back at once when the network does', () => {
	const { stream, latest, sources } = open();
	latest().drop();
	stream.wake();
	expect(sources).toHaveLength(2);
	stream.wake();
	expect(sources).toHaveLength(2);
});

test('takes silence for a dead connection', () => {
	const { latest, sources } = open(() => 0);
	latest().say({ type: 'stream.opened' });
	vi.advanceTimersByTime(2 * HEARTBEAT_MS - 1);
	latest().say({ type: 'heartbeat' });
	vi.advanceTimersByTime(2 * HEARTBEAT_MS - 1);
	expect(sources).toHaveLength(1);
	vi.advanceTimersByTime(2);
	expect(sources).toHaveLength(2);
	expect(sources[0]?.closed).toBe(true);
});

test('notices on waking up that it has slept too long', () => {
	const { stream, latest, sources } = open(() => 0);
	latest().say({ type: 'stream.opened' });
	vi.setSystemTime(Date.now() + 3 * HEARTBEAT_MS);
	stream.wake();
	vi.advanceTimersByTime(1);
	expect(sources).toHaveLength(2);
});

test('spreads its return when the server stops', () => {
	const { latest, sources, states } = open(() => 0.5);
	latest().say({ type: 'stream.opened' });
	latest().say({ type: 'server.stopping', withinMs: 8000 });
	expect(states.at(-1)).toBe('waiting');
	vi.advanceTimersByTime(3999);
	expect(sources).toHaveLength(1);
	vi.advanceTimersByTime(1);
	expect(sources).toHaveLength(2);
});

test('tells a refusal from a lost connection', () => {
	const { latest, refusals } = open(() => 0);
	latest().drop();
	expect(refusals()).toBe(0);
	vi.advanceTimersByTime(1);
	latest().refuse();
	expect(refusals()).toBe(1);
});

test('is closed for good, whatever comes later', () => {
	const { stream, latest, sources, events, states } = open();
	const source = latest();
	stream.close();
	source.say({ type: 'heartbeat' });
	stream.wake();
	vi.advanceTimersByTime(120_000);
	expect(events).toEqual([]);
	expect(sources).toHaveLength(1);
	expect(states.at(-1)).toBe('closed');
});

describe('where streams are swallowed', () => {
	function begin() {
		const made: { kind: 'stream' | 'poll'; source: FakeSource }[] = [];
		const make = (kind: 'stream' | 'poll') => () => {
			const source = new FakeSource();
			made.push({ kind, source });
			return source;
		};
		const stream = new EventStream({
			connect: make('stream'),
			poll: make('poll'),
			onEvent: () => {},
			onState: () => {},
			onRefused: () => {},
			random: () => 0
		});
		stream.open();
		const latest = () => made.at(-1)!.source;
		return { stream, made, latest, kinds: () => made.map(({ kind }) => kind) };
	}

	const OPENED: StreamEvent = { type: 'stream.opened' };
	/** Silent streams: each is given up after eight seconds. */
	const swallow = (times: number) => vi.advanceTimersByTime(times * 8001);

	test('polls after two that were never heard', () => {
		const { kinds, latest } = begin();
		swallow(2);
		expect(kinds()).toEqual(['stream', 'stream', 'poll']);
		// And polls on where that has got through and is interrupted.
		latest().say(OPENED);
		latest().drop();
		vi.advanceTimersByTime(1);
		expect(kinds()).toEqual(['stream', 'stream', 'poll', 'poll']);
	});

	test('polls after two that broke before a word was said', () => {
		const { kinds, latest } = begin();
		for (let i = 0; i < 2; i++) {
			latest().drop();
			vi.advanceTimersByTime(1);
		}
		expect(kinds()).toEqual(['stream', 'stream', 'poll']);
	});

	test('goes on with streams where polling does not get through either', () => {
		const { kinds, latest } = begin();
		for (let i = 0; i < 6; i++) {
			latest().drop();
			vi.advanceTimersByTime(1);
		}
		expect(kinds()).toEqual(['stream', 'stream', 'poll', 'stream', 'stream', 'poll', 'stream']);
	});

	test('never polls where a stream that had been heard breaks', () => {
		const { kinds, latest } = begin();
		for (let i = 0; i < 5; i++) {
			latest().say(OPENED);
			latest().drop();
			vi.advanceTimersByTime(1);
		}
		expect(new Set(kinds())).toEqual(new Set(['stream']));
	});

	test('tries a stream again now and then, and stays with one that is heard', () => {
		const { kinds, latest } = begin();
		const pollFor = (ms: number) => {
			latest().say(OPENED);
			for (let waited = 0; waited < ms; waited += 20_000) {
				latest().say({ type: 'heartbeat' });
				vi.advanceTimersByTime(Math.min(20_000, ms - waited));
			}
		};
		swallow(2);
		pollFor(5 * 60_000);
		expect(kinds().slice(2)).toEqual(['poll', 'stream']);
		swallow(1);
		pollFor(5 * 60_000);
		expect(kinds().slice(4)).toEqual(['poll']);
		pollFor(5 * 60_000);
		expect(kinds().slice(4)).toEqual(['poll', 'stream']);
		latest().say(OPENED);
		vi.advanceTimersByTime(20_000);
		latest().say({ type: 'heartbeat' });
		latest().drop();
		vi.advanceTimersByTime(1);
		latest().drop();
		vi.advanceTimersByTime(1);
		expect(kinds().slice(6)).toEqual(['stream', 'stream']);
	});
});
