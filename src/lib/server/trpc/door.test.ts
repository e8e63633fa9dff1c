/** The quick door answers in the same words as tRPC's own adapter, which any detour leads to. */
import { createHash } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { person, session } from '../accounts/schema.ts';
import { openSite, somebody, testApp, type Site } from '../testing.ts';
import { straightOf } from './procedures.ts';
import { appRouter } from './router.ts';
import { eq } from 'drizzle-orm';

let site: Site;
let cookie: string;

beforeAll(async () => {
	site = await openSite(await testApp());
	const { services } = site.app;
	const { orm } = services.db;
	const { id, sessionId, call } = await somebody(services, 'Ana');
	const ben = await somebody(services, 'Ben');
	const { snapshot } = await call.conversations.startDirect({ personId: ben.id });
	MESSAGE.conversationId = snapshot.conversation.id;
	await orm.update(person).set({ name: 'Ana' }).where(eq(person.id, id));
	const name = createHash('sha256').update('a token').digest('hex');
	await orm.update(session).set({ id: name }).where(eq(session.id, sessionId));
	cookie = `session=${encodeURIComponent('a token')}`;
});
afterAll(() => site.close());

/** The same each time, so it is sent once, and is answered with what the first try did. */
const MESSAGE = { id: uuidv7(), conversationId: '', body: 'x' };
const ONE = { id: uuidv7(), name: 'One', personIds: [uuidv7()] };

test.each([
	['an answer', 'sync.since', { conversations: {} }, true],
	[
		'an error of ours',
		'messages.send',
		{ id: uuidv7(), conversationId: uuidv7(), body: 'x' },
		true
	],
	['a message', 'messages.send', MESSAGE, true],
	['a message that is wrong', 'messages.send', { id: uuidv7() }, true],
	['a message of nobody', 'messages.send', { id: uuidv7() }, false],
	['an input that is wrong', 'conversations.createGroup', { ...ONE, name: '' }, true],
	['nobody asking', 'sync.since', { conversations: {} }, false],
	['a procedure that is not there', 'nothing.atAll', {}, true],
	['no body', 'sync.since', undefined, true],
	['a body that is no JSON', 'sync.since', '{"conversations":', true]
])('%s', async (_what, procedure, input, signedIn) => {
	const { url } = site;
	const ask = async (detour: string, batched: boolean) => {
		const text = typeof input === 'string' ? input : JSON.stringify(batched ? { 0: input } : input);
		const query = batched ? `?batch=1${detour && `&${detour}`}` : detour && `?${detour}`;
		const answer = await fetch(`${url}/trpc/${procedure}${query}`, {
			method: 'POST',
			headers: {
				origin: url,
				'content-type': 'application/json',
				...(signedIn && { cookie })
			},
			...(text !== undefined && { body: text })
		});
		const body = await answer.text();
		// What the developer's mode adds about where it happened in the code.
		const told: unknown = JSON.parse(body, (key, value: unknown) =>
			key === 'stack' ? undefined : value
		);
		return { status: answer.status, type: answer.headers.get('content-type'), told };
	};
	for (const batched of [false, true]) {
		const quick = await ask('', batched);
		const usual = await ask('detour', batched);
		expect(quick, batched ? 'in a batch of one' : 'alone').toEqual(usual);
	}
});

test('what is called most is called without tRPC’s steps', () => {
	const procedures: Record<string, unknown> = appRouter._def.procedures;
	expect(straightOf(procedures['messages.send'])).toBeTypeOf('function');
	expect(straightOf(undefined)).toBeUndefined();
});
