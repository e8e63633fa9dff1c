import { eq } from 'drizzle-orm';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { LOOK_LEASE_MS, LOOK_MAX } from '#lib/shared/presence.ts';
import { person } from '../accounts/schema.ts';
import { refusal } from '../accounts/testing.ts';
import { endSession } from '../accounts/sessions.ts';
import { recordingLog, redisHere, startRedis } from '../platform/testing.ts';
import { PollStream } from '../realtime/poll.ts';
import {
	addSession,
	callerFor,
	openStream,
	somebody,
	testApp,
	type TestStream,
	type TestApp,
	type TestPerson
} from '../testing.ts';
import { createCaller } from '../trpc/router.ts';

/** Never within a test. */
const HOURS = 36_000_000;

let now = Date.now();
const clock = () => now;
/** Where the calls are answered, and where the streams are. */
let calls: TestApp;
let streams: TestApp;
let closing: (() => Promise<void>)[] = [];

afterEach(async () => {
	for (const close of closing.reverse()) await close();
	closing = [];
});

async function start(redisUrl?: string, graceMs = HOURS): Promise<void> {
	const settings = redisUrl ? { REDIS_URL: redisUrl } : {};
	const presence = { clock, graceMs };
	calls = await testApp(settings, { presence });
	streams = redisUrl ? await testApp(settings, { url: calls.url, presence }) : calls;
	closing.push(calls.close);
	if (redisUrl) closing.push(streams.close);
}

async function three() {
	const [ana, ben, eve] = [
		await somebody(calls.services, 'Ana'),
		await somebody(calls.services, 'Ben'),
		await somebody(calls.services, 'Eve')
	];
	await ana.call.conversations.startDirect({ personId: ben.id });
	return { ana, ben, eve };
}

const look = (viewer: TestPerson, personIds: string[], tab = 'a tab') =>
	viewer.call.presence.look({ tab, personIds });
const comes = (who: TestPerson) => openStream(streams.services, who);
const isOnline = (told: { online: string[] }, who: TestPerson) => told.online.includes(who.id);
const heardOf = (stream: TestStream) => stream.heard.filter((e) => e.type === 'presence.changed');
const told = (stream: TestStream, who: TestPerson, online: boolean) =>
	stream.hears('presence.changed', (e) => e.personId === who.id && e.online === online);

/** Asks until it is so: another process says it, and nobody is told who does not look. */
async function seen(viewer: TestPerson, who: TestPerson): Promise<void> {
	const asks = async () => {
		expect(await look(viewer, [who.id], 'one that asks')).toEqual({ online: [who.id] });
	};
	await vi.waitFor(asks, { interval: 100, timeout: 8000 });
	await look(viewer, [], 'one that asks');
}

describe('in memory', () => {
	beforeEach(() => start());
	tellsWhoLooks();
});

describe.skipIf(!redisHere)('in two processes (skipped where there is no redis-server)', () => {
	let redis: Awaited<ReturnType<typeof startRedis>>;
	beforeAll(async () => {
		redis = await startRedis();
	});
	afterAll(() => redis.stop());
	beforeEach(() => start(redis.url));
	tellsWhoLooks();

	test('who is in one process is online in the other', async () => {
		const { ana, ben } = await three();
		await openStream(calls.services, ben);
		const stream = await comes(ana);
		const there = callerFor(streams.services, ana, ana.sessionId);
		const answer = await there.presence.look({ tab: 'a tab', personIds: [ben.id] });
		expect(answer).toEqual({ online: [ben.id] });
		expect(heardOf(stream)).toEqual([]);
	});

	test('a process keeps what is looked at in another only where it can tell it', async () => {
		const { ana, ben } = await three();
		await comes(ben);
		await look(ana, [ben.id]);
		await look(ben, [ana.id]);
		// What Ana looks at came before.
		await vi.waitFor(() => expect(streams.services.presence.leaseCount).toBeGreaterThan(0));
		expect(streams.services.presence.leaseCount).toBe(1);
		expect(calls.services.presence.leaseCount).toBe(2);
	});

	test('moving from one process to another is no absence', async () => {
		const { ana, ben } = await three();
		const before = await comes(ben);
		const stream = await openStream(calls.services, ana);
		await look(ana, [ben.id]);
		await openStream(calls.services, ben);
		before.end();
		await streams.services.presence.close();
		now += 59_000;
		await calls.services.presence.round();
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(true);
		expect(heardOf(stream)).toEqual([]);
	});

	test('a process that stops leaves its people the time to come back', async () => {
		const { ana, ben } = await three();
		await comes(ben);
		await look(ana, [ben.id]);
		await streams.services.presence.close();
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(true);
		now += HOURS;
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(false);
	});

	test('who was in a process that died without a word is offline when its time is over', async () => {
		const { ana, ben } = await three();
		await comes(ben);
		const stream = await openStream(calls.services, ana);
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(true);
		// The one with Ben says nothing any more; Ana's goes on.
		now += 59_000;
		await calls.services.presence.round();
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(true);
		now += 2000;
		await calls.services.presence.round();
		await told(stream, ben, false);
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(false);
	});

	test('who is in a process that goes on stays online', async () => {
		const { ana, ben } = await three();
		await comes(ben);
		await look(ana, [ben.id]);
		for (let i = 0; i < 5; i++) {
			now += 40_000;
			await streams.services.presence.round();
			expect(isOnline(await look(ana, [ben.id]), ben)).toBe(true);
		}
	});

	test('a lost doorbell is found by the next round', async () => {
		const { ana, ben } = await three();
		const stream = await comes(ana);
		await look(ana, [ben.id]);
		const other = new Redis(redis.url);
		await other.zadd(`online:${ben.id}`, now + 60_000, 'a third process');
		await streams.services.presence.round();
		// In the process with her stream nobody had read it before: the first reading is no change.
		expect(heardOf(stream)).toEqual([]);
		expect(isOnline(await look(ana, [ben.id]), ben)).toBe(true);
		await other.zrem(`online:${ben.id}`, 'a third process');
		other.disconnect();
		await streams.services.presence.round();
		await told(stream, ben, false);
	});

	test('Redis holds ids and times, and forgets them by itself', async () => {
		const { ana, ben } = await three();
		await comes(ben);
		await seen(ana, ben);
		const other = new Redis(redis.url);
		const entry = await other.zrange(`online:${ben.id}`, '0', '-1', 'WITHSCORES');
		expect(entry).toEqual([streams.services.realtime.processId, String(now + 60_000)]);
		expect(await other.pttl(`online:${ben.id}`)).toBeGreaterThan(0);
		other.disconnect();
	});
});

describe.skipIf(!redisHere)('without the Redis that there was', () => {
	test('each process knows itself, says so once, and is together again', async () => {
		const redis = await startRedis();
		const { lines, log } = recordingLog();
		const settings = { REDIS_URL: redis.url };
		const presence = { clock, graceMs: HOURS };
		calls = await testApp(settings, { presence, log });
		streams = await testApp(settings, { url: calls.url, presence });
		closing.push(calls.close, streams.close);
		const { ana, ben, eve } = await three();
		await eve.call.conversations.startDirect({ personId: ana.id });
		const stream = await openStream(calls.services, ana);
		await look(ana, [ben.id, eve.id]);
		await comes(ben);
		await told(stream, ben, true);

		await redis.stop();
		await calls.services.presence.round();
		await told(stream, ben, false);
		const eves = await openStream(calls.services, eve);
		await told(stream, eve, true);
		expect((await look(ana, [ben.id, eve.id])).online).toEqual([eve.id]);
		await endSession(calls.services, eve.id, eve.sessionId);
		expect(eves.closed).toBe(true);
		await told(stream, eve, false);
		expect(lines().filter((line) => line.includes('online'))).toEqual([
			'Redis fails: each process knows only who is online in itself.'
		]);

		const again = await startRedis(redis.port);
		closing.unshift(again.stop);
		await seen(ana, ben);
	});
});

function tellsWhoLooks() {
	describe('an outsider', () => {
		test('a stranger is told nothing', async () => {
			const { ana, ben, eve } = await three();
			const [hers, eves] = [await comes(ana), await comes(eve)];
			await look(ana, [ben.id]);
			expect(await look(eve, [ben.id, ana.id])).toEqual({ online: [] });
			await comes(ben);
			await told(hers, ben, true);
			expect(await look(eve, [ben.id, ana.id])).toEqual({ online: [] });
			await calls.services.presence.round();
			await streams.services.presence.round();
			expect(heardOf(eves)).toEqual([]);
		});

		test('nobody by an id of nobody', async () => {
			const { eve } = await three();
			const nobody = '00000000-0000-4000-8000-000000000000';
			expect(await look(eve, [nobody])).toEqual({ online: [] });
		});

		test('who has left the conversation that they shared is told nothing', async () => {
			const { ana, ben, eve } = await three();
			const group = { id: crypto.randomUUID(), name: 'Group', personIds: [eve.id] };
			await ben.call.conversations.createGroup(group);
			const [hers, eves] = [await comes(ana), await comes(eve)];
			await look(ana, [ben.id]);
			await look(eve, [ben.id]);
			await eve.call.conversations.leave({ conversationId: group.id });
			await look(eve, [ben.id]);
			await comes(ben);
			await told(hers, ben, true);
			expect(heardOf(eves)).toEqual([]);
			expect(await look(eve, [ben.id])).toEqual({ online: [] });
			// Nor does Ben hear of Eve.
			expect(await look(ben, [eve.id])).toEqual({ online: [] });
		});

		test('of who hides nothing is told, and that they hide at once', async () => {
			const { ana, ben } = await three();
			const stream = await comes(ana);
			await look(ana, [ben.id]);
			await comes(ben);
			await told(stream, ben, true);
			await ben.call.presence.show({ shows: false });
			await told(stream, ben, false);
			expect(await look(ana, [ben.id])).toEqual({ online: [] });
			const heard = heardOf(stream).length;
			await calls.services.presence.round();
			await streams.services.presence.round();
			await addSession(streams.services, ben.id).then((sessionId) => comes({ ...ben, sessionId }));
			expect(heardOf(stream)).toHaveLength(heard);
			await ben.call.presence.show({ shows: true });
			expect(await look(ana, [ben.id])).toEqual({ online: [ben.id] });
		});

		test('who hides is told nothing, from that moment on', async () => {
			const { ana, ben, eve } = await three();
			await eve.call.conversations.startDirect({ personId: ben.id });
			const [hers, eves, bens] = [await comes(ana), await comes(eve), await comes(ben)];
			await look(ana, [ben.id]);
			await look(eve, [ben.id]);
			await ana.call.presence.show({ shows: false });
			await told(hers, ben, false);
			await endSession(calls.services, ben.id, ben.sessionId);
			await told(eves, ben, false);
			expect(bens.closed).toBe(true);
			const sessionId = await addSession(calls.services, ben.id);
			await comes({ ...ben, sessionId });
			await told(eves, ben, true);
			expect(heardOf(hers)).toHaveLength(1);
			expect(await look(ana, [ben.id])).toEqual({ online: [] });
		});

		test('that somebody hides is found where no doorbell tells it', async () => {
			const { ana, ben } = await three();
			await comes(ben);
			const stream = await openStream(calls.services, ana);
			await look(ana, [ben.id]);
			const { orm } = calls.services.db;
			await orm.update(person).set({ showsPresence: false }).where(eq(person.id, ben.id));
			await calls.services.presence.round();
			await told(stream, ben, false);
		});

		test('that the viewer hides is found where no doorbell tells it', async () => {
			const { ana, ben } = await three();
			await comes(ben);
			const stream = await openStream(calls.services, ana);
			await look(ana, [ben.id]);
			const { orm } = calls.services.db;
			await orm.update(person).set({ showsPresence: false }).where(eq(person.id, ana.id));
			await calls.services.presence.round();
			await told(stream, ben, false);
			expect(calls.services.presence.leaseCount).toBe(0);
		});

		test('who is signed out may not ask', async () => {
			const caller = createCaller({
				services: calls.services,
				session: null,
				address: '192.0.2.1',
				userAgent: 'test',
				setSessionCookie: () => {}
			});
			const { ben } = await three();
			const asked = caller.presence.look({ tab: 'a tab', personIds: [ben.id] });
			expect(await refusal(asked)).toEqual({ reason: 'not_signed_in' });
			expect(await refusal(caller.presence.show({ shows: false }))).toEqual({
				reason: 'not_signed_in'
			});
			expect(calls.services.presence.leaseCount).toBe(0);
		});

		test('nobody looks at more than a hundred people', async () => {
			const { ana } = await three();
			const many = Array.from({ length: LOOK_MAX + 1 }, () => crypto.randomUUID());
			expect(await refusal(look(ana, many))).toEqual({ trpc: 'BAD_REQUEST' });
			expect(await look(ana, many.slice(1))).toEqual({ online: [] });
		});

		test('who asks without end has to wait', async () => {
			const { ana } = await three();
			// Two a second are given back meanwhile.
			const asked = Array.from({ length: 150 }, () => refusal(look(ana, [])));
			const reasons = (await Promise.all(asked)).map(({ reason }) => reason);
			expect(reasons).toContain('too_many_attempts');
			expect(reasons.filter((reason) => reason === 'none').length).toBeGreaterThanOrEqual(90);
		});
	});

	test('who looks is told, and nobody else', async () => {
		const { ana, ben, eve } = await three();
		const friend = await somebody(calls.services, 'Fay');
		for (const one of [eve, friend]) await one.call.conversations.startDirect({ personId: ben.id });
		await friend.call.conversations.startDirect({ personId: eve.id });
		const [hers, eves, friends] = [await comes(ana), await comes(eve), await comes(friend)];
		expect(await look(ana, [ben.id])).toEqual({ online: [] });
		await look(friend, [ben.id]);
		await look(friend, [eve.id]);
		const bens = await comes(ben);
		await told(hers, ben, true);
		expect(await look(ana, [ben.id])).toEqual({ online: [ben.id] });
		await endSession(calls.services, ben.id, ben.sessionId);
		await told(hers, ben, false);
		expect(heardOf(hers).map((e) => e.online)).toEqual([true, false]);
		expect(heardOf(eves), 'shares a conversation, and does not look').toEqual([]);
		expect(heardOf(friends), 'looks at somebody else by now').toEqual([]);
		expect(heardOf(bens)).toEqual([]);
	});

	test('only the session that looks is told', async () => {
		const { ana, ben } = await three();
		const sessionId = await addSession(calls.services, ana.id);
		const [here, elsewhere] = [await comes(ana), await comes({ ...ana, sessionId })];
		await look(ana, [ben.id]);
		await comes(ben);
		await told(here, ben, true);
		expect(heardOf(elsewhere)).toEqual([]);
	});

	test('a reload is no absence', async () => {
		const { ana, ben } = await three();
		const stream = await comes(ana);
		const before = await comes(ben);
		await seen(ana, ben);
		await look(ana, [ben.id]);
		before.end();
		expect(await look(ana, [ben.id])).toEqual({ online: [ben.id] });
		await comes(ben);
		await calls.services.presence.round();
		expect(await look(ana, [ben.id])).toEqual({ online: [ben.id] });
		expect(heardOf(stream)).toEqual([]);
	});

	test('with two streams one may go', async () => {
		const { ana, ben } = await three();
		const sessionId = await addSession(calls.services, ben.id);
		await comes(ben);
		await comes({ ...ben, sessionId });
		await seen(ana, ben);
		await endSession(calls.services, ben.id, sessionId);
		expect(await look(ana, [ben.id])).toEqual({ online: [ben.id] });
	});

	test('who ends the session is offline at once', async () => {
		const { ana, ben } = await three();
		const stream = await comes(ana);
		await comes(ben);
		await seen(ana, ben);
		await look(ana, [ben.id]);
		await endSession(calls.services, ben.id, ben.sessionId);
		await told(stream, ben, false);
	});

	test('who polls is online', async () => {
		const { ana, ben } = await three();
		const listener = { personId: ben.id, sessionId: ben.sessionId };
		const polling = new PollStream(listener, 1000);
		await streams.services.realtime.hub.open(polling);
		await seen(ana, ben);
		polling.end();
		expect(await look(ana, [ben.id]), 'until the next request').toEqual({ online: [ben.id] });
	});

	test('each tab looks for itself, and until it says otherwise or says nothing', async () => {
		const { ana, ben, eve } = await three();
		await eve.call.conversations.startDirect({ personId: ana.id });
		const stream = await comes(ana);
		await look(ana, [ben.id], 'one');
		await look(ana, [ben.id, eve.id], 'other');
		await look(ana, [], 'one');
		await comes(ben);
		await told(stream, ben, true);
		expect(heardOf(stream), 'once for both').toHaveLength(1);
		await look(ana, [eve.id], 'other');
		await endSession(calls.services, ben.id, ben.sessionId);
		await comes(eve);
		await told(stream, eve, true);
		expect(heardOf(stream)).toHaveLength(2);

		now += LOOK_LEASE_MS;
		await endSession(calls.services, eve.id, eve.sessionId);
		await streams.services.presence.round();
		await calls.services.presence.round();
		expect(streams.services.presence.leaseCount + calls.services.presence.leaseCount).toBe(0);
		expect(heardOf(stream)).toHaveLength(2);
	});

	test('of many tabs of one person the latest are remembered', async () => {
		const { ana, ben } = await three();
		for (let i = 0; i < 30; i++) await look(ana, [ben.id], `tab ${i}`);
		expect(calls.services.presence.leaseCount).toBe(20);
	});

	test('the metrics tell how many', async () => {
		const { ana, ben } = await three();
		await comes(ben);
		await look(ana, [ben.id]);
		expect(streams.services.metrics.text()).toContain('\ntertulia_people_online 1\n');
		expect(calls.services.metrics.text()).toContain('\ntertulia_presence_leases 1\n');
	});
}

test('when the grace is over, who is gone is offline', async () => {
	await start(undefined, 10);
	const { ana, ben } = await three();
	const stream = await comes(ana);
	await look(ana, [ben.id]);
	(await comes(ben)).end();
	await told(stream, ben, true);
	await told(stream, ben, false);
});
