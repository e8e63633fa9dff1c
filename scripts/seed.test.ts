import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { searchable } from '../src/lib/shared/text.ts';
import { freshDatabase, type FreshDatabase } from '../tests/setup/database.ts';
import { seed } from './seed.ts';

let database: FreshDatabase;
let sql: postgres.Sql;
let made: Awaited<ReturnType<typeof seed>>;
const now = Date.parse('2026-03-12T16:20:00');

beforeAll(async () => {
	database = await freshDatabase();
	made = await seed(database.url, { now });
	sql = postgres(database.url, { max: 1, types: { bigint: bigintAsNumber } });
});

afterAll(async () => {
	await sql.end();
	await database.drop();
});

const bigintAsNumber = { to: 20, from: [20], parse: Number, serialize: String };

test('a company of twelve with a few thousand messages', async () => {
	expect(made.people).toBe(12);
	expect(made.messages).toBeGreaterThan(2500);
	const [rows] = await sql`
		select (select count(*)::int from person) as people,
			(select count(*)::int from conversation) as conversations,
			(select count(*)::int from message) as messages`;
	expect(rows).toEqual(made);
});

test('places are 1, 2, 3 … in the order of time, and the last one is the conversation’s', async () => {
	const wrong = await sql`
		select c.id from conversation c
		left join lateral (
			select count(*) as n, coalesce(min(seq), 1) as first, coalesce(max(seq), 0) as last,
				max(sent_at) as newest,
				bool_or(m.sent_at < m.before) as back_in_time
			from (
				select *, lag(sent_at) over (order by seq) as before
				from message where conversation_id = c.id
			) m
		) m on true
		where m.n <> c.last_seq or m.first <> 1 or m.last <> c.last_seq or m.back_in_time
			or m.newest <> c.active_at`;
	expect(wrong).toEqual([]);
});

test('no row is newer than its conversation, and the newest change is as new', async () => {
	const wrong = await sql`
		select c.id from conversation c
		where c.version <> greatest(
			c.changed,
			(select max(version) from message where conversation_id = c.id),
			(select max(version) from member where conversation_id = c.id)
		)`;
	expect(wrong).toEqual([]);
	const doubled = await sql`
		select conversation_id, version from message
		group by 1, 2 having count(*) > 1`;
	expect(doubled).toEqual([]);
});

test('everyone has read what they wrote, some have more to read, nobody more than there is', async () => {
	const wrong = await sql`
		select m.person_id from member m join conversation c on c.id = m.conversation_id
		where m.read_seq > c.last_seq or m.read_seq < (
			select coalesce(max(seq), 0) from message
			where conversation_id = m.conversation_id and sender_id = m.person_id
		)`;
	expect(wrong).toEqual([]);
	const [unread] = await sql<{ people: number; most: number }[]>`
		select count(distinct m.person_id)::int as people, max(c.last_seq - m.read_seq) as most
		from member m join conversation c on c.id = m.conversation_id
		where m.left_at is null and m.read_seq < c.last_seq`;
	expect(unread?.people).toBeGreaterThan(6);
	expect(unread?.most).toBeLessThanOrEqual(40);
});

test('the versions of a person count their memberships', async () => {
	const wrong = await sql`
		select p.id from person p left join member m on m.person_id = p.id
		group by p.id
		having p.version <> max(m.person_version) or count(*) <> count(distinct m.person_version)`;
	expect(wrong).toEqual([]);
});

test('only members speak, and only while they are members', async () => {
	const wrong = await sql`
		select x.id from message x
		left join member m on m.conversation_id = x.conversation_id and m.person_id = x.sender_id
		where m.person_id is null or x.sent_at < m.joined_at or x.sent_at > m.left_at`;
	expect(wrong).toEqual([]);
});

test('there is one conversation per pair, and each group has an owner', async () => {
	const wrong = await sql`
		select c.id from conversation c join member m on m.conversation_id = c.id
		group by c.id
		having case c.kind
			when 'direct' then c.pair <> string_agg(m.person_id::text, ':' order by m.person_id)
			else count(*) filter (where m.role = 'owner') <> 1 or c.pair is not null
		end`;
	expect(wrong).toEqual([]);
});

test('people can be looked up, and the story ends now', async () => {
	const people = await sql<{ name: string; username: string; email: string; found: string }[]>`
		select name, username, email, searchable as found from person`;
	for (const { name, username, email, found } of people) {
		expect(found).toBe(searchable(`${name} ${username}`));
		expect(email).toBe(`${username}@example.test`);
	}
	const [time] = await sql<{ last: Date; first: Date }[]>`
		select max(sent_at) as last, min(sent_at) as first from message`;
	expect(now - time!.last.getTime()).toBeLessThan(15 * 60_000);
	expect(time!.last.getTime()).toBeLessThanOrEqual(now);
	expect(now - time!.first.getTime()).toBeGreaterThan(170 * 86_400_000);
});

test('nothing of the texts’ own language is left in what people say', async () => {
	const left = await sql`select body from message where body ~ '[{}]|<[^>]*[|]'`;
	expect(left).toEqual([]);
});

test('whenever it is told, nothing is said later than now', async () => {
	const other = await freshDatabase();
	// A last scene had to wait for the one before it at this hour.
	const then = Date.parse('2026-05-14T10:42:00Z');
	await seed(other.url, { now: then });
	const there = postgres(other.url, { max: 1 });
	const late = await there`select id from message where sent_at > ${new Date(then)}`;
	expect(late.length).toBe(0);
	await there.end();
	await other.drop();
});

test('the same seed tells the same story', async () => {
	const other = await freshDatabase();
	await seed(other.url, { now });
	const twin = postgres(other.url, { max: 1 });
	const fingerprint = (db: postgres.Sql) => db<{ all: string }[]>`
		select md5(string_agg(id || body || sent_at || version, '' order by id)) as all
		from message where kind = 'text'`;
	expect(await fingerprint(twin)).toEqual(await fingerprint(sql));
	await twin.end();
	await other.drop();
});

test('where there are people already it changes nothing and says what to do', async () => {
	await expect(seed(database.url, { now })).rejects.toThrow('are here already');
	await expect(seed(database.url, { now, beside: true })).rejects.toThrow('are here already');

	await sql`update person set email = username || '@example.org', username = 'other.' || username`;
	await expect(seed(database.url, { now })).rejects.toThrow('pnpm seed --beside');
	const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`
		select count(*)::int as count from person`;
	expect(count).toBe(12);
});

test('it can be put beside other people', async () => {
	await seed(database.url, { now: now + 1, seed: 'another', beside: true });
	const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`
		select count(*)::int as count from person`;
	expect(count).toBe(24);
});
