import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { refusal } from '#lib/client/sync/fake-server.ts';
import { ReadMarks } from './read-marks.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function marks(tell: (seq: number) => Promise<unknown>) {
	const told: number[] = [];
	const made = new ReadMarks(
		async ({ seq }) => {
			await tell(seq);
			told.push(seq);
		},
		() => 0.999
	);
	return { made, told };
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
