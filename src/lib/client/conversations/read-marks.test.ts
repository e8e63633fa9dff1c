import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MemoryStorage } from '#lib/client/messages/fake-storage.ts';
import { refusal } from '#lib/client/sync/fake-server.ts';
import { ReadMarks } from './read-marks.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function marks(
	tell: (seq: number) => Promise<unknown>,
	storage: Storage | null = new MemoryStorage()
) {
	const told: number[] = [];
	const made = new ReadMarks(
		'viewer',
		async ({ seq }) => {
			await tell(seq);
			told.push(seq);
		},
		storage,
		() => 0.999
	);
	return { made, told, storage };
}

test('the newest position is told when the last one has been taken', async () => {
	const { made, told } = marks(() => Promise.resolve());
	for (const seq of [1, 2, 3]) made.mark('here', seq);
	await vi.advanceTimersByTimeAsync(1000);
	expect(told).toEqual([1, 3]);
});

test('one that fails after the connection is back is told all the same', async () => {
	let hangs = Promise.withResolvers();
	const { made, told } = marks(() => hangs.promise);
	made.mark('here', 7);
	// The stream is back already, by another process, and the call still hangs at the first.
	made.flush();
	const first = hangs;
	hangs = Promise.withResolvers();
	hangs.resolve(undefined);
	first.reject(new TypeError('Failed to fetch'));
	await vi.advanceTimersByTimeAsync(1000);
	expect(told).toEqual([7]);
});

test('one that is refused is not told again', async () => {
	const tell = vi.fn(() => Promise.reject(refusal('not_found')));
	const { made } = marks(tell);
	made.mark('here', 7);
	await vi.advanceTimersByTimeAsync(60_000);
	made.flush();
	expect(tell).toHaveBeenCalledTimes(1);
});

test('what a page could not tell, the next one tells', async () => {
	const crashed = marks(() => new Promise(() => {}));
	for (const seq of [3, 7]) crashed.made.mark('here', seq);
	crashed.made.mark('there', 2);
	await vi.advanceTimersByTimeAsync(1000);
	const next = marks(() => Promise.resolve(), crashed.storage);
	next.made.load();
	next.made.flush();
	await vi.advanceTimersByTimeAsync(1000);
	expect(next.told.toSorted()).toEqual([2, 7]);
	expect(crashed.storage).toHaveLength(0);
});

test('what was taken or refused is not kept, and what another tab has read further is', async () => {
	const storage = new MemoryStorage();
	const { made } = marks(() => Promise.resolve(), storage);
	made.mark('here', 3);
	const other = marks(() => new Promise(() => {}), storage);
	other.made.mark('here', 5);
	await vi.advanceTimersByTimeAsync(1000);
	expect(storage).toHaveLength(1);
	made.mark('here', 5);
	await vi.advanceTimersByTimeAsync(1000);
	expect(storage).toHaveLength(0);

	const refused = marks(() => Promise.reject(refusal('not_found')), storage);
	refused.made.mark('there', 1);
	await vi.advanceTimersByTimeAsync(1000);
	expect(storage).toHaveLength(0);

	made.mark('here', 9);
	made.wipe();
	expect(storage).toHaveLength(0);
});

test('without storage it is told as long as the page lives', async () => {
	const { made, told } = marks(() => Promise.resolve(), null);
	made.mark('here', 7);
	await vi.advanceTimersByTimeAsync(1000);
	expect(told).toEqual([7]);
});

test('marked as unread is told after what was read, the last wish last, also by the next page', async () => {
	const storage = new MemoryStorage();
	const told: object[] = [];
	const open = (answers: boolean) =>
		new ReadMarks(
			'viewer',
			async (input) => {
				told.push(input);
				if (!answers) await new Promise(() => {});
			},
			storage,
			() => 0.999
		);
	const crashed = open(false);
	crashed.mark('here', 7);
	crashed.mark('here', 5, true);
	await vi.advanceTimersByTimeAsync(1000);
	expect(told).toEqual([{ conversationId: 'here', seq: 7 }]);

	const next = open(true);
	next.load();
	next.flush();
	await vi.advanceTimersByTimeAsync(1000);
	expect(told.at(-1)).toEqual({ conversationId: 'here', seq: 7, unread: true });
	expect(storage.length).toBe(0);

	next.mark('here', 7, true);
	next.mark('here', 7);
	await vi.advanceTimersByTimeAsync(1000);
	expect(told.slice(2)).toEqual([
		{ conversationId: 'here', seq: 7, unread: true },
		{ conversationId: 'here', seq: 7 }
	]);
});
