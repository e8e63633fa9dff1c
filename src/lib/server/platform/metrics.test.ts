import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uuidv7 } from 'uuidv7';
import { BadNetwork } from '../../../../tests/torture/proxy.ts';
import type { Listen } from '../realtime/realtime.ts';
import { openSite, openStream, somebody, testApp, type Site } from '../testing.ts';
import { Counter, Histogram, mayReadMetrics } from './metrics.ts';

const TOKEN = 'a token of some length';

describe('who may read the metrics', () => {
	const from = (remoteAddress: string, headers: Record<string, string> = {}) => ({
		headers,
		socket: { remoteAddress }
	});

	test('without a token not the public, and not who comes through a proxy of ours', () => {
		for (const address of ['203.0.113.7', '8.8.8.8', '2001:db8::1', '::ffff:203.0.113.7', '']) {
			expect(mayReadMetrics(from(address), undefined), address).toBe(false);
		}
		for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip', 'x-forwarded-host']) {
			expect(mayReadMetrics(from('172.18.0.5', { [name]: '127.0.0.1' }), undefined)).toBe(false);
		}
	});

	test('without a token who calls directly from the machine or a private network', () => {
		for (const address of ['127.0.0.1', '::1', '::ffff:10.1.2.3', '172.18.0.5', 'fd00::7']) {
			expect(mayReadMetrics(from(address), undefined), address).toBe(true);
		}
	});

	test('with a token who says it, and nobody else', () => {
		const saying = (authorization: string) => from('203.0.113.7', { authorization });
		expect(mayReadMetrics(from('127.0.0.1'), TOKEN)).toBe(false);
		for (const said of ['', TOKEN, `Basic ${TOKEN}`, 'Bearer ', `Bearer ${TOKEN}x`]) {
			expect(mayReadMetrics(saying(said), TOKEN), said).toBe(false);
		}
		expect(mayReadMetrics(saying(`Bearer ${TOKEN}`), TOKEN)).toBe(true);
	});
});

describe('the text', () => {
	test('of a counter', () => {
		const counter = new Counter('errors_total', 'Errors.', 'code');
		counter.add();
		counter.add(2, 'a "b"\\');
		expect(counter.text()).toBe(
			'# HELP errors_total Errors.\n# TYPE errors_total counter\n' +
				'errors_total{code=""} 1\nerrors_total{code="a \\"b\\"\\\\"} 2\n'
		);
	});

	test('of a histogram, whose buckets add up', () => {
		const histogram = new Histogram('seconds', 'Time.', [0.1, 1], 'name');
		for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value, 'send');
		expect(histogram.text().split('\n').slice(2, -1)).toEqual([
			'seconds_bucket{name="send",le="0.1"} 2',
			'seconds_bucket{name="send",le="1"} 3',
			'seconds_bucket{name="send",le="+Inf"} 4',
			'seconds_sum{name="send"} 7.65',
			'seconds_count{name="send"} 4'
		]);
	});
});

describe('a process', () => {
	let site: Site;
	beforeAll(async () => {
		site = await openSite(await testApp({}, { hub: { sweepMs: 20 } }));
	});
	afterAll(() => site.close());

	const metric = async (name: string) => {
		const text = await (await fetch(`${site.url}/metrics`)).text();
		const line = text.split('\n').find((one) => one.startsWith(`${name} `));
		return line === undefined ? undefined : Number(line.slice(name.length + 1));
	};

	test('tells nothing to who comes through a proxy', async () => {
		const headers = { 'x-forwarded-for': '203.0.113.7' };
		expect((await fetch(`${site.url}/metrics`, { headers })).status).toBe(404);
	});

	test('counts what happens on the path of a message', async () => {
		const { services } = site.app;
		const [ana, ben] = [await somebody(services), await somebody(services)];
		const stream = await openStream(services, ben);
		const { snapshot } = await ana.call.conversations.startDirect({ personId: ben.id });
		const conversationId = snapshot.conversation.id;
		await stream.hears('conversation.followed');
		const message = { id: uuidv7(), conversationId, body: 'Hello' };
		await ana.call.messages.send(message);
		await ana.call.messages.send(message);
		await stream.hears('conversation.advanced');
		await ben.call.sync.since({ conversations: { [conversationId]: 1 } });
		await expect(ben.call.messages.page({ conversationId: uuidv7() })).rejects.toThrow();

		expect(await metric('tertulia_messages_accepted_total')).toBe(2);
		expect(await metric('tertulia_messages_duplicate_total')).toBe(1);
		expect(await metric('tertulia_write_batch_messages_count')).toBe(1);
		expect(await metric('tertulia_accept_to_commit_seconds_count')).toBe(1);
		// The person's line and the conversation's, where the latter was not read from the tables first.
		expect(
			await metric('tertulia_commit_to_stream_seconds_count{from="this process"}')
		).toBeGreaterThanOrEqual(1);
		expect(await metric('tertulia_streams_open')).toBe(1);
		expect(await metric('tertulia_stream_buffered_bytes')).toBe(0);
		expect(await metric('tertulia_stream_frames_total')).toBeGreaterThanOrEqual(2);
		expect(await metric('tertulia_sync_behind_changes_sum')).toBe(2);
		expect(await metric('tertulia_procedure_seconds_count{procedure="messages.send"}')).toBe(2);
		expect(await metric('tertulia_errors_total{code="not_found"}')).toBe(1);
		// What people choose is on no label.
		const text = await (await fetch(`${site.url}/metrics`)).text();
		for (const own of [conversationId, ana.id, ana.name, ana.username, 'Hello']) {
			expect(text).not.toContain(own);
		}
		stream.end();
	});

	test('counts a sweep that found something', async () => {
		const { services } = site.app;
		const ana = await somebody(services);
		const stream = await openStream(services, ana);
		await services.db.sql`update person set version = version + 1 where id = ${ana.id}`;
		await stream.hears('person.advanced');
		// The sweep is over a little later than what it found is told.
		await expect.poll(() => metric('tertulia_sweep_finds_total')).toBeGreaterThanOrEqual(1);
		stream.end();
	});
});

describe('readiness', () => {
	const ready = async ({ url }: Site) => {
		const answer = await fetch(`${url}/readyz`);
		return { status: answer.status, text: await answer.text() };
	};

	test('goes with the listener, and comes back with it', async () => {
		let begun = () => {};
		let lost: (() => void) | undefined;
		const listen: Listen = async (_, onBegun, onLost) => {
			begun = onBegun;
			lost = onLost;
			onBegun();
			return { notify: async () => {}, stop: async () => {} };
		};
		const site = await openSite(await testApp({}, { listen }));
		expect(await ready(site)).toEqual({ status: 200, text: 'ready' });
		lost?.();
		expect(await ready(site)).toEqual({ status: 503, text: 'no listener' });
		// It is alive all the same: starting it anew would mend nothing.
		expect((await fetch(`${site.url}/healthz`)).status).toBe(200);
		begun();
		expect(await ready(site)).toEqual({ status: 200, text: 'ready' });
		const text = await (await fetch(`${site.url}/metrics`)).text();
		expect(text).toContain('tertulia_listener_reconnections_total 1\n');
		await site.close();
	});

	test('goes with Postgres, and comes back with it', async () => {
		const home = await testApp();
		const real = new URL(home.url);
		const network = new BadNetwork(Number(real.port));
		const port = await network.listen(0);
		const through = new URL(home.url);
		through.port = String(port);
		const site = await openSite(await testApp({}, { url: through.href }));
		expect((await ready(site)).status).toBe(200);
		network.close();
		await expect.poll(() => ready(site)).toMatchObject({ text: 'no database, no listener' });
		expect((await fetch(`${site.url}/healthz`)).status).toBe(200);
		await network.listen(port);
		await expect.poll(() => ready(site), { timeout: 10_000 }).toMatchObject({ status: 200 });

		// One that takes connections and says nothing is as good as none.
		network.stall(60_000);
		await expect.poll(() => ready(site), { timeout: 10_000 }).toMatchObject({ status: 503 });
		network.close();
		await site.close();
		await home.close();
	}, 40_000);

	test('a listener whose connection is ended hears again what happens then', async () => {
		const site = await openSite(await testApp({}, { hub: { sweepMs: 3_600_000 } }));
		const other = await testApp({}, { url: site.app.url });
		const [ana, ben] = [await somebody(other.services), await somebody(other.services)];
		const stream = await openStream(site.app.services, ben);
		await other.services.db.sql`
			select pg_terminate_backend(pid) from pg_stat_activity
			where application_name = 'tertulia-listener' and datname = current_database()`;
		// Whether it is told while nobody listens or after: the next listening begins with a look.
		await ana.call.conversations.startDirect({ personId: ben.id });
		await stream.hears('conversation.followed');
		await ana.call.conversations.createGroup({ id: uuidv7(), name: 'G', personIds: [ben.id] });
		await expect.poll(() => stream.conversations.size).toBe(2);
		await other.close();
		await site.close();
	});
});

test('what is asked with another method does not exist', async () => {
	const site = await openSite(await testApp({ METRICS_TOKEN: TOKEN }));
	const headers = { authorization: `Bearer ${TOKEN}` };
	expect((await fetch(`${site.url}/metrics`, { method: 'POST', headers })).status).toBe(404);
	expect((await fetch(`${site.url}/metrics`)).status).toBe(404);
	const answer = await fetch(`${site.url}/metrics`, { headers });
	expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
	await site.close();
});
