import * as argon2 from '@node-rs/argon2';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { signUpInput } from '#lib/shared/accounts.ts';
import { Few } from '../realtime/few.ts';
import type { Stream } from '../realtime/stream.ts';
import { House, PASSWORD, refusal } from './testing.ts';
import { peopleById } from './accounts.ts';

// The work of a guess is what is counted; measuring its time would fail on a busy machine.
vi.mock('@node-rs/argon2', async (original) => {
	const real = await original<typeof argon2>();
	return { ...real, hash: vi.fn(real.hash), verify: vi.fn(real.verify) };
});

let house: House;
beforeAll(async () => {
	house = await House.open({
		SIGN_IN_LIMIT_PER_ADDRESS: '12',
		SIGN_IN_LIMIT_PER_ACCOUNT: '5',
		DEMO: '1'
	});
});
afterAll(() => house.close());
afterEach(() => vi.clearAllMocks());

let named = 0;
const wrong = 'not the password at all';

describe('coming in', () => {
	test('by username or e-mail address, however they are capitalised', async () => {
		const { viewer } = await house.person('carmen');
		expect(viewer).toEqual({
			id: viewer.id,
			name: 'Carmen',
			username: 'carmen',
			email: 'carmen@example.org'
		});
		for (const login of ['carmen', ' CARMEN ', 'carmen@example.org', 'Carmen@Example.ORG']) {
			const browser = house.browser();
			expect(await browser.signIn(login)).toEqual(viewer);
			expect(await (await browser.ask()).viewer()).toEqual(viewer);
		}
	});

	test('a wrong password and an unknown person: the same words, the same work', async () => {
		await house.person('known');
		await refusal(house.browser().signIn('known', wrong)); // The decoy is made once.
		const tried = async (login: string) => {
			vi.clearAllMocks();
			const said = await refusal(house.browser().signIn(login, wrong));
			return {
				said,
				verified: vi.mocked(argon2.verify).mock.calls.length,
				hashed: vi.mocked(argon2.hash).mock.calls.length
			};
		};
		const expected = { said: { reason: 'wrong_credentials' }, verified: 1, hashed: 0 };
		expect(await tried('known')).toEqual(expected);
		expect(await tried('unknown')).toEqual(expected);
		expect(await tried('unknown@example.org')).toEqual(expected);
		expect(await tried('nul\0nul')).toEqual(expected);
	});

	test.each(['kno%', '_nown', 'known@', '@', '\0', '💬', '\ud800', "' or true --", 'ınown'])(
		'the login %j is nobody',
		async (login) => {
			expect(await refusal(house.browser().signIn(login))).toEqual({ reason: 'wrong_credentials' });
		}
	);

	test('nobody in, nobody asks', async () => {
		const ask = await house.browser().ask();
		for (const call of [
			ask.viewer(),
			ask.sessions(),
			ask.endOtherSessions(),
			ask.endSession({ id: 'a'.repeat(64) }),
			ask.changePassword({ current: PASSWORD, next: 'another password' }),
			ask.findPeople({ query: 'carmen' })
		]) {
			expect(await refusal(call)).toEqual({ reason: 'not_signed_in' });
		}
	});
});

describe('guessing', () => {
	test('is limited for an account, by whichever address; the right password is refused too', async () => {
		const { viewer } = await house.person('target');
		for (let i = 0; i < 5; i++) {
			expect(await refusal(house.browser().signIn('target', wrong))).toEqual({
				reason: 'wrong_credentials'
			});
		}
		vi.clearAllMocks();
		const refused = { reason: 'too_many_attempts', retryAfter: 180 };
		expect(await refusal(house.browser().signIn('target', wrong))).toEqual(refused);
		expect(await refusal(house.browser().signIn('target'))).toEqual(refused);
		expect(argon2.verify, 'a refused try costs no hash').not.toHaveBeenCalled();
		house.now += 180_000;
		expect(await house.browser().signIn('target')).toEqual(viewer);
	});

	test('is limited for who does not exist in the same way', async () => {
		for (let i = 0; i < 5; i++) await refusal(house.browser().signIn('phantom', wrong));
		expect(await refusal(house.browser().signIn('phantom', wrong))).toEqual({
			reason: 'too_many_attempts',
			retryAfter: 180
		});
	});

	test('many at once pass no more than one after the other', async () => {
		await house.person('parallel');
		const answers = await Promise.all(
			Array.from({ length: 40 }, () => refusal(house.browser().signIn('parallel', wrong)))
		);
		const guesses = answers.filter((answer) => answer['reason'] === 'wrong_credentials');
		expect(guesses).toHaveLength(5);
		expect(argon2.verify).toHaveBeenCalledTimes(5);
	});

	test('is limited for an address, over all accounts, and a whole /64 is one address', async () => {
		const answers: unknown[] = [];
		for (let i = 0; i < 13; i++) {
			const browser = house.browser(`2001:db8:1:2::${i}`);
			answers.push((await refusal(browser.signIn(`account-${i}`, wrong)))['reason']);
		}
		expect(answers).toEqual([...Array<string>(12).fill('wrong_credentials'), 'too_many_attempts']);
		const neighbour = house.browser('2001:db8:1:3::1');
		expect(await refusal(neighbour.signIn('account-13', wrong))).toEqual({
			reason: 'wrong_credentials'
		});
	});

	test('an address that is refused does not go on to lock accounts', async () => {
		const { viewer } = await house.person('spared');
		const attacker = house.browser('203.0.113.5');
		for (let i = 0; i < 12; i++) await refusal(attacker.signIn(`other-${i}`, wrong));
		for (let i = 0; i < 10; i++) {
			expect((await refusal(attacker.signIn('spared', wrong)))['reason']).toBe('too_many_attempts');
		}
		expect(await house.browser().signIn('spared')).toEqual(viewer);
	});

	test('coming in is not counted, however often', async () => {
		await house.person('regular');
		const browser = house.browser('203.0.113.6');
		for (let i = 0; i < 30; i++) await browser.signIn('regular');
		for (let i = 0; i < 4; i++) await refusal(browser.signIn('regular', wrong));
		await browser.signIn('regular');
		expect(await refusal(browser.signIn('regular', wrong)), 'nor does it wipe the slate').toEqual({
			reason: 'wrong_credentials'
		});
		expect((await refusal(browser.signIn('regular', wrong)))['reason']).toBe('too_many_attempts');
	});

	test('signing up is limited for an address', async () => {
		const browser = house.browser('203.0.113.7');
		for (let i = 0; i < 12; i++) await browser.signUp({ username: `farmed-${i}` });
		expect(await refusal(browser.signUp({ username: 'farmed-12' }))).toEqual({
			reason: 'too_many_attempts',
			retryAfter: 75
		});
	});
});

describe('signing up', () => {
	test('a taken username or address is told, and nothing is left behind', async () => {
		await house.person('first');
		const browser = house.browser();
		expect(await refusal(browser.signUp({ username: 'FIRST', email: 'else@example.org' }))).toEqual(
			{ reason: 'username_taken', field: 'username' }
		);
		expect(
			await refusal(browser.signUp({ username: 'second', email: 'FIRST@example.org' }))
		).toEqual({ reason: 'email_taken', field: 'email' });
		expect(browser.token).toBeNull();
		expect(
			await house.services.db.sql`select 1 from person where username = 'second'`
		).toHaveLength(0);
	});

	test('of many at the same instant one gets the name', async () => {
		const answers = await Promise.all(
			Array.from({ length: 8 }, (_, i) =>
				refusal(house.browser().signUp({ username: 'wanted', email: `wanted-${i}@example.org` }))
			)
		);
		expect(answers.map((answer) => answer['reason']).sort()).toEqual([
			'none',
			...Array<string>(7).fill('username_taken')
		]);
	});

	test.each([
		['ab', 'too short'],
		['a'.repeat(31), 'too long'],
		['has space', 'white space'],
		['.dot', 'a separator first'],
		['dot.', 'a separator last'],
		['josé', 'an accent'],
		['аdmin', 'a Cyrillic letter'],
		['ADMİN', 'a dotted capital I, which folds to two characters'],
		['admın', 'a dotless i'],
		['ſam', 'a long s'],
		['straße', 'a sharp s'],
		['ａｄｍｉｎ', 'full-width letters'],
		['nul\0nul', 'a NUL'],
		['new\nline', 'a line break'],
		['a\u200bb\u200bc', 'letters with nothing between them'],
		['a@b', 'an address']
	])('the username %j is refused: %s', async (username) => {
		const browser = house.browser();
		const call = browser.signUp({ username, email: 'odd@example.org' });
		expect(await refusal(call)).toEqual({ trpc: 'BAD_REQUEST' });
	});

	test('a Kelvin sign is a k, before and after it is stored', async () => {
		const { viewer } = await house.person('\u212Aelvin');
		expect(viewer.username).toBe('kelvin');
		expect(await house.browser().signIn('\u212Aelvin')).toEqual(viewer);
		expect(await house.browser().signIn('kelvin')).toEqual(viewer);
	});

	test.each([
		['   ', 'white space'],
		['\u00a0\u2003', 'wide white space'],
		['\u200b\u200d', 'zero width'],
		['\u3164', 'a letter that is drawn as nothing'],
		['\u2800', 'a Braille cell without dots'],
		['\0', 'a NUL'],
		['\u202e', 'a mark of direction'],
		['\u0301', 'an accent on nothing']
	])('the name %j is refused: %s', async (name) => {
		const said = await refusal(house.browser().signUp({ username: 'nameless', name }));
		expect([{ reason: 'invalid_input', field: 'name' }, { trpc: 'BAD_REQUEST' }]).toContainEqual(
			said
		);
	});

	test.each([
		['José Ñandú'.normalize('NFD'), 'José Ñandú'],
		['  Ana\t\r\nMaría  ', 'Ana María'],
		['Nul\0Name', 'Nul Name'],
		['\u202eevil', 'evil'],
		['محمد علی', 'محمد علی'],
		['👩\u200d🚀', '👩\u200d🚀'],
		['<b>Bo</b>', '<b>Bo</b>'],
		['Half \ud83d', 'Half \ufffd']
	])('the name %j is kept as %j', async (name, kept) => {
		const username = `named-${named++}`;
		const { viewer } = await house.person(username, name);
		expect(viewer.name).toBe(kept);
		expect(await peopleById(house.services.db.orm, [viewer.id])).toEqual([
			{ id: viewer.id, name: kept, username }
		]);
	});

	test('an address that no mail would reach is refused', () => {
		for (const email of ['a@b', 'a b@example.org', 'a\0b@example.org', 'İ@example.org', '@', '']) {
			const given = { name: 'A', username: 'abc', email, password: PASSWORD };
			expect(signUpInput.safeParse(given).success, email).toBe(false);
		}
	});
});

describe('changing the password', () => {
	const next = 'a better one than before';

	test('ends all other sessions and gives this one a new token', async () => {
		const { browser, viewer } = await house.person('changer');
		const elsewhere = house.browser();
		await elsewhere.signIn('changer');
		const otherId = (await elsewhere.session())?.id;
		const copied = house.browser();
		copied.token = browser.token;
		const createdAt = (await (await browser.ask()).sessions()).find((s) => s.current)?.createdAt;

		await (await browser.ask()).changePassword({ current: PASSWORD, next });

		expect(await elsewhere.session()).toBeNull();
		expect(house.cut).toContain(otherId);
		expect(await copied.session(), 'a copied cookie is out as well').toBeNull();
		expect((await browser.session())?.viewer).toEqual(viewer);
		const sessions = await (await browser.ask()).sessions();
		expect(
			sessions.map((s) => s.createdAt),
			'it is still the same session'
		).toEqual([createdAt]);
		expect(await refusal(house.browser().signIn('changer'))).toEqual({
			reason: 'wrong_credentials'
		});
		expect(await house.browser().signIn('changer', next)).toEqual(viewer);
	});

	test('the streams of the copied cookie are found by the sweep', async () => {
		const { browser } = await house.person('swept');
		const before = await browser.session();
		const lines: string[] = [];
		const closed: ((stream: Stream) => void)[] = [];
		let isClosed = false;
		const stream: Stream = {
			personId: before?.viewer.id ?? '',
			sessionId: before?.id ?? '',
			conversations: new Few<string>(),
			get closed() {
				return isClosed;
			},
			write: (frame: unknown) => void lines.push(String(frame)),
			end() {
				isClosed = true;
				for (const tell of closed) tell(stream);
			},
			onClose: (tell) => void closed.push(tell)
		};
		await house.services.realtime.hub.open(stream);
		await (await browser.ask()).changePassword({ current: PASSWORD, next });
		expect(stream.closed, 'time for the browser to get its new cookie').toBe(false);
		await house.services.realtime.hub.sweep();
		expect(stream.closed).toBe(true);
	});

	test('needs the current one, which cannot be guessed without end', async () => {
		const { browser } = await house.person('guessed');
		const ask = await browser.ask();
		for (let i = 0; i < 5; i++) {
			expect(await refusal(ask.changePassword({ current: wrong, next }))).toEqual({
				reason: 'wrong_password',
				field: 'current'
			});
		}
		expect(await refusal(ask.changePassword({ current: PASSWORD, next }))).toEqual({
			reason: 'too_many_attempts',
			retryAfter: 180
		});
		expect(await browser.session(), 'the session lives on').not.toBeNull();
		await house.browser().signIn('guessed');
	});

	test('two at once: one wins, and its session alone is left', async () => {
		const { browser, viewer } = await house.person('contest');
		const other = house.browser();
		await other.signIn('contest');
		const asks = [await browser.ask(), await other.ask()] as const;
		const answers = await Promise.all([
			refusal(asks[0].changePassword({ current: PASSWORD, next: `${next} one` })),
			refusal(asks[1].changePassword({ current: PASSWORD, next: `${next} two` }))
		]);
		expect(answers.map((answer) => answer['reason']).sort()).toEqual(['none', 'wrong_password']);
		const left = await house.services.db.sql`
			select 1 from session where person_id = ${viewer.id}`;
		expect(left).toHaveLength(1);
	});

	test('who has shown the old password just before does not get in just after', async () => {
		const { viewer } = await house.person('overtaken');
		const { sql } = house.services.db;
		const { verify } = await vi.importActual<typeof argon2>('@node-rs/argon2');
		vi.mocked(argon2.verify).mockImplementationOnce(async (hash, password) => {
			await sql`update person set password_hash = 'changed' where id = ${viewer.id}`;
			return verify(hash, password);
		});
		expect(await refusal(house.browser().signIn('overtaken'))).toEqual({
			reason: 'wrong_credentials'
		});
	});

	test('nor does a session stay that was being made at that moment', async () => {
		const { browser, viewer } = await house.person('meanwhile');
		const { sql } = house.services.db;
		// Holds up the making of sessions, after the sign-in has compared the password once more.
		await sql.unsafe(`
			create function wait_at_gate() returns trigger language plpgsql as
				'begin perform pg_advisory_xact_lock_shared(1); return new; end';
			create trigger gate before insert on session for each row execute function wait_at_gate()`);
		const gate = await sql.reserve();
		await gate`select pg_advisory_lock(1)`;
		const waiting = (count: number) =>
			vi.waitFor(async () => {
				const rows = await sql`select 1 from pg_stat_activity
					where datname = current_database() and wait_event_type = 'Lock'`;
				expect(rows).toHaveLength(count);
			});

		const intruder = house.browser();
		const entering = intruder.signIn('meanwhile');
		await waiting(1);
		let changed = false;
		const changing = (await browser.ask())
			.changePassword({ current: PASSWORD, next })
			.then(() => (changed = true));
		await Promise.race([changing, waiting(2)]);
		expect(changed, 'the change waits for the session, to end it').toBe(false);
		await gate`select pg_advisory_unlock(1)`;
		gate.release();
		await Promise.all([entering, changing]);
		await sql.unsafe('drop trigger gate on session');

		expect(await intruder.session()).toBeNull();
		const left = await sql`select 1 from session where person_id = ${viewer.id}`;
		expect(left).toHaveLength(1);
	});

	test('a session that ended meanwhile changes nothing', async () => {
		const { browser, viewer } = await house.person('gone');
		const stale = await browser.ask();
		await stale.endOtherSessions();
		await (await browser.ask()).signOut();
		expect(await refusal(stale.changePassword({ current: PASSWORD, next }))).toEqual({
			reason: 'not_signed_in'
		});
		expect(await house.browser().signIn('gone')).toEqual(viewer);
	});
});

describe('the demonstration', () => {
	test('offers its own people by name, and nobody else without a password', async () => {
		const { viewer: real } = await house.person('realperson');
		const { viewer: zoe } = await house.person('zoe');
		const { viewer: abe } = await house.person('abe');
		const { sql } = house.services.db;
		await sql`update person set email = username || '@example.test' where id in ${sql([zoe.id, abe.id])}`;
		const visitor = house.browser();
		const offered = await (await visitor.ask()).demoPeople();
		expect(offered?.map((p) => p.username)).toEqual(['abe', 'zoe']);
		expect(JSON.stringify(offered)).not.toContain('@');

		const viewer = await (await visitor.ask()).signInAsDemo({ personId: abe.id });
		expect(viewer).toEqual({ ...abe, email: 'abe@example.test' });
		expect((await visitor.session())?.viewer.id).toBe(abe.id);

		const call = (await house.browser().ask()).signInAsDemo({ personId: real.id });
		expect(await refusal(call)).toEqual({ reason: 'not_found' });
	});

	test('is not there where it was not asked for', async () => {
		const plain = await House.open({});
		const { viewer } = await plain.person('demo');
		await plain.services.db.sql`update person set email = 'demo@example.test'`;
		const ask = await plain.browser().ask();
		expect(await ask.demoPeople()).toBeNull();
		expect(await refusal(ask.signInAsDemo({ personId: viewer.id }))).toEqual({
			reason: 'not_found'
		});
		await plain.close();
	});
});
