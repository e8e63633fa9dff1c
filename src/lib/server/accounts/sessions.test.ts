import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnv } from '#env';
import { Browser, House, refusal } from './testing.ts';
import {
	createSession,
	deleteExpired,
	endAllSessions,
	endSession,
	findSession,
	readSessionToken,
	sessionCookie
} from './sessions.ts';

let house: House;
beforeAll(async () => {
	house = await House.open({ SESSION_DAYS: '30' });
});
afterAll(() => house.close());

const DAY = 86_400_000;

test('an ended session is refused, and its streams are cut with it', async () => {
	const { browser } = await house.person('ended');
	const copy = browser.token;
	const id = (await browser.session())?.id ?? '';
	await (await browser.ask()).signOut();
	expect(browser.token).toBeNull();
	expect(await findSession(house.services, copy ?? '')).toBeNull();
	expect(house.cut).toContain(id);
});

test('signing out without a session, or twice, is no trouble', async () => {
	const browser = house.browser();
	await (await browser.ask()).signOut();
	const { browser: other } = await house.person('twice');
	const stale = await other.ask();
	await stale.signOut();
	await stale.signOut();
	expect(other.token).toBeNull();
});

test('somebody else’s session cannot be ended, and is not even there', async () => {
	const { browser: victim } = await house.person('victim');
	const { browser: outsider } = await house.person('outsider');
	const id = (await victim.session())?.id ?? '';
	const theirs = await refusal((await outsider.ask()).endSession({ id }));
	const nobodys = await refusal((await outsider.ask()).endSession({ id: 'f'.repeat(64) }));
	expect(theirs).toEqual({ reason: 'not_found' });
	expect(nobodys).toEqual(theirs);
	expect(await victim.session()).not.toBeNull();
	expect(house.cut).not.toContain(id);
	expect((await (await outsider.ask()).sessions()).map((s) => s.id)).not.toContain(id);
});

test('who reads the table finds nothing that works as a cookie', async () => {
	const { browser } = await house.person('table');
	const rows = await house.services.db.sql`select * from session`;
	const found = JSON.stringify(rows);
	expect(found).not.toContain(browser.token);
	for (const row of rows) expect(await findSession(house.services, String(row['id']))).toBeNull();
	expect(browser.token).toMatch(/^[\w-]{43}$/);
});

test('an invented token opens nothing', async () => {
	for (const token of ['', 'x', '\0', 'a'.repeat(100_000), '💬', "' or 1=1 --"]) {
		expect(await findSession(house.services, token)).toBeNull();
	}
});

test('an expired session is refused, and cleared away with its streams', async () => {
	const { browser, viewer } = await house.person('expired');
	const id = (await browser.session())?.id ?? '';
	const { sql } = house.services.db;
	await sql`update session set expires_at = now() - interval '1 second' where id = ${id}`;
	expect(await (await browser.ask()).sessions().catch(() => 'refused')).toBe('refused');
	expect(await browser.session()).toBeNull();

	const token = await createSession(house.services, viewer.id, { userAgent: '', address: '' });
	const unused = await findSession(house.services, token);
	await sql`update session set expires_at = now() - interval '1 second' where id = ${unused?.id ?? ''}`;
	await deleteExpired(house.services);
	expect(house.cut).toEqual(expect.arrayContaining([id, unused?.id]));
	expect(await sql`select 1 from session where expires_at <= now()`).toHaveLength(0);
});

test('a session that is used goes on, with at most one write a minute', async () => {
	const { browser } = await house.person('rolling');
	const id = (await browser.session())?.id ?? '';
	const { sql } = house.services.db;
	const read = async () => {
		const [row] = await sql<{ seen: number; expires: number }[]>`
			select extract(epoch from last_seen_at)::float8 * 1000 as seen,
				extract(epoch from expires_at)::float8 * 1000 as expires
			from session where id = ${id}`;
		return row ?? { seen: 0, expires: 0 };
	};
	await sql`update session set last_seen_at = now() - interval '50 seconds',
		expires_at = now() + interval '20 days' where id = ${id}`;
	const before = await read();
	await browser.session();
	expect(await read(), 'within the minute nothing is written').toEqual(before);

	await sql`update session set last_seen_at = now() - interval '61 seconds' where id = ${id}`;
	await browser.session();
	const after = await read();
	expect(Date.now() - after.seen).toBeLessThan(10_000);
	expect(after.expires - Date.now()).toBeGreaterThan(29.9 * DAY);
});

test('the list says which session is this one, newest use first, and each can be ended', async () => {
	const { browser: phone } = await house.person('devices');
	const laptop = house.browser();
	await laptop.signIn('devices');
	const { sql } = house.services.db;
	const phoneId = (await phone.session())?.id ?? '';
	await sql`update session set last_seen_at = now() - interval '30 seconds' where id = ${phoneId}`;

	const list = await (await laptop.ask()).sessions();
	expect(list.map((s) => s.current)).toEqual([true, false]);
	expect(list[1]).toMatchObject({ id: phoneId, userAgent: 'Browser/1.0', address: phone.address });

	await (await laptop.ask()).endSession({ id: phoneId });
	expect(await phone.session()).toBeNull();
	expect(house.cut).toContain(phoneId);
	expect(await (await laptop.ask()).sessions()).toHaveLength(1);
});

test('ending this very session removes its cookie', async () => {
	const { browser } = await house.person('myself');
	const id = (await browser.session())?.id ?? '';
	await (await browser.ask()).endSession({ id });
	expect(browser.token).toBeNull();
});

test('ending the others, or all, ends those and no one else’s', async () => {
	const { browser: bystander } = await house.person('bystander');
	const { browser: first, viewer } = await house.person('many');
	const others = [house.browser(), house.browser()];
	for (const browser of others) await browser.signIn('many');
	const ids = await Promise.all(others.map(async (browser) => (await browser.session())?.id));

	await (await first.ask()).endOtherSessions();
	for (const browser of others) expect(await browser.session()).toBeNull();
	expect(await first.session()).not.toBeNull();
	expect(house.cut).toEqual(expect.arrayContaining(ids));

	await endAllSessions(house.services, viewer.id);
	expect(await first.session()).toBeNull();
	expect(await bystander.session()).not.toBeNull();
});

test('signing in again leaves no forgotten session behind', async () => {
	const { browser } = await house.person('again');
	const before = browser.token ?? '';
	await browser.signIn('again');
	expect(browser.token).not.toBe(before);
	expect(await findSession(house.services, before)).toBeNull();
	expect(await (await browser.ask()).sessions()).toHaveLength(1);
});

test('of two who end the same session one is told that it is gone', async () => {
	const { browser, viewer } = await house.person('race');
	const id = (await browser.session())?.id ?? '';
	const answers = await Promise.allSettled([
		endSession(house.services, viewer.id, id),
		endSession(house.services, viewer.id, id)
	]);
	expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('what a browser calls itself is cut short and has no controls', async () => {
	const { viewer } = await house.person('agent');
	const token = await createSession(house.services, viewer.id, {
		userAgent: `Odd\0\u001b[31m${'x'.repeat(5000)}`,
		address: ''
	});
	const browser = new Browser(house, '');
	browser.token = token;
	const [, shown] = (await (await browser.ask()).sessions()).sort((a) => (a.current ? 1 : -1));
	expect(shown?.userAgent).toMatch(/^Odd\[31mx+$/);
	expect(shown?.userAgent).toHaveLength(300);
});

test('the cookie is out of reach of scripts, other sites and, over TLS, of plain http', () => {
	const env = (settings: Record<string, string>) =>
		readEnv({ DATABASE_URL: 'postgres://u:long-secret@db/tertulia', ...settings });
	const secure = env({ NODE_ENV: 'production', ORIGIN: 'https://chat.example.org' });
	expect(sessionCookie(secure, 'abc').serialize()).toBe(
		'__Host-session=abc; HttpOnly; Max-Age=34560000; Path=/; SameSite=Lax; Secure'
	);
	expect(sessionCookie(secure, null).serialize()).toBe(
		'__Host-session=; HttpOnly; Max-Age=0; Path=/; SameSite=Lax; Secure'
	);
	const local = env({ NODE_ENV: 'production', ORIGIN: 'http://localhost:3000' });
	expect(sessionCookie(local, 'abc').serialize()).toBe(
		'session=abc; HttpOnly; Max-Age=34560000; Path=/; SameSite=Lax'
	);
	expect(sessionCookie(env({ ORIGIN: 'https://dev.example.org' }), 'abc').serialize()).toMatch(
		/^session=.*Secure$/
	);
	expect(readSessionToken(secure, 'session=planted; __Host-session=own')).toBe('own');
	expect(readSessionToken(secure, 'session=planted')).toBeUndefined();
	expect(readSessionToken(local, 'session=')).toBeUndefined();
});
