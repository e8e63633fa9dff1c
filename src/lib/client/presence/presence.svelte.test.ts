import { beforeEach, expect, test, vi } from 'vitest';
import { LOOK_LEASE_MS, LOOK_MAX, type LookInput } from '#lib/shared/presence.ts';
import { useFakePage } from '../sync/fake-page.ts';
import { gate, refusal, settled } from '../sync/fake-server.ts';
import { Presence } from './presence.svelte.ts';

useFakePage();

let asked: LookInput[] = [];
let online = new Set<string>();
let before: () => unknown;
let presence: Presence;

beforeEach(() => {
	asked = [];
	online = new Set();
	before = () => {};
	presence = new Presence({
		ask: async (input) => {
			asked.push(input);
			const answer = { online: input.personIds.filter((id) => online.has(id)) };
			await before();
			return answer;
		},
		random: () => 0.5
	});
});

const ids = () => asked.map(({ personIds }) => personIds);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const hears = (personId: string, isOnline: boolean) =>
	presence.receive({ type: 'presence.changed', personId, online: isOnline });

async function looking(...personIds: string[]) {
	for (const id of personIds) presence.look(id);
	presence.connected();
	await pass(300);
}

test('asks for all that is shown at once, and not before the connection is live', async () => {
	online.add('ana');
	presence.look('ana');
	presence.look('ben');
	presence.look('ana');
	await pass(5000);
	expect(asked).toEqual([]);
	presence.connected();
	await pass(299);
	expect(asked).toEqual([]);
	await pass(1);
	expect(ids()).toEqual([['ben', 'ana']]);
	expect([presence.isOnline('ana'), presence.isOnline('ben')]).toEqual([true, false]);
});

test('asks for nobody when nobody is shown', async () => {
	await looking();
	await pass(100_000);
	expect(asked).toEqual([]);
});

test('asks again when something else is shown, and ends what is no longer', async () => {
	await looking('ana');
	const leave = presence.look('ben');
	await pass(299);
	expect(asked).toHaveLength(1);
	await pass(1);
	leave();
	leave();
	await pass(300);
	expect(ids()).toEqual([['ana'], ['ana', 'ben'], ['ana']]);
	expect(new Set(asked.map(({ tab }) => tab)).size).toBe(1);
});

test('asks for whoever is still shown in another place', async () => {
	await looking('ana', 'ben');
	const leave = presence.look('ana');
	leave();
	leave();
	presence.look('eve');
	await pass(300);
	expect(asked.at(-1)?.personIds.toSorted()).toEqual(['ana', 'ben', 'eve']);
});

test('ends the last of them with an empty list, and is quiet then', async () => {
	presence.connected();
	const leave = presence.look('ana');
	await pass(300);
	leave();
	await pass(200_000);
	expect(ids()).toEqual([['ana'], []]);
});

test('follows what the stream tells of those it looks at, and of no others', async () => {
	await looking('ana');
	hears('ana', true);
	hears('ben', true);
	expect([presence.isOnline('ana'), presence.isOnline('ben')]).toEqual([true, false]);
	hears('ana', false);
	expect(presence.isOnline('ana')).toBe(false);
});

test('an event that overtakes the answer is newer', async () => {
	const { opened, open } = gate();
	before = () => opened;
	online.add('ana');
	await looking('ana', 'ben');
	hears('ana', false);
	hears('ben', true);
	open();
	await settled();
	expect([presence.isOnline('ana'), presence.isOnline('ben')]).toEqual([false, true]);
});

test('renews at half of the lease', async () => {
	await looking('ana');
	await pass(LOOK_LEASE_MS / 2 - 1);
	expect(asked).toHaveLength(1);
	online.add('ana');
	await pass(301);
	expect(asked).toHaveLength(2);
	expect(presence.isOnline('ana')).toBe(true);
	await pass(10 * LOOK_LEASE_MS);
	expect(asked).toHaveLength(22);
});

test('believes what it was told as long as the lease, and no longer', async () => {
	online.add('ana');
	await looking('ana');
	before = () => {
		throw new TypeError('Failed to fetch');
	};
	await pass(LOOK_LEASE_MS - 1000);
	expect(presence.isOnline('ana')).toBe(true);
	await pass(1000);
	expect(presence.isOnline('ana')).toBe(false);
	before = () => {};
	await pass(5000);
	expect(presence.isOnline('ana')).toBe(true);
});

test('waits as long as it is told', async () => {
	before = () => {
		throw refusal('too_many_attempts', { retryAfter: 20 });
	};
	await looking('ana');
	await pass(19_000);
	expect(asked).toHaveLength(1);
	await pass(1000);
	expect(asked).toHaveLength(2);
});

test('knows nobody without a connection, and asks anew when it is back, not with everybody else', async () => {
	online.add('ana');
	await looking('ana');
	presence.lost();
	expect(presence.isOnline('ana')).toBe(false);
	hears('ana', true);
	expect(presence.isOnline('ana')).toBe(false);
	await pass(100_000);
	presence.connected();
	await pass(1700);
	expect(asked).toHaveLength(1);
	await pass(100);
	expect(asked).toHaveLength(2);
	expect(presence.isOnline('ana')).toBe(true);
});

test('an answer from before the connection was lost is worth nothing', async () => {
	const { opened, open } = gate();
	before = () => opened;
	online.add('ana');
	await looking('ana');
	presence.lost();
	open();
	await settled();
	expect(presence.isOnline('ana')).toBe(false);
});

test('asks nothing while nobody looks at the page', async () => {
	online.add('ana');
	await looking('ana');
	const visible = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden');
	presence.pageShown(false);
	presence.look('ben');
	await pass(LOOK_LEASE_MS - 1000);
	expect(asked).toHaveLength(1);
	expect(presence.isOnline('ana'), 'still told of').toBe(true);
	// The clock of the page stood still.
	vi.setSystemTime(Date.now() + LOOK_LEASE_MS);
	visible.mockReturnValue('visible');
	presence.pageShown(true);
	expect(presence.isOnline('ana')).toBe(false);
	await pass(300);
	expect(ids()).toEqual([['ana'], ['ana', 'ben']]);
	expect(presence.isOnline('ana')).toBe(true);
	visible.mockRestore();
});

test('of more than the server tells of it asks for those shown last', async () => {
	await looking(...Array.from({ length: LOOK_MAX + 5 }, (_, i) => `person ${i}`));
	expect(asked[0]?.personIds).toHaveLength(LOOK_MAX);
	expect(asked[0]?.personIds.at(-1)).toBe('person 104');
});

test('who hides sees nobody from that moment on', async () => {
	online.add('ana');
	await looking('ana');
	online.clear();
	presence.changed();
	expect(presence.isOnline('ana')).toBe(false);
	await pass(0);
	expect(asked).toHaveLength(2);
});

test('what is out of sight is not asked for', async () => {
	const observed = new Set<Element>();
	let see = (_: { target: Element; isIntersecting: boolean }[]) => {};
	vi.stubGlobal(
		'IntersectionObserver',
		class {
			constructor(callback: typeof see) {
				see = callback;
			}
			observe = (element: Element) => observed.add(element);
			unobserve = (element: Element) => observed.delete(element);
			disconnect = () => observed.clear();
		}
	);
	const [first, second] = [{} as Element, {} as Element];
	const leaveFirst = presence.inSight('ana')?.(first);
	expect(presence.inSight(null)).toBeUndefined();
	expect(observed.size, 'nothing before the connection').toBe(0);
	presence.connected();
	presence.inSight('ben')?.(second);
	see([
		{ target: first, isIntersecting: true },
		{ target: second, isIntersecting: false }
	]);
	await pass(300);
	see([{ target: second, isIntersecting: true }]);
	see([{ target: second, isIntersecting: true }]);
	await pass(300);
	see([{ target: second, isIntersecting: false }]);
	await pass(300);
	leaveFirst?.();
	expect(observed).toEqual(new Set([second]));
	await pass(300);
	expect(ids()).toEqual([['ana'], ['ana', 'ben'], ['ana'], []]);
});
