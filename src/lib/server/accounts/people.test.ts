import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ViewerView } from '#lib/shared/accounts.ts';
import { House, type Browser } from './testing.ts';
import { newPerson, peopleById, peopleTogether } from './accounts.ts';
import { person } from './schema.ts';

let house: House;
let browser: Browser;
let viewer: ViewerView;
const ids = new Map<string, string>();

beforeAll(async () => {
	house = await House.open();
	({ browser, viewer } = await house.person('viewer', 'Josefa Viewer'));
	const people = [
		['José Pérez', 'jperez'],
		['María José Ñandú', 'mjn'],
		['Joseph O’Neill', 'joe'],
		['Ana García', 'ana_garcia'],
		['Anabel Ruiz', 'anabel'],
		['Juliana Costa', 'juli'],
		['Percent 100% Sure', 'percent'],
		['Back\\slash', 'backslash'],
		['Zoë Ångström', 'zoe'],
		['Ana Garza', 'garza.ana'],
		['王小明', 'xiaoming'],
		['Bruno Silva', 'bruno']
	] as const;
	const rows = people.map(([name, username]) =>
		newPerson({ name, username, email: `${username}@secret.example`, passwordHash: 'none' })
	);
	for (const row of rows) ids.set(row.username, row.id);
	await house.services.db.orm.insert(person).values(rows);
});
afterAll(() => house.close());

const find = async (query: string) => {
	// In no hurry: one test alone is about the limit.
	house.now += 1000;
	return (await (await browser.ask()).findPeople({ query })).map(({ username }) => username);
};

test.each(['jose', 'José', 'JOSÉ', 'jose\u0301', '  jose  ', 'hose', 'jsoe perez'])(
	'%j finds José',
	async (query) => {
		expect(await find(query)).toContain('jperez');
	}
);

test.each([
	['nandu', 'mjn'],
	['perez jose', 'jperez'],
	['@ana_g', 'ana_garcia'],
	['angstrom', 'zoe'],
	['小明', 'xiaoming'],
	['王', 'xiaoming'],
	['garcya', 'ana_garcia'],
	['brumo', 'bruno'],
	["joseph o'neil", 'joe']
])('%j finds %s first', async (query, username) => {
	expect((await find(query))[0]).toBe(username);
});

test('an exact username comes first, then beginnings of names, of words, and other parts', async () => {
	expect((await find('ana')).slice(0, 4)).toEqual(['ana_garcia', 'garza.ana', 'anabel', 'juli']);
	expect((await find('joe'))[0]).toBe('joe');
});

test.each([
	['%', ['percent']],
	['100%', ['percent']],
	['_', ['ana_garcia']],
	['\\', ['backslash']],
	['a%z', []],
	['zzzqqq', []]
])('%j is taken literally', async (query, expected) => {
	expect(await find(query)).toEqual(expected);
});

test.each(['\0', "'", '"', '💬', '\ud800', '(', '[', '@', '@ @', 'a '.repeat(29)])(
	'%j does no harm',
	async (query) => {
		expect(Array.isArray(await find(query))).toBe(true);
	}
);

test('the viewer is never among those found, and nobody’s address is told or looked through', async () => {
	for (const query of ['', 'josefa', 'viewer', 'jos'])
		expect(await find(query)).not.toContain('viewer');
	const told = await (await browser.ask()).findPeople({ query: 'jose' });
	for (const one of told) expect(Object.keys(one).sort()).toEqual(['id', 'name', 'username']);
	expect(await find('secret.example')).toEqual([]);
	expect(await find('jperez@secret.example')).not.toContain('percent');
});

test('without a query: whom the viewer talked with last, then the others by name', async () => {
	const { sql } = house.services.db;
	const talk = async (username: string, minutesAgo: number, mine: string) => {
		const id = uuidv7();
		await sql`insert into conversation (id, kind, active_at)
			values (${id}, 'direct', now() - ${minutesAgo} * interval '1 minute')`;
		await sql`insert into member (conversation_id, person_id)
			values (${id}, ${mine}), (${id}, ${ids.get(username) ?? ''})`;
	};
	await talk('bruno', 5, viewer.id);
	await talk('zoe', 1, viewer.id);
	// What others talk about is not the viewer's business, and not their order either.
	await talk('percent', 0, ids.get('joe') ?? '');
	const found = await find('');
	expect(found.slice(0, 4)).toEqual(['zoe', 'bruno', 'ana_garcia', 'garza.ana']);
	expect(new Set(found).size).toBe(12);
});

test('at most twenty', async () => {
	const rows = Array.from({ length: 30 }, (_, i) =>
		newPerson({
			name: `Crowd ${i}`,
			username: `crowd-${i}`,
			email: `crowd-${i}@secret.example`,
			passwordHash: 'none'
		})
	);
	await house.services.db.orm.insert(person).values(rows);
	expect(await find('crowd')).toHaveLength(20);
	expect(await find('')).toHaveLength(20);
	expect(await find('crowdx')).toHaveLength(20);
});

test('who asks faster than anybody types has to wait, and nobody else does', async () => {
	const hasty = await (await house.person('hasty')).browser.ask();
	const asked = await Promise.allSettled(
		Array.from({ length: 70 }, () => hasty.findPeople({ query: 'ana' }))
	);
	const refused = asked.filter(({ status }) => status === 'rejected');
	expect(refused).toHaveLength(10);
	expect(refused[0]).toMatchObject({
		reason: { cause: { code: 'too_many_attempts', details: { retryAfter: 1 } } }
	});
	expect(await find('joe')).toContain('joe');
	house.now += 1000;
	expect(await hasty.findPeople({ query: 'joe' })).not.toEqual([]);
});

test('people by id: those who are known, each once', async () => {
	const joe = ids.get('joe') ?? '';
	const { orm } = house.services.db;
	expect(await peopleById(orm, [])).toEqual([]);
	expect(await peopleById(orm, [joe, uuidv7(), joe])).toEqual([
		{ id: joe, name: 'Joseph O’Neill', username: 'joe' }
	]);
});

test('people whom many ask for at once: to each theirs, in the order of the question', async () => {
	const { sql } = house.services.db;
	const [joe, zoe, bruno] = ['joe', 'zoe', 'bruno'].map((username) => ids.get(username) ?? '');
	const answers = await Promise.all([
		peopleTogether(sql, [zoe!, uuidv7(), joe!]),
		peopleTogether(sql, [bruno!, zoe!])
	]);
	expect(answers.map((people) => people.map((found) => found?.username))).toEqual([
		['zoe', undefined, 'joe'],
		['bruno', 'zoe']
	]);
});
