import path from 'node:path';
import { uuidv7 } from 'uuidv7';
import { openDatabase, type Sql } from '../src/lib/server/platform/db.ts';
import { Child } from './lib/child.ts';
import { withDatabase, withServer } from './lib/house.ts';
import type { Measurement } from './lib/measurement.ts';
import { addPeople, newPerson, type Person } from './lib/people.ts';
import type { Crowd } from './crowd.ts';

const CLIENTS = 5000;
const CONVERSATIONS_EACH = 300;
const MEMBERS = 50;
/** One conversation in so many got a message while the server was away. */
const CHANGED_ONE_IN = 100;
const TARGET_SECONDS = 10;

/** A server comes back, and so do all its clients, in the same moment. */
export async function measureSync(): Promise<Measurement[]> {
	return withDatabase(async (databaseUrl) => {
		const { sql, close } = openDatabase(databaseUrl, 1);
		try {
			const people = Array.from({ length: CLIENTS }, () => newPerson());
			await fill(sql, people);
			const crowd: Crowd = { people, missed: CHANGED_ONE_IN };
			const load = Child.node(path.resolve(import.meta.dirname, 'crowd.ts'));
			try {
				await load.ask(JSON.stringify({ ...crowd, databaseUrl }));
				return await withServer({ DATABASE_URL: databaseUrl }, async (url) => {
					const before = await loadOf(sql);
					const { current, median, last } = await load.ask<{
						current: number;
						median: number;
						last: number;
					}>(url);
					const after = await loadOf(sql);
					const what = { subject: 'tertulia', at: { clients: current } };
					return [
						{ ...what, metric: 'seconds', unit: 's', value: last, target: TARGET_SECONDS },
						{ ...what, metric: 'p50', unit: 's', value: median },
						...(['statements', 'rows', 'blocksFromDisk'] as const).map((name) => ({
							...what,
							metric: `database_${name}`,
							unit: '',
							value: after[name] - before[name]
						}))
					];
				});
			} finally {
				await load.kill();
			}
		} finally {
			await close();
		}
	});
}

async function fill(sql: Sql, people: Person[]): Promise<void> {
	const count = (CLIENTS * CONVERSATIONS_EACH) / MEMBERS;
	const ids = Array.from({ length: count }, () => uuidv7());
	await addPeople(sql, people);
	// What is made here is right: checking it row by row would take most of a minute.
	await sql`set session_replication_role = replica`;
	await sql`
		insert into conversation (id, kind, name, version, last_seq, settled_seq, changed)
		select id, 'group', 'Group ' || n, ${MEMBERS + 1}, 1, 1, 1
		from unnest(${ids}::uuid[]) with ordinality as c(id, n)`;
	// Member k of conversation n is person 17n + k · 100: everybody is in as many, with others each time.
	await sql`
		insert into member (conversation_id, person_id, version, person_version)
		select c.id, p.id, k, 1
		from unnest(${ids}::uuid[]) with ordinality as c(id, n)
		cross join generate_series(1, ${MEMBERS}) k
		join unnest(${people.map(({ id }) => id)}::uuid[]) with ordinality as p(id, place)
			on p.place = 1 + (c.n * 17 + k * ${CLIENTS / MEMBERS}) % ${CLIENTS}`;
	await sql`
		insert into message (id, conversation_id, seq, version, sender_id, body)
		select gen_random_uuid(), c.id, 1, ${MEMBERS + 1}, ${people[0]!.id}, 'What there was to say.'
		from unnest(${ids}::uuid[]) c(id)`;
	await sql`set session_replication_role = default`;
	await sql`vacuum analyze`;
}

interface Load {
	statements: number;
	blocksFromDisk: number;
	rows: number;
}

/** What the database has done so far. */
async function loadOf(sql: Sql): Promise<Load> {
	await sql`select pg_stat_force_next_flush()`;
	const [row] = await sql<Load[]>`
		select xact_commit::float8 as statements, blks_read::float8 as "blocksFromDisk",
			tup_returned::float8 as rows
		from pg_stat_database where datname = current_database()`;
	return row!;
}
