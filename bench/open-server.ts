import { uuidv7 } from 'uuidv7';
import { HttpPerson } from '../scripts/lib/http-person.ts';
import { readEnv } from '../src/env.ts';
import { App } from '../src/lib/server/app.ts';
import { messagePage } from '../src/lib/server/messages/messages.ts';
import { openDatabase, type Sql } from '../src/lib/server/platform/db.ts';
import { since } from '../src/lib/server/sync/sync.ts';
import type { PageInput } from '../src/lib/shared/messages.ts';
import { withDatabase, withServer } from './lib/house.ts';
import { distribution, type Measurement } from './lib/measurement.ts';

const MESSAGES = 100_000;
const MEMBERS = 50;
const CONVERSATIONS = 300;
/** Changes in each of them that a client has missed. */
const MISSED = 3;
const RUNS = 200;
const WARM_UP = 20;
const TARGET_MS = 100;

type Known = Record<string, number>;

/** The two ways to ask: the services in this process, and the procedures over HTTP. */
interface Asking {
	page(input: PageInput): Promise<unknown>;
	since(conversations: Known): Promise<unknown>;
}

export async function measureServing(): Promise<Measurement[]> {
	return withDatabase((databaseUrl) =>
		withServer({ DATABASE_URL: databaseUrl }, async (url) => {
			const person = new HttpPerson(url);
			const viewer = await person.call.accounts.signUp.mutate({
				name: 'Viewer',
				username: 'viewer',
				email: 'viewer@example.org',
				password: uuidv7()
			});
			const filled = await fill(databaseUrl, viewer.id);

			const app = new App(
				readEnv({ NODE_ENV: 'test', DATABASE_URL: databaseUrl, LOG_LEVEL: 'warn' })
			);
			const inProcess: Asking = {
				page: (input) => messagePage(app.services, viewer.id, input),
				since: (conversations) => since(app.services, viewer.id, { conversations })
			};
			const overHttp: Asking = {
				page: (input) => person.call.messages.page.query(input),
				since: (conversations) => person.call.sync.since.mutate({ conversations })
			};
			try {
				return [
					...(await measure('in process', inProcess, filled)),
					...(await measure('HTTP', overHttp, filled))
				];
			} finally {
				await app.close();
			}
		})
	);
}

export interface Filled {
	/** The one of many messages. */
	conversationId: string;
	known: Known;
}

/** A long conversation and many short ones, numbered as the app would have done it. */
export async function fill(databaseUrl: string, viewerId: string): Promise<Filled> {
	const { sql, close } = openDatabase(databaseUrl, 1);
	try {
		await sql`
			insert into person (id, name, username, email, password_hash, searchable)
			select gen_random_uuid(), 'Person ' || n, 'person.' || n, 'person.' || n || '@example.org',
				'none', 'person ' || n
			from generate_series(1, ${MEMBERS - 1}) n`;
		const [conversationId] = await fillGroups(sql, viewerId, 1, MEMBERS, MESSAGES);
		await fillGroups(sql, viewerId, CONVERSATIONS - 1, 4, 30);
		await sql`vacuum analyze`;
		const rows = await sql<{ id: string; version: number }[]>`select id, version from conversation`;
		return {
			conversationId: conversationId ?? '',
			known: Object.fromEntries(rows.map(({ id, version }) => [id, version]))
		};
	} finally {
		await close();
	}
}

async function fillGroups(
	sql: Sql,
	viewerId: string,
	count: number,
	members: number,
	messages: number
): Promise<string[]> {
	const ids = Array.from({ length: count }, () => uuidv7());
	await sql`
		insert into conversation (id, kind, name, version, last_seq, settled_seq, changed)
		select id, 'group', 'Group ' || n, ${members + messages}, ${messages}, ${messages}, 1
		from unnest(${ids}::uuid[]) with ordinality as c(id, n)`;
	await sql`
		insert into member (conversation_id, person_id, version, person_version)
		select c.id, p.id, row_number() over (partition by c.id order by p.id), 1
		from unnest(${ids}::uuid[]) c(id) cross join lateral (
			select id from person order by id <> ${viewerId}, md5(id::text || c.id::text)
			limit ${members}
		) p`;
	await sql`
		insert into message (id, conversation_id, seq, version, sender_id, body, sent_at)
		select gen_random_uuid(), m.conversation_id, n, ${members} + n, m.person_id,
			repeat('What a person writes in a line. ', 1 + n % 5),
			now() - make_interval(mins => ${messages} - n)
		from generate_series(1, ${messages}) n
		join (
			select conversation_id, person_id,
				row_number() over (partition by conversation_id order by person_id) - 1 as place
			from member where conversation_id = any(${ids}::uuid[])
		) m on m.place = n % ${members}`;
	return ids;
}

async function measure(
	through: string,
	asking: Asking,
	{ conversationId, known }: Filled
): Promise<Measurement[]> {
	const behind = Object.fromEntries(
		Object.entries(known).map(([id, version]) => [id, version - MISSED])
	);
	const questions: [what: string, ask: () => Promise<unknown>][] = [
		['newest page', () => asking.page({ conversationId })],
		['page around the middle', () => asking.page({ conversationId, around: somewhere() })],
		['page before the middle', () => asking.page({ conversationId, before: somewhere() })],
		[`sync of ${CONVERSATIONS}, nothing known`, () => asking.since({})],
		[`sync of ${CONVERSATIONS}, ${MISSED} missed in each`, () => asking.since(behind)],
		[`sync of ${CONVERSATIONS}, all current`, () => asking.since(known)]
	];
	const measurements: Measurement[] = [];
	for (const [what, ask] of questions) {
		const times = await timesOf(ask);
		const at = { what, through };
		measurements.push(...distribution(times, { subject: 'tertulia', at, target: TARGET_MS }));
	}
	return measurements;
}

async function timesOf(ask: () => Promise<unknown>): Promise<number[]> {
	for (let i = 0; i < WARM_UP; i++) await ask();
	const times: number[] = [];
	for (let i = 0; i < RUNS; i++) {
		const began = performance.now();
		await ask();
		times.push(performance.now() - began);
	}
	return times;
}

/** Each time another place, so that it is not the same page from Postgres' cache. */
const somewhere = () => Math.floor(MESSAGES * (0.3 + 0.4 * Math.random()));
