/** The doors of the app over real HTTP, the outsider first. */
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StreamEvent } from '#lib/shared/events.ts';
import type { SyncAnswer } from '#lib/shared/sync.ts';
import { openSite, overheard, testApp, type Site } from './testing.ts';

let first: Site;
let second: Site;

beforeAll(async () => {
	first = await openSite(await testApp());
	second = await openSite(await testApp({}, { url: first.app.url }));
});
afterAll(async () => {
	await second.close();
	await first.close();
});

interface Answer {
	status: number;
	headers: Headers;
	result: unknown;
	reason: string | undefined;
	retryAfter: number | undefined;
}

async function call(
	site: Site,
	procedure: string,
	input: unknown,
	headers: Record<string, string> = {}
): Promise<Answer> {
	const response = await fetch(`${site.url}/trpc/${procedure}`, {
		method: 'POST',
		headers: { origin: site.url, 'content-type': 'application/json', ...headers },
		body: JSON.stringify(input)
	});
	const body = (await response.json().catch(() => ({}))) as {
		result?: { data: unknown };
		error?: { data: { reason: string; retryAfter?: number } };
	};
	return {
		status: response.status,
		headers: response.headers,
		result: body.result?.data,
		reason: body.error?.data.reason,
		retryAfter: body.error?.data.retryAfter
	};
}

async function signUp(site: Site): Promise<{ id: string; cookie: string }> {
	const username = `u${uuidv7().slice(-12)}`;
	const answer = await call(site, 'accounts.signUp', {
		name: username,
		username,
		email: `${username}@example.test`,
		password: 'a long enough password'
	});
	const cookie = answer.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
	return { id: (answer.result as { id: string }).id, cookie };
}

/** An event stream as a browser reads it. */
class Listening {
	readonly events: StreamEvent[] = [];
	ended = false;
	readonly response: IncomingMessage;
	#text = '';

	constructor(response: IncomingMessage) {
		this.response = response;
		response.setEncoding('utf8').on('data', (text: string) => {
			this.#text += text;
			const parts = this.#text.split('\n\n');
			this.#text = parts.pop() ?? '';
			for (const part of parts) {
				this.events.push(JSON.parse(part.slice('data: '.length)) as StreamEvent);
			}
		});
		response.on('close', () => (this.ended = true)).on('error', () => (this.ended = true));
	}

	get types(): string[] {
		return this.events.map(({ type }) => type);
	}
}

async function listen(site: Site, cookie: string): Promise<Listening> {
	const response = await new Promise<IncomingMessage>((resolve, reject) => {
		get(`${site.url}/events`, { headers: { cookie } }, resolve).on('error', reject);
	});
	const listening = new Listening(response);
	if (response.statusCode === 200) {
		await expect.poll(() => listening.types).toContain('stream.opened');
	}
	return listening;
}

describe('who is not signed in', () => {
	test('gets no stream and no procedure', async () => {
		expect((await listen(first, '')).response.statusCode).toBe(401);
		expect((await listen(first, `session=${'x'.repeat(43)}`)).response.statusCode).toBe(401);
		const answer = await call(first, 'sync.since', { conversations: {} });
		expect(answer).toMatchObject({ status: 401, reason: 'not_signed_in' });
	});

	test('learns nothing from what does not exist', async () => {
		expect(await call(first, 'accounts.everything', {})).toMatchObject({
			status: 404,
			reason: 'not_found'
		});
	});
});

describe('another site', () => {
	test('cannot make a browser change anything', async () => {
		const { cookie } = await signUp(first);
		for (const origin of ['https://evil.example', 'null', `${first.url}.evil.example`]) {
			const answer = await call(first, 'accounts.signOut', null, { cookie, origin });
			expect(answer.status).toBe(403);
		}
		const still = await call(first, 'sync.since', { conversations: {} }, { cookie });
		expect(still.status).toBe(200);
	});

	test('cannot show an answer as a page, or keep it', async () => {
		const { headers } = await call(first, 'sync.since', { conversations: {} });
		expect(headers.get('content-security-policy')).toContain("default-src 'none'");
		expect(headers.get('x-content-type-options')).toBe('nosniff');
		expect(headers.get('cache-control')).toBe('no-store');
	});
});

describe('a person', () => {
	test('has a cookie that scripts and other sites cannot use', async () => {
		const answer = await call(first, 'accounts.signUp', {
			name: 'Ana',
			username: 'ana.cookie',
			email: 'ana.cookie@example.test',
			password: 'a long enough password'
		});
		const cookie = answer.headers.get('set-cookie') ?? '';
		expect(cookie).toMatch(/HttpOnly/);
		expect(cookie).toMatch(/SameSite=Lax/);
	});

	test('hears what is sent through another process, and outsiders do not', async () => {
		const [ana, ben, other] = [await signUp(first), await signUp(first), await signUp(first)];
		const inside = await listen(second, ben.cookie);
		const outside = await listen(second, other.cookie);
		const direct = await call(
			first,
			'conversations.startDirect',
			{ personId: ben.id },
			{ cookie: ana.cookie }
		);
		const { snapshot } = direct.result as { snapshot: { conversation: { id: string } } };
		const conversationId = snapshot.conversation.id;
		await expect.poll(() => inside.types).toContain('conversation.followed');
		await call(
			first,
			'messages.send',
			{ id: uuidv7(), conversationId, body: 'ñandú 🫖' },
			{ cookie: ana.cookie }
		);
		await expect.poll(() => JSON.stringify(inside.events)).toContain('ñandú 🫖');
		// The outsider's stream works: it hears what is its own, and that alone.
		await call(
			first,
			'conversations.createGroup',
			{ id: uuidv7(), name: 'Another', personIds: [ana.id] },
			{ cookie: other.cookie }
		);
		await expect.poll(() => outside.types).toContain('person.advanced');
		expect(JSON.stringify(outside.events)).not.toContain(conversationId);
		inside.response.destroy();
		outside.response.destroy();
	});

	test('whose session is ended elsewhere goes dark at once, on every process', async () => {
		const { cookie } = await signUp(first);
		const [here, there] = [await listen(first, cookie), await listen(second, cookie)];
		const sessions = await fetch(`${first.url}/trpc/accounts.sessions`, { headers: { cookie } });
		const body = (await sessions.json()) as { result: { data: { id: string }[] } };
		await call(first, 'accounts.endSession', { id: body.result.data[0]?.id }, { cookie });
		// Sooner than the sweep that would find it too, so it was the notification.
		await expect.poll(() => here.ended && there.ended, { timeout: 3000, interval: 10 }).toBe(true);
		expect(here.types.at(-1)).toBe('session.ended');
		expect(there.types.at(-1)).toBe('session.ended');
		expect((await listen(second, cookie)).response.statusCode).toBe(401);
	});

	test('is believed for a moment, and not beyond the end of the session on any process', async () => {
		const ask = async (site: Site, cookie: string) =>
			(await fetch(`${site.url}/trpc/accounts.sessions`, { headers: { cookie } })).status;
		const { cookie } = await signUp(first);
		expect([await ask(first, cookie), await ask(second, cookie)]).toEqual([200, 200]);

		const changed = await call(
			second,
			'accounts.changePassword',
			{ current: 'a long enough password', next: 'another long password' },
			{ cookie }
		);
		const renewed = changed.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
		expect(renewed).not.toBe(cookie);
		expect(await ask(second, cookie), 'the old token where it was changed').toBe(401);
		await expect
			.poll(() => ask(first, cookie), { message: 'and elsewhere', timeout: 1000, interval: 5 })
			.toBe(401);
		expect(await ask(first, renewed)).toBe(200);

		await call(first, 'accounts.signOut', null, { cookie: renewed });
		expect(await ask(first, renewed), 'at once where it ended').toBe(401);
		await expect.poll(() => ask(second, renewed), { timeout: 1000, interval: 5 }).toBe(401);
	});

	test('whose session is asked about again and again is looked up once', async () => {
		const { cookie } = await signUp(first);
		const ask = () => fetch(`${first.url}/trpc/accounts.viewer`, { headers: { cookie } });
		const { db } = first.app.services;
		const { sql } = db;
		let lookUps = 0;
		db.sql = overheard(sql, (statement) => {
			if (statement.includes('from session')) lookUps++;
		});
		for (let i = 0; i < 5; i++) await ask();
		db.sql = sql;
		expect(lookUps).toBe(1);
	});
});

describe('long polling', () => {
	interface Known {
		conversations: Record<string, number>;
		personVersion: number;
	}

	async function poll(
		site: Site,
		known: Known,
		headers: Record<string, string>,
		opening = false
	): Promise<{ status: number; events: StreamEvent[] }> {
		const response = await fetch(`${site.url}/events/poll`, {
			method: 'POST',
			headers: { origin: site.url, ...headers },
			body: JSON.stringify({ ...known, opening })
		});
		const parts = (await response.text()).split('\n\n').slice(0, -1);
		const events = parts.map((part) => JSON.parse(part.slice('data: '.length)) as StreamEvent);
		return { status: response.status, events };
	}

	async function pair() {
		const [ana, ben] = [await signUp(first), await signUp(first)];
		const cookie = { cookie: ana.cookie };
		const started = await call(first, 'conversations.startDirect', { personId: ben.id }, cookie);
		const { snapshot } = started.result as { snapshot: { conversation: { id: string } } };
		const conversationId = snapshot.conversation.id;
		const known = async ({ cookie }: { cookie: string }): Promise<Known> => {
			const since = await call(first, 'sync.since', { conversations: {} }, { cookie });
			const { snapshots, personVersion } = since.result as SyncAnswer;
			return {
				conversations: Object.fromEntries(
					snapshots.map(({ conversation, version }) => [conversation.id, version])
				),
				personVersion
			};
		};
		const say = (body: string) =>
			call(first, 'messages.send', { id: uuidv7(), conversationId, body }, cookie);
		return { ana, ben, conversationId, known, say };
	}

	/** The request is open, and hears everything. */
	const waiting = (site: Site, count: number) =>
		expect.poll(() => site.app.services.realtime.hub.streamCount).toBe(count);

	test('answers what was missed at once, and what happens when it happens', async () => {
		const { ben, known, say } = await pair();
		const before = await known(ben);
		await say('Missed.');
		const missed = await poll(second, before, ben);
		expect(missed.events).toMatchObject([{ type: 'conversation.advanced' }]);
		expect(JSON.stringify(missed.events)).toContain('Missed.');

		const now = await known(ben);
		expect(await poll(second, now, ben, true)).toMatchObject({
			events: [{ type: 'stream.opened' }]
		});
		const answer = poll(second, now, ben);
		await waiting(second, 1);
		await say('Live.');
		expect(JSON.stringify((await answer).events)).toContain('Live.');
		await waiting(second, 0);
	});

	test('asks for a sync where events cannot tell what was missed', async () => {
		const { ben, known, conversationId } = await pair();
		const now = await known(ben);
		const opened = [{ type: 'stream.opened' }];
		const unknown = { ...now, conversations: {} };
		expect((await poll(first, unknown, ben)).events).toMatchObject(opened);
		const elsewhere = { ...now, personVersion: now.personVersion - 1 };
		expect((await poll(first, elsewhere, ben)).events).toMatchObject(opened);
		const gone = { ...now, conversations: { ...now.conversations, [uuidv7()]: 1 } };
		const { events } = await poll(first, gone, ben);
		expect(events).toMatchObject(opened);
		expect(JSON.stringify(events)).not.toContain(conversationId);
	});

	test('tells an outsider nothing, whatever is named', async () => {
		const { ana, conversationId, say } = await pair();
		const eve = await signUp(first);
		const curious = { conversations: { [conversationId]: 0 }, personVersion: 0 };
		const named = await poll(first, curious, eve);
		expect(named.events).toEqual([{ type: 'stream.opened' }]);

		const answer = poll(second, { conversations: {}, personVersion: 0 }, eve);
		await waiting(second, 1);
		await say('Not for Eve.');
		const own = { id: uuidv7(), name: 'Hers', personIds: [ana.id] };
		await call(first, 'conversations.createGroup', own, { cookie: eve.cookie });
		const { events } = await answer;
		expect(events.length).toBeGreaterThan(0);
		expect(JSON.stringify(events)).not.toContain(conversationId);
		expect(JSON.stringify(events)).not.toContain('Not for Eve.');
	});

	test('is refused without a session, from another site, and for somebody else', async () => {
		const { ana, ben, known } = await pair();
		const now = await known(ben);
		expect(await poll(first, now, {})).toMatchObject({ status: 401, events: [] });
		const evil = { cookie: ben.cookie, origin: 'https://evil.example' };
		expect(await poll(first, now, evil)).toMatchObject({ status: 403, events: [] });
		const other = { cookie: ana.cookie, 'x-tertulia-person': ben.id };
		expect(await poll(first, now, other)).toMatchObject({ status: 401, events: [] });
	});

	test('hears the end of the session, and nothing after it', async () => {
		const { ben, known } = await pair();
		const answer = poll(second, await known(ben), ben);
		await waiting(second, 1);
		await call(first, 'accounts.signOut', null, { cookie: ben.cookie });
		expect((await answer).events.map(({ type }) => type)).toEqual(['session.ended']);
		await waiting(second, 0);
	});

	test('lets go of the stream of who has gone away', async () => {
		const { ben, known } = await pair();
		const gone = new AbortController();
		const asked = fetch(`${second.url}/events/poll`, {
			method: 'POST',
			headers: { origin: second.url, cookie: ben.cookie },
			body: JSON.stringify({ ...(await known(ben)), opening: false }),
			signal: gone.signal
		});
		await waiting(second, 1);
		gone.abort();
		await expect(asked).rejects.toThrow();
		await waiting(second, 0);
	});
});

describe('a database that is away', () => {
	test.each([
		['by the quick door', ''],
		['by tRPC’s own', '?detour']
	])('is told of as a server that is busy, %s', async (_, detour) => {
		const site = await openSite(await testApp());
		try {
			const { cookie } = await signUp(site);
			const since = `sync.since${detour}`;
			const known = await call(site, since, { conversations: {} }, { cookie });
			expect(known.status).toBe(200);
			await site.app.services.db.close();
			const busy = { status: 503, reason: 'server_busy', retryAfter: 2 };
			// Who is asking is remembered for a moment; somebody else has to be looked up.
			for (const asking of [cookie, 'session=somebody-else']) {
				const answer = await call(site, since, { conversations: {} }, { cookie: asking });
				expect(answer, asking).toMatchObject(busy);
			}
			// What is not the database's doing is told as before.
			expect(await call(site, `nothing.atAll${detour}`, {}, { cookie })).toMatchObject({
				status: 404
			});
		} finally {
			await site.close();
		}
	});
});

describe('a page that was left open while somebody else signed in', () => {
	test('neither speaks for them nor hears what is theirs', async () => {
		const [ana, ben] = [await signUp(first), await signUp(first)];
		const headers = { cookie: ben.cookie, 'x-tertulia-person': ana.id };
		const answer = await call(first, 'sync.since', { conversations: {} }, headers);
		expect(answer).toMatchObject({ status: 401, reason: 'not_signed_in' });
		const own = { cookie: ben.cookie, 'x-tertulia-person': ben.id };
		expect((await call(first, 'sync.since', { conversations: {} }, own)).status).toBe(200);
		const stream = await fetch(`${first.url}/events?person=${ana.id}`, {
			headers: { cookie: ben.cookie }
		});
		expect(stream.status).toBe(401);
	});
});

describe('a stream', () => {
	test('that is not read is closed, and holds no more memory than its limit', async () => {
		const site = await openSite(await testApp({ STREAM_BUFFER_KIB: '16' }));
		try {
			const [ana, ben] = [await signUp(site), await signUp(site)];
			const opened = await call(
				site,
				'conversations.startDirect',
				{ personId: ben.id },
				{ cookie: ana.cookie }
			);
			const { snapshot } = opened.result as { snapshot: { conversation: { id: string } } };
			const slow = await listen(site, ben.cookie);
			slow.response.pause();
			const { services } = site.app;
			const send = () =>
				services.writer.send(
					{ id: uuidv7(), conversationId: snapshot.conversation.id, body: 'x'.repeat(8000) },
					ana.id
				);
			await expect
				.poll(
					async () => {
						await Promise.all(Array.from({ length: 50 }, send));
						return services.realtime.hub.streamCount;
					},
					{ timeout: 15_000, interval: 1 }
				)
				.toBe(0);
			slow.response.destroy();
		} finally {
			await site.close();
		}
	});

	test('waits for its turn on a connection whose last answer is not quite over', async () => {
		const { cookie } = await signUp(first);
		// A browser asks again once it has the last byte; the server may end that answer a little later.
		const socket = connect(Number(new URL(first.url).port), '127.0.0.1');
		let heard = '';
		socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
		const body = JSON.stringify({ login: 'nobody', password: 'takes a while to check' });
		socket.write(
			[
				'POST /trpc/accounts.signIn HTTP/1.1',
				`host: ${new URL(first.url).host}`,
				`origin: ${first.url}`,
				'content-type: application/json',
				`content-length: ${body.length}`,
				'',
				`${body}GET /events HTTP/1.1`,
				`host: ${new URL(first.url).host}`,
				`cookie: ${cookie}`,
				'\r\n'
			].join('\r\n')
		);
		await expect.poll(() => heard, { timeout: 10_000 }).toContain('stream.opened');
		expect(heard).toMatch(/^HTTP\/1\.1 401 [^]+HTTP\/1\.1 200 [^]+stream\.opened/);
		socket.destroy();
	});

	test('is told when the server stops, and when to come back', async () => {
		const site = await openSite(await testApp());
		const { cookie } = await signUp(site);
		const listening = await listen(site, cookie);
		await site.close();
		await expect.poll(() => listening.ended).toBe(true);
		expect(listening.events.at(-1)).toMatchObject({ type: 'server.stopping' });
	});
});

test('health tells whether the process lives, readiness whether it can work', async () => {
	expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
	expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
});

test('a body that is too large is refused', async () => {
	const answer = await call(first, 'accounts.signIn', { login: 'x'.repeat(600_000) });
	expect(answer.status).toBe(413);
});
