import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../platform/log.ts';
import { Bell } from './bell.ts';
import { decodeRing, type Range, type ReceiptRing } from './doorbell.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** When it rang, in milliseconds, and for what. */
function listened() {
	const began = performance.now();
	const rung: { at: number; for: Range[] }[] = [];
	const receipts: ReceiptRing[] = [];
	const bell = new Bell(
		'process',
		async (payloads) => {
			const ranges = payloads.flatMap((payload) => decodeRing(payload).ring.conversations);
			for (const payload of payloads) receipts.push(...(decodeRing(payload).ring.receipts ?? []));
			rung.push({ at: Math.round(performance.now() - began), for: ranges });
		},
		openLog('silent')
	);
	return { bell, rung, receipts };
}

const delta = (conversationId: string, base: number) => ({
	conversationId,
	base,
	version: base + 1,
	changes: []
});

test('who is alone is rung for at once, and those who follow closely go together', async () => {
	const { bell, rung } = listened();
	bell.ring([delta('a', 0)]);
	await vi.advanceTimersByTimeAsync(1);
	bell.ring([delta('a', 1)]);
	await vi.advanceTimersByTimeAsync(1);
	bell.ring([delta('b', 7), delta('a', 2)]);
	await vi.advanceTimersByTimeAsync(20);
	bell.ring([delta('a', 3)]);
	await vi.advanceTimersByTimeAsync(1);
	const ranges = rung.map((ring) => ring.for);
	expect(ranges).toEqual([
		[{ id: 'a', base: 0, version: 1 }],
		[
			{ id: 'a', base: 1, version: 3 },
			{ id: 'b', base: 7, version: 8 }
		],
		[{ id: 'a', base: 3, version: 4 }]
	]);
	expect(rung.map(({ at }) => at)).toEqual([0, 5, 22]);
});

test('positions that moved go with what else there is, each once', async () => {
	const { bell, rung, receipts } = listened();
	bell.ringReceipts([{ conversationId: 'a', personId: 'ana' }]);
	bell.ring([delta('a', 0)]);
	bell.ringReceipts([
		{ conversationId: 'a', personId: 'ana' },
		{ conversationId: 'a', personId: 'ben' }
	]);
	await vi.advanceTimersByTimeAsync(1);
	bell.ringReceipts([{ conversationId: 'b', personId: 'ana' }]);
	await vi.advanceTimersByTimeAsync(20);
	expect(rung).toHaveLength(2);
	expect(receipts).toEqual([
		{ conversationId: 'a', personId: 'ana' },
		{ conversationId: 'a', personId: 'ben' },
		{ conversationId: 'b', personId: 'ana' }
	]);
});

test('who leaves waits for what has not been rung for', async () => {
	const { bell, rung } = listened();
	bell.ring([delta('a', 0)]);
	await vi.advanceTimersByTimeAsync(1);
	bell.ring([delta('a', 1)]);
	let left = false;
	const leaving = bell.settled().then(() => (left = true));
	await vi.advanceTimersByTimeAsync(2);
	expect(left).toBe(false);
	await vi.advanceTimersByTimeAsync(10);
	await leaving;
	expect(rung).toHaveLength(2);
});
