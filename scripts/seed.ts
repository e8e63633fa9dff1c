/**
 * `pnpm seed [--beside]`: a company of twelve people and half a year of their talk, into
 * DATABASE_URL or the database of the running `pnpm dev`. Always the same people and words, with
 * times that end now. `pnpm dev` does it by itself where there is nobody yet.
 */
import { parseArgs } from 'node:util';
import { DEMO_DOMAIN, newPerson } from '../src/lib/server/accounts/accounts.ts';
import { hashPassword } from '../src/lib/server/accounts/passwords.ts';
import { person } from '../src/lib/server/accounts/schema.ts';
import { conversation, member } from '../src/lib/server/conversations/schema.ts';
import { message } from '../src/lib/server/messages/schema.ts';
import { reaction } from '../src/lib/server/reactions/schema.ts';
import { openDatabase, type Transaction } from '../src/lib/server/platform/db.ts';
import { migrate } from '../src/lib/server/platform/migrate.ts';
import { databaseAtHand } from './lib/development-database.ts';
import { Problem, runScript } from './lib/problem.ts';
import { CONVERSATIONS, PEOPLE, type Language, type Username } from './seed/company.ts';
import { readCorpus, type Scene } from './seed/corpus.ts';
import { weave } from './seed/history.ts';
import { Bag, Random } from './seed/random.ts';
import { recordOf, type Company, type ConversationRecord } from './seed/records.ts';

/** Of all demonstration people. In production there are none. */
const DEMO_PASSWORD = 'tertulia-demo';

interface SeedOptions {
	/** Add the company although there are other people already. */
	beside?: boolean;
	/** Another seed makes another half-year of the same scenes. */
	seed?: string;
	/** Milliseconds since the epoch: when the story ends. */
	now?: number;
}

interface Seeded {
	people: number;
	conversations: number;
	messages: number;
}

if (import.meta.main) await runScript(main);

async function main(): Promise<void> {
	const { beside } = readArguments();
	if (process.env.NODE_ENV === 'production') {
		throw new Problem('The demonstration people have a well-known password: not in production.');
	}
	const url = await databaseAtHand();
	await migrate(url);
	const { people, conversations, messages } = await seed(url, { beside });
	console.log(`
  ${people} people, ${conversations} conversations, ${messages} messages.

  In development the sign-in page offers them in one click. With a password:
  tomas, ines, siobhan … (or tomas${DEMO_DOMAIN}), password “${DEMO_PASSWORD}”.
`);
}

function readArguments(): { beside: boolean } {
	try {
		return parseArgs({ options: { beside: { type: 'boolean', default: false } } }).values;
	} catch (error) {
		throw new Problem(`${(error as Error).message} It is: pnpm seed [--beside]`);
	}
}

/** Fills a migrated database. A `Problem` where there are people already. */
export async function seed(
	databaseUrl: string,
	{ beside = false, seed: start = 'casa marea', now = Date.now() }: SeedOptions
): Promise<Seeded> {
	const { company, records } = story(start, now);
	const people = await rowsOfPeople(company, now);
	const members = records.flatMap((record) => record.members);
	const messages = records.flatMap((record) => record.messages);
	const reactions = records.flatMap((record) => record.reactions);
	const db = openDatabase(databaseUrl, 1);
	try {
		await db.orm.transaction(async (tx) => {
			await requireRoom(tx, beside);
			await tx.insert(person).values(people);
			await tx.insert(conversation).values(records.map((record) => record.conversation));
			await tx.insert(member).values(members);
			for (const rows of inParts(messages)) await tx.insert(message).values(rows);
			for (const rows of inParts(reactions)) await tx.insert(reaction).values(rows);
		});
		// Or the first questions are planned as if the tables were empty.
		await db.sql`analyze person, conversation, member, message, reaction`;
	} finally {
		await db.close();
	}
	return {
		people: people.length,
		conversations: records.length,
		messages: messages.length
	};
}

async function requireRoom(tx: Transaction, beside: boolean): Promise<void> {
	const known = await tx.select({ email: person.email }).from(person);
	if (known.some(({ email }) => email.endsWith(DEMO_DOMAIN))) {
		throw new Problem(
			'The demonstration people are here already. To begin again: “pnpm dev --fresh”.'
		);
	}
	if (known.length > 0 && !beside) {
		throw new Problem(
			`There are ${known.length} people in this database. To put the demonstration people beside them: “pnpm seed --beside”.`
		);
	}
}

function story(start: string, now: number): { company: Company; records: ConversationRecord[] } {
	const corpus = readCorpus('groups.txt', 'direct.txt', 'small-talk.txt');
	const company = { ids: personIds(start, now), versions: new Map<Username, number>() };
	// One bag for all conversations of a language, so that nobody hears the same joke every week.
	const talk = (language: Language) =>
		new Bag<Scene>(new Random(`${start} ${language}`), corpus.get(language) ?? []);
	const smallTalk = { en: talk('en'), es: talk('es') };
	const records = CONVERSATIONS.map((plan) => {
		const random = new Random(`${start} ${plan.key}`);
		const history = weave(plan, corpus, smallTalk[plan.language], random, now);
		return recordOf(plan, history, company, random);
	});
	return { company, records };
}

function personIds(start: string, now: number): ReadonlyMap<Username, string> {
	const random = new Random(start);
	const usernames = Object.keys(PEOPLE) as Username[];
	return new Map(
		usernames.map((who, index) => [who, random.uuid(signedUpAt(now) + index * 60_000)])
	);
}

async function rowsOfPeople({ ids, versions }: Company, now: number) {
	const passwordHash = await hashPassword(DEMO_PASSWORD);
	return [...ids].map(([username, id]) => ({
		...newPerson({
			name: PEOPLE[username].name,
			username,
			email: `${username}${DEMO_DOMAIN}`,
			passwordHash
		}),
		id,
		version: versions.get(username) ?? 0,
		createdAt: new Date(signedUpAt(now))
	}));
}

/** A little before the first conversation. */
function signedUpAt(now: number): number {
	return now - 200 * 86_400_000;
}

/** Postgres takes 65,535 values in one statement. */
function* inParts<T>(rows: readonly T[], size = 1000): Generator<T[]> {
	for (let from = 0; from < rows.length; from += size) yield rows.slice(from, from + size);
}
