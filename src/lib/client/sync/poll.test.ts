import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StreamEvent } from '#lib/shared/events.ts';
import { applyConversationDelta, applySync, emptyReplica } from '#lib/shared/replica.ts';
import type { PollInput } from '#lib/shared/sync.ts';
import { FakeServer, ID, VIEWER, settled } from './fake-server.ts';
import { PollSource } from './poll.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const OPENED: StreamEvent = { type: 'stream.opened' };
const words = (...events: StreamEvent[]) =>
	events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');

function begin(server = new FakeServer(3)) {
	const empty = emptyReplica(VIEWER.id);
	let replica = applySync(empty, server.since({ conversations: {} }), empty).replica;
	const asked: PollInput[] = [];
	const aborted: AbortSignal[] = [];
	let answer: (given: { status: number; text: string } | Error) => void = () => {};
	const heard: StreamEvent[] = [];
	let errors = 0;
	const source = new PollSource({
		ask: (input, signal) => {
			asked.push(input);
			aborted.push(signal);
			return new Promise((resolve, reject) => {
				answer = (given) => (given instanceof Error ? reject(given) : resolve(given));
			});
		},
		known: () => replica,
		random: () => 1
	});
	source.onmessage = ({ data }) => {
		const event = JSON.parse(data) as StreamEvent;
		heard.push(event);
		if (event.type === 'conversation.advanced') {
			replica = applyConversationDelta(replica, event.delta).replica;
		}
	};
	source.onerror = () => errors++;
	const say = async (...events: StreamEvent[]) => {
		answer({ status: 200, text: words(...events) });
		await settled();
	};
	return {
		source,
		server,
		asked,
		heard,
		say,
		aborted: () => aborted.at(-1)?.aborted,
		errors: () => errors,
		fail: async (given: { status: number; text: string } | Error) => {
			answer(given);
			await settled();
		}
	};
}

test('asks at once whether it gets through, and then with what is known by then', async () => {
	const { asked, heard, say, server } = begin();
	expect(asked).toEqual([{ conversations: { [ID]: 3 }, personVersion: 0, opening: true }]);
	await say(OPENED);
	expect(asked.at(-1)).toMatchObject({ opening: false });
	await say(server.post());
	expect(asked).toHaveLength(3);
	expect(asked.at(-1)).toMatchObject({ conversations: { [ID]: 4 } });
	expect(heard.map(({ type }) => type)).toEqual(['stream.opened', 'conversation.advanced']);
});

test('does not hurry the server when an answer brings nothing new', async () => {
	const { asked, say } = begin();
	await say(OPENED);
	for (const wait of [500, 1000, 2000]) {
		const before = asked.length;
		await say(OPENED);
		await vi.advanceTimersByTimeAsync(wait - 1);
		expect(asked).toHaveLength(before);
		await vi.advanceTimersByTimeAsync(1);
		expect(asked).toHaveLength(before + 1);
	}
	await say({ type: 'heartbeat' });
	expect(asked).toHaveLength(6);
});

test('tells a refusal from a broken connection, and stops with either', async () => {
	for (const [given, readyState] of [
		[{ status: 401, text: 'not_signed_in' }, 2],
		[new TypeError('Failed to fetch'), 0]
	] as const) {
		const { source, asked, errors, fail } = begin();
		await fail(given);
		expect([errors(), source.readyState]).toEqual([1, readyState]);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(asked).toHaveLength(1);
	}
});

test('gives up the request when it is closed, and says nothing more', async () => {
	const { source, heard, say, errors, aborted } = begin();
	await say(OPENED);
	source.close();
	expect(aborted()).toBe(true);
	await say({ type: 'heartbeat' });
	expect(heard).toHaveLength(1);
	expect(errors()).toBe(0);
});
