/** Whatever happens, the log tells what went wrong and never with what. */
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSite, testApp, type Site } from '../testing.ts';
import { openLog } from './log.ts';

const SECRETS = {
	body: 'The treasure lies under the third oak',
	name: 'Ana Treasure',
	email: 'ana.secret@example.test',
	password: 'correct horse battery staple',
	group: 'The secret society'
};

let site: Site;
let said = '';

beforeAll(async () => {
	const log = openLog('debug', { write: (line: string) => void (said += line) });
	site = await openSite(await testApp({}, { log, hub: { sweepMs: 20, retryMs: 10 } }));
});
afterAll(() => site.close());

async function call(procedure: string, input: unknown, cookie = ''): Promise<Response> {
	return fetch(`${site.url}/trpc/${procedure}`, {
		method: 'POST',
		headers: { origin: site.url, 'content-type': 'application/json', cookie },
		body: JSON.stringify(input)
	});
}

test('a conversation, and all that goes wrong in it, leaves no word of it in the log', async () => {
	const { body, name, email, password, group } = SECRETS;
	const account = { name, username: 'ana.log', email, password };
	const signedUp = await call('accounts.signUp', account);
	const cookie = signedUp.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
	const token = cookie.split('=')[1] ?? '';
	expect(token).not.toBe('');
	const ben = await call('accounts.signUp', {
		...account,
		username: 'ben.log',
		email: 'ben@example.test'
	});
	const { result } = (await ben.json()) as { result: { data: { id: string } } };
	const groupId = uuidv7();
	const makeGroup = { id: groupId, name: group, personIds: [result.data.id] };
	expect((await call('conversations.createGroup', makeGroup, cookie)).status).toBe(200);
	const message = { id: uuidv7(), conversationId: groupId, body };
	expect((await call('messages.send', message, cookie)).status).toBe(200);

	// Refused, for various reasons.
	await call('accounts.signUp', account);
	await call('accounts.signIn', { login: email, password: `${password} not` });
	await call('messages.send', { ...message, conversationId: uuidv7() }, cookie);
	await call('messages.send', { ...message, body: body.repeat(1000) }, cookie);
	await fetch(`${site.url}/trpc/messages.send`, {
		method: 'POST',
		headers: { origin: site.url },
		body
	});

	// Failed: tables that are not what the code expects are a fault of ours in every statement.
	const { sql } = site.app.services.db;
	await sql`alter table message add constraint nothing_more check (body is null) not valid`;
	const failed = await call('messages.send', { ...message, id: uuidv7() }, cookie);
	expect(failed.status).toBe(400);
	// And one that the database may take at another time.
	await sql`alter table message drop constraint nothing_more`;
	await sql`alter table message rename column body to no_body`;
	const later = await call('messages.send', { ...message, id: uuidv7() }, cookie);
	expect(later.status).toBe(503);
	await sql`alter table message rename column no_body to body`;
	await sql`alter table conversation add constraint no_name check (name is null) not valid`;
	const rename = { conversationId: groupId, name: `${group} renamed` };
	expect((await call('conversations.rename', rename, cookie)).status).toBe(500);
	await sql`alter table person add constraint nobody check (email is null) not valid`;
	const another = { ...account, username: 'cleo.log', email: `x.${email}` };
	expect((await call('accounts.signUp', another)).status).toBe(500);
	await sql`alter table session rename to no_session`;
	// One that was not looked up a moment ago.
	const unknown = `${cookie}x`;
	expect((await call('sync.since', { conversations: {} }, unknown)).status).toBe(500);
	expect((await fetch(`${site.url}/events`, { headers: { cookie: unknown } })).status).toBe(503);

	// It was told of, and can be found.
	expect(said).toContain('A procedure failed.');
	expect(said).toContain('Messages could not be written.');
	expect(said).toContain('The database refuses a message.');
	expect(said).toContain('A session could not be looked up.');
	expect(said).toContain('nothing_more');
	expect(said).toContain('conversations.rename');
	for (const secret of [...Object.values(SECRETS), token, 'x.ana.secret', '$argon2']) {
		expect(said.includes(secret), `the log holds “${secret}”`).toBe(false);
	}
});
