import { createHash, randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { openDatabase, type Sql } from '../../src/lib/server/platform/db.ts';

/** Somebody who is signed in. */
export interface Person {
	id: string;
	/** What a browser would send. */
	cookie: string;
	conversationId: string;
}

/** Two people in a direct conversation of their own: one talks, the other listens. */
export interface Pair {
	talker: Person;
	listener: Person;
}

/** Fills the tables as the app would have, without the cost of passwords. */
export async function addPairs(databaseUrl: string, count: number): Promise<Pair[]> {
	const pairs = Array.from({ length: count }, (): Pair => {
		const conversationId = uuidv7();
		return { talker: newPerson(conversationId), listener: newPerson(conversationId) };
	});
	const people = pairs.flatMap(({ talker, listener }) => [talker, listener]);
	const { sql, close } = openDatabase(databaseUrl, 1);
	try {
		await addPeople(sql, people);
		await sql`
			insert into conversation (id, kind, pair, version)
			select id, 'direct', id::text, 2
			from unnest(${pairs.map(({ talker }) => talker.conversationId)}::uuid[]) c(id)`;
		await sql`
			insert into member (conversation_id, person_id, role, version, person_version)
			select conversation_id, person_id, 'member', 1, 1
			from unnest(
				${people.map((p) => p.conversationId)}::uuid[], ${people.map((p) => p.id)}::uuid[]
			) m(conversation_id, person_id)`;
		await sql`vacuum analyze`;
		return pairs;
	} finally {
		await close();
	}
}

export function newPerson(conversationId = ''): Person {
	return {
		id: uuidv7(),
		cookie: `session=${randomBytes(32).toString('base64url')}`,
		conversationId
	};
}

export async function addPeople(sql: Sql, people: Person[]): Promise<void> {
	const names = people.map(({ id }) => `person.${id}`);
	await sql`
		insert into person (id, name, username, email, password_hash, searchable, version)
		select id, name, name, name || '@example.org', 'none', name, 1
		from unnest(${people.map(({ id }) => id)}::uuid[], ${names}::text[]) p(id, name)`;
	const sessions = people.map(({ cookie }) =>
		createHash('sha256').update(cookie.slice('session='.length)).digest('hex')
	);
	await sql`
		insert into session (id, person_id, expires_at)
		select s.id, s.person_id, now() + interval '1 day'
		from unnest(${sessions}::text[], ${people.map(({ id }) => id)}::uuid[]) s(id, person_id)`;
}
