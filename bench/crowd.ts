/**
 * Many clients of one server, in a process of their own. Takes `Crowd` as a line of JSON, looks up
 * what each knew, and then the address of a server that has just come back: all come back too.
 */
import { createInterface } from 'node:readline';
import { openDatabase } from '../src/lib/server/platform/db.ts';
import { quantile } from './lib/measurement.ts';
import type { Person } from './lib/people.ts';
import { listenRaw, RawHttp } from './lib/raw-http.ts';

export interface Crowd {
	people: Person[];
	/** One conversation in so many has a message that the clients do not know. */
	missed: number;
}

/** Connections that are being opened at a time: what a listener queues. */
const OPENING_MAX = 400;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { people, missed, databaseUrl } = JSON.parse(String((await lines.next()).value)) as Crowd & {
	databaseUrl: string;
};
const knowledge = await lookUp();
say({ ready: knowledge.length });

const url = String((await lines.next()).value);
const began = performance.now();
const times: number[] = [];
let next = 0;
await Promise.all(
	Array.from({ length: OPENING_MAX }, async () => {
		for (let at = next++; at < people.length; at = next++) await comeBack(at);
	})
);
say({ current: times.length, median: quantile(times, 0.5), last: quantile(times, 1) });

/** What a client does: first it listens, then it asks for what it has missed. */
async function comeBack(at: number): Promise<void> {
	const { cookie } = people[at]!;
	await listenRaw(url, cookie, () => {});
	const http = new RawHttp(url, cookie);
	const answer = await http.post('/trpc/sync.since', knowledge[at] ?? '');
	http.close();
	const { result } = JSON.parse(answer) as { result: { data: { deltas: unknown[] } } };
	if (result.data.deltas.length === 0) throw new Error('Nothing was missed?');
	times.push((performance.now() - began) / 1000);
}

async function lookUp(): Promise<string[]> {
	const { sql, close } = openDatabase(databaseUrl, 1);
	const known = new Map(people.map(({ id }): [string, Record<string, number>] => [id, {}]));
	const rows = sql<{ person_id: string; id: string; version: number; behind: boolean }[]>`
		select m.person_id, c.id, c.version, (row_number() over ())::int % ${missed} = 0 as behind
		from conversation c join member m on m.conversation_id = c.id`;
	await rows.cursor(10_000, (page) => {
		for (const { person_id, id, version, behind } of page) {
			known.get(person_id)![id] = behind ? version - 1 : version;
		}
	});
	await close();
	return people.map(({ id }) => JSON.stringify({ conversations: known.get(id), personVersion: 1 }));
}

function say(answer: object): void {
	process.stdout.write(`${JSON.stringify(answer)}\n`);
}
