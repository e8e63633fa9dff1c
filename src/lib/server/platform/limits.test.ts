import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MemoryLimiter, openLimiter, type Limit, type Limiter } from './limits.ts';
import { openLog } from './log.ts';
import { close, freePort, port, recordingLog, redisHere, startRedis } from './testing.ts';

const limit: Limit = { name: 'test', burst: 3, perMinute: 6 };
let now = 0;
const clock = () => now;
const seconds = (count: number) => (now += count * 1000);

const opened: Limiter[] = [];
afterEach(() => {
	for (const limiter of opened.splice(0)) void limiter.close();
});

describe('in memory', () => {
	behavesAsLimiter(() => openLimiter(undefined, openLog('silent'), clock));

	test('forgets what is full again', async () => {
		const limiter = new MemoryLimiter(clock);
		for (let i = 0; i < 999; i++) await limiter.take(limit, `visitor ${i}`);
		expect(limiter.size).toBe(999);
		seconds(10);
		await limiter.take(limit, 'one more');
		expect(limiter.size).toBe(1);
	});

	test('remembers no more keys than it has room for', async () => {
		const limiter = new MemoryLimiter(clock);
		for (let i = 0; i < 102_000; i++) await limiter.take(limit, `visitor ${i}`);
		expect(limiter.size).toBeLessThanOrEqual(101_000);
		await limiter.take(limit, 'visitor 101999', 2);
		expect(await limiter.take(limit, 'visitor 101999'), 'the newest is remembered').toBe(10);
	});
});

describe.skipIf(!redisHere)('in Redis (skipped where there is no redis-server)', () => {
	let redis: { url: string; stop(): Promise<void> };
	beforeAll(async () => {
		redis = await startRedis();
	});
	afterAll(() => redis.stop());

	behavesAsLimiter(() => openLimiter(redis.url, openLog('silent'), clock));

	test('two processes count together', async () => {
		const one = openLimiter(redis.url, openLog('silent'), clock);
		const other = openLimiter(redis.url, openLog('silent'), clock);
		opened.push(one, other);
		expect(await one.take(limit, 'together', 3)).toBe(0);
		expect(await other.take(limit, 'together')).toBe(10);
	});

	test('the clock of Redis serves as well', async () => {
		const limiter = openLimiter(redis.url, openLog('silent'));
		opened.push(limiter);
		expect(await limiter.take(limit, 'by its clock', 3)).toBe(0);
		expect(await limiter.take(limit, 'by its clock')).toBe(10);
	});
});

test('a Redis that goes away, or never was there, stops nobody and is told once', async () => {
	const server = await freePort();
	await close(server);
	const { lines, log } = recordingLog();
	const limiter = openLimiter(`redis://127.0.0.1:${port(server)}`, log, clock);
	opened.push(limiter);
	expect(await limiter.take(limit, 'anybody', 3)).toBe(0);
	expect(await limiter.take(limit, 'anybody')).toBe(10);
	await limiter.giveBack(limit, 'anybody');
	expect(await limiter.take(limit, 'anybody')).toBe(0);
	expect(lines()).toEqual(['Redis fails: each process counts limits for itself.']);
});

test('a Redis that never answers holds up one request for a moment, and the next not at all', async () => {
	const sockets: Socket[] = [];
	const server = await freePort((socket) => sockets.push(socket));
	await expectNoHoldUp(`redis://127.0.0.1:${port(server)}`);
	for (const socket of sockets) socket.destroy();
	await close(server);
});

test.skipIf(!redisHere)('nor does one that hangs later', async () => {
	const redis = await startRedis();
	await expectNoHoldUp(redis.url, () => redis.hang());
	await redis.stop();
});

test.skipIf(!redisHere)('a Redis that is stopped meanwhile is done without', async () => {
	const redis = await startRedis();
	const { lines, log } = recordingLog();
	const limiter = openLimiter(redis.url, log, clock);
	opened.push(limiter);
	expect(await limiter.take(limit, 'anybody', 3)).toBe(0);
	await redis.stop();
	expect(await limiter.take(limit, 'anybody', 3), 'counted anew').toBe(0);
	expect(await limiter.take(limit, 'anybody')).toBe(10);
	expect(lines()).toEqual(['Redis fails: each process counts limits for itself.']);
});

function behavesAsLimiter(open: () => Limiter) {
	let count = 0;
	const fresh = () => {
		const limiter = open();
		opened.push(limiter);
		return { limiter, key: `key ${count++}` };
	};

	test('lets a burst pass, then tells how long to wait', async () => {
		const { limiter, key } = fresh();
		for (let i = 0; i < 3; i++) expect(await limiter.take(limit, key)).toBe(0);
		expect(await limiter.take(limit, key)).toBe(10);
		seconds(9.5);
		expect(await limiter.take(limit, key)).toBe(1);
		seconds(0.5);
		expect(await limiter.take(limit, key)).toBe(0);
		expect(await limiter.take(limit, key)).toBe(10);
	});

	test('a refusal takes nothing', async () => {
		const { limiter, key } = fresh();
		expect(await limiter.take(limit, key, 3)).toBe(0);
		for (let i = 0; i < 20; i++) expect(await limiter.take(limit, key)).toBe(10);
		seconds(10);
		expect(await limiter.take(limit, key)).toBe(0);
	});

	test('is never fuller than full', async () => {
		const { limiter, key } = fresh();
		for (const meanwhile of [async () => {}, () => limiter.giveBack(limit, key, 3)]) {
			await limiter.take(limit, key);
			seconds(3600);
			await meanwhile();
			expect(await limiter.take(limit, key, 3)).toBe(0);
			expect(await limiter.take(limit, key)).toBe(10);
			seconds(30);
		}
	});

	test('counts by cost, and one above the burst as a burst', async () => {
		const { limiter, key } = fresh();
		expect(await limiter.take(limit, key, 2)).toBe(0);
		expect(await limiter.take(limit, key, 2)).toBe(10);
		expect(await limiter.take(limit, key, 50)).toBe(20);
		seconds(20);
		expect(await limiter.take(limit, key, 50)).toBe(0);
	});

	test('what was given back can be taken again', async () => {
		const { limiter, key } = fresh();
		await limiter.take(limit, key, 3);
		await limiter.giveBack(limit, key);
		expect(await limiter.take(limit, key)).toBe(0);
		expect(await limiter.take(limit, key)).toBe(10);
	});

	test('keys and limits do not touch each other', async () => {
		const { limiter, key } = fresh();
		await limiter.take(limit, key, 3);
		expect(await limiter.take(limit, `${key} of another`)).toBe(0);
		expect(await limiter.take({ ...limit, name: 'other' }, key)).toBe(0);
	});

	test('at the same instant no more pass than there is room for', async () => {
		const { limiter, key } = fresh();
		const answers = await Promise.all(Array.from({ length: 50 }, () => limiter.take(limit, key)));
		expect(answers.filter((seconds) => seconds === 0)).toHaveLength(3);
	});

	test('the time told is enough, whatever the rate', async () => {
		for (const perMinute of [0.07, 1 / 3, 10 / 15, 7, 119, 6000]) {
			const { limiter, key } = fresh();
			const odd: Limit = { name: 'odd', burst: 7, perMinute };
			expect(await limiter.take(odd, key, 7)).toBe(0);
			const wait = await limiter.take(odd, key);
			expect(wait).toBeGreaterThan(0);
			seconds(wait);
			expect(await limiter.take(odd, key)).toBe(0);
		}
	});

	test('any text is a key', async () => {
		const { limiter } = fresh();
		for (const key of ['', '\0', 'a b\r\nc', '💬', 'x'.repeat(100_000)]) {
			expect(await limiter.take(limit, key, 3)).toBe(0);
			expect(await limiter.take(limit, key)).toBe(10);
			await limiter.giveBack(limit, key, 3);
		}
	});
}

async function expectNoHoldUp(url: string, hang?: () => void) {
	const { lines, log } = recordingLog();
	const limiter = openLimiter(url, log, clock);
	opened.push(limiter);
	if (hang) expect(await limiter.take(limit, 'before')).toBe(0);
	hang?.();
	const started = performance.now();
	expect(await limiter.take(limit, 'anybody', 3)).toBe(0);
	for (let i = 0; i < 20; i++) expect(await limiter.take(limit, 'anybody')).toBe(10);
	expect(performance.now() - started, '20 × half a second would be too slow').toBeLessThan(4000);
	expect(lines()).toHaveLength(1);
}
