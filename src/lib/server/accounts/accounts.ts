import { and, asc, eq, inArray, like, ne, notInArray, sql, type SQL } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { Env } from '#env';
import type { PersonView, SignInInput, SignUpInput, ViewerView } from '#lib/shared/accounts.ts';
import { AppError, notFound, type ErrorCode } from '#lib/shared/errors.ts';
import { isStorable, searchable } from '#lib/shared/text.ts';
import { conversation, member } from '../conversations/schema.ts';
import { brokenUniqueKey, type Reader, type Transaction } from '../platform/db.ts';
import { gathered } from '../platform/gathering.ts';
import { networkOf } from '../platform/http.ts';
import type { Limit } from '../platform/limits.ts';
import { write } from '../realtime/realtime.ts';
import type { Services } from '../services.ts';
import type { ViewerSession } from '../trpc/context.ts';
import { hashPassword, verifyPassword } from './passwords.ts';
import { person } from './schema.ts';
import { createSession, endOtherSessionsIn, rotateSession, type Visitor } from './sessions.ts';

type Store = Pick<Services, 'env' | 'db' | 'limits' | 'realtime'>;

/** Who has just come in, and the token for their cookie. */
export interface Entrance {
	viewer: ViewerView;
	token: string;
}

/** The demonstration people, who come in without a password where `DEMO` allows it. */
export const DEMO_DOMAIN = '@example.test';
const DEMO_PEOPLE_MAX = 12;

export async function signUp(
	services: Store,
	input: SignUpInput,
	visitor: Visitor
): Promise<Entrance> {
	const name = visibleName(input.name);
	await takeOrRefuse(services, addressLimit(services.env), networkOf(visitor.address));
	const row = newPerson({ ...input, name, passwordHash: await hashPassword(input.password) });
	try {
		return await services.db.orm.transaction(async (tx) => {
			await tx.insert(person).values(row);
			const token = await createSession(services, row.id, visitor, tx);
			return { viewer: viewerOf(row), token };
		});
	} catch (error) {
		// The constraint decides, so that of two at the same instant one is told.
		const key = brokenUniqueKey(error);
		if (key === 'person_username_key') throw new AppError('username_taken', { field: 'username' });
		// This tells a stranger that the address has an account. Hiding it takes a mail to its owner
		// in place of the answer, which an installation without mail cannot send, and leaves who
		// forgot about their account without a way on. Asking is slow: every try counts above.
		if (key === 'person_email_key') throw new AppError('email_taken', { field: 'email' });
		throw error;
	}
}

/** Unknown person and wrong password are one answer, after the same work. */
export function signIn(
	services: Store,
	{ login, password }: SignInInput,
	visitor: Visitor
): Promise<Entrance> {
	// The address first, so that one that is refused does not go on locking somebody else's account.
	// The account by the login as typed: whether it exists, or names the same person as another
	// login, must not show.
	const tries: Try[] = [
		[addressLimit(services.env), networkOf(visitor.address)],
		[accountLimit('sign-in', services.env), login]
	];
	return countingFailures(services, tries, 'wrong_credentials', async () => {
		const [found] = await services.db.orm.select().from(person).where(calledBy(login));
		if (!(await verifyPassword(found?.passwordHash ?? null, password)) || !found) {
			throw new AppError('wrong_credentials');
		}
		return services.db.orm.transaction(async (tx) => {
			// Not when the password was changed meanwhile: this session would survive the change.
			const [unchanged] = await tx
				.select({ id: person.id })
				.from(person)
				.where(and(eq(person.id, found.id), eq(person.passwordHash, found.passwordHash)))
				.for('share');
			if (!unchanged) throw new AppError('wrong_credentials');
			const token = await createSession(services, found.id, visitor, tx);
			return { viewer: viewerOf(found), token };
		});
	});
}

/** Ends all other sessions and gives this one a new token, which is returned. */
export function changePassword(
	services: Store,
	{ id: sessionId, viewer }: ViewerSession,
	{ current, next }: { current: string; next: string }
): Promise<string> {
	// Whoever finds an open screen may not guess on without end either.
	const tries: Try[] = [[accountLimit('change-password', services.env), viewer.id]];
	return countingFailures(services, tries, 'wrong_password', async () => {
		const [known] = await services.db.orm
			.select({ passwordHash: person.passwordHash })
			.from(person)
			.where(eq(person.id, viewer.id));
		if (!known || !(await verifyPassword(known.passwordHash, current))) {
			throw new AppError('wrong_password', { field: 'current' });
		}
		const passwordHash = await hashPassword(next);
		return write(services.realtime, async (w) => {
			const changed = await w.tx
				.update(person)
				.set({ passwordHash })
				.where(and(eq(person.id, viewer.id), eq(person.passwordHash, known.passwordHash)))
				.returning({ id: person.id });
			// Another device was faster: what was called current no longer is.
			if (changed.length === 0) throw new AppError('wrong_password', { field: 'current' });
			await endOtherSessionsIn(w, viewer.id, sessionId);
			return rotateSession(w, sessionId);
		});
	});
}

/** Whom a visitor may come in as without a password; null where that is not offered. */
export async function demoPeople({ env, db }: Store): Promise<PersonView[] | null> {
	if (!env.DEMO) return null;
	return db.orm
		.select(personColumns)
		.from(person)
		.where(isDemo)
		.orderBy(asc(person.name), asc(person.id))
		.limit(DEMO_PEOPLE_MAX);
}

export async function signInAsDemo(
	services: Store,
	personId: string,
	visitor: Visitor
): Promise<Entrance> {
	if (!services.env.DEMO) throw notFound();
	const [found] = await services.db.orm
		.select()
		.from(person)
		.where(and(eq(person.id, personId), isDemo));
	if (!found) throw notFound();
	return { viewer: viewerOf(found), token: await createSession(services, found.id, visitor) };
}

/** In no particular order; unknown ids are left out. */
export async function peopleById(
	reader: Reader | Transaction,
	ids: readonly string[]
): Promise<PersonView[]> {
	if (ids.length === 0) return [];
	return reader
		.select(personColumns)
		.from(person)
		.where(inArray(person.id, [...ids]));
}

/** The same for many who ask at once: those who exist, each once. */
export const peopleTogether = gathered<string, PersonView | undefined>(
	async (sql, ids) => {
		const rows = await sql<PersonView[]>`
			select id, name, username from person where id = any(${[...new Set(ids)]}::uuid[])`;
		const found = new Map(rows.map((row) => [row.id, row]));
		return ids.map((id) => found.get(id));
	},
	{ most: 500 }
);

/** Whether others are told when this person is online. */
export async function showsPresence({ db }: Pick<Services, 'db'>, id: string): Promise<boolean> {
	const [found] = await db.orm
		.select({ shows: person.showsPresence })
		.from(person)
		.where(eq(person.id, id));
	return found?.shows ?? false;
}

export async function showPresence(
	{ db }: Pick<Services, 'db'>,
	id: string,
	shows: boolean
): Promise<void> {
	await db.orm.update(person).set({ showsPresence: shows }).where(eq(person.id, id));
}

/** Each may cost Postgres milliseconds; nobody types so much for long. */
const FIND_LIMIT: Limit = { name: 'find-people', burst: 60, perMinute: 120 };
const FOUND_MAX = 20;
const WORDS_MAX = 8;
/** One wrong letter in a word of four ("hose" for José) leaves two trigrams of five: 0.4. */
const SIMILARITY_MIN = 0.4;

/**
 * People other than the viewer by name or username, best first. Accents and case do not matter;
 * where the letters as typed find too few, similar ones count as well. Without a query: those whom
 * the viewer talked with last, then everybody by name.
 */
export async function findPeople(
	services: Store,
	viewerId: string,
	query: string
): Promise<PersonView[]> {
	await takeOrRefuse(services, FIND_LIMIT, viewerId);
	const { db } = services;
	const words = searchable(query.replace(/\p{Cc}/gu, ' '))
		.split(' ')
		.map((word) => word.replace(/^@/, ''))
		.filter((word) => word !== '')
		.slice(0, WORDS_MAX);
	const first =
		words.length === 0
			? await lastTalkedWith(db.orm, viewerId)
			: await peopleWithWords(db.orm, viewerId, words);
	if (first.length >= FOUND_MAX) return first;
	const others = and(
		ne(person.id, viewerId),
		first.length > 0
			? notInArray(
					person.id,
					first.map(({ id }) => id)
				)
			: undefined
	);
	const rest = FOUND_MAX - first.length;
	return [
		...first,
		...(words.length === 0
			? await everybody(db.orm, others, rest)
			: await similarPeople(db.orm, others, words.join(' '), rest))
	];
}

/** Only one to one: in a large group one has not talked with everybody. */
async function lastTalkedWith(orm: Reader, viewerId: string): Promise<PersonView[]> {
	const rows = await orm.execute<PersonView & Record<string, unknown>>(sql`
		select person.id, person.name, person.username
		from ${member} mine
		join ${conversation} on conversation.id = mine.conversation_id and conversation.kind = 'direct'
		join ${member} theirs
			on theirs.conversation_id = conversation.id and theirs.person_id <> mine.person_id
		join ${person} on person.id = theirs.person_id
		where mine.person_id = ${viewerId} and mine.left_at is null
		order by conversation.active_at desc
		limit ${FOUND_MAX}`);
	return [...rows];
}

function everybody(orm: Reader, which: SQL | undefined, limit: number): Promise<PersonView[]> {
	return orm
		.select(personColumns)
		.from(person)
		.where(which)
		.orderBy(asc(person.searchable), asc(person.id))
		.limit(limit);
}

/** Beginnings of words before other parts of them. */
function peopleWithWords(orm: Reader, viewerId: string, words: string[]): Promise<PersonView[]> {
	const parts = words.map(literally);
	const whole = parts.join(' ');
	const everyWordBegins = and(
		...parts.map((part) => sql`' ' || ${person.searchable} like ${`% ${part}%`}`)
	);
	return orm
		.select(personColumns)
		.from(person)
		.where(and(ne(person.id, viewerId), ...parts.map((p) => like(person.searchable, `%${p}%`))))
		.orderBy(
			sql`case
				when ${person.username} = ${words.join(' ')} then 0
				when ${person.searchable} like ${`${whole}%`} then 1
				when ${everyWordBegins} then 2
				else 3 end`,
			asc(person.searchable),
			asc(person.id)
		)
		.limit(FOUND_MAX);
}

function similarPeople(
	orm: Reader,
	which: SQL | undefined,
	words: string,
	limit: number
): Promise<PersonView[]> {
	return orm.transaction(async (tx) => {
		// The operator can use the index and the function cannot; its threshold is a setting. Postgres
		// takes a comparison for cheap and would make it with everybody: 50,000 people are 10 ms by
		// the index and 300 ms without.
		await tx.execute(sql`
			select set_config('pg_trgm.word_similarity_threshold', ${String(SIMILARITY_MIN)}, true),
				set_config('enable_seqscan', 'off', true)`);
		return tx
			.select(personColumns)
			.from(person)
			.where(and(which, sql`${words} <% ${person.searchable}`))
			.orderBy(sql`${words} <<-> ${person.searchable}`, asc(person.searchable), asc(person.id))
			.limit(limit);
	});
}

/** A row of the table `person`, for sign-up and for whoever fills a database. */
export function newPerson(given: {
	name: string;
	username: string;
	email: string;
	passwordHash: string;
}) {
	return {
		id: uuidv7(),
		name: given.name,
		username: given.username,
		email: given.email,
		passwordHash: given.passwordHash,
		searchable: searchable(`${given.name} ${given.username}`)
	} satisfies typeof person.$inferInsert;
}

const personColumns = { id: person.id, name: person.name, username: person.username };

const isDemo = like(person.email, `%${DEMO_DOMAIN}`);

/** In LIKE, of what people type nothing is a wildcard. */
const literally = (text: string) => text.replace(/[\\%_]/g, '\\$&');

const viewerOf = ({ id, name, username, email }: typeof person.$inferInsert): ViewerView => ({
	id,
	name,
	username,
	email
});

/** A username has no @ and an address has one, so a login is never both. */
function calledBy(login: string): SQL {
	// Nobody's: Postgres would refuse to look for it.
	if (!isStorable(login)) return sql`false`;
	return login.includes('@') ? eq(person.email, login) : eq(person.username, login);
}

/**
 * A name as it is kept: composed, on one line, without controls and marks of direction, which could
 * make one name pass for another. Throws `invalid_input` when nothing is left to be seen.
 */
function visibleName(name: string): string {
	const kept = name
		.toWellFormed()
		.normalize('NFC')
		.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
		.replace(/\p{Bidi_Control}/gu, '')
		.trim();
	// Letters that are drawn as nothing (U+3164, U+2800) do not make a name.
	const seen = kept.replace(/[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Z}\p{M}\u2800]/gu, '');
	if (seen === '') throw new AppError('invalid_input', { field: 'name' });
	return kept;
}

/** So many at once, and the same again spread over a quarter of an hour. */
const perQuarter = (name: string, count: number): Limit => ({
	name,
	burst: count,
	perMinute: count / 15
});

const addressLimit = (env: Env) => perQuarter('sign-in-address', env.SIGN_IN_LIMIT_PER_ADDRESS);

const accountLimit = (door: string, env: Env) =>
	perQuarter(`${door}-account`, env.SIGN_IN_LIMIT_PER_ACCOUNT);

type Try = [limit: Limit, key: string];

/**
 * Counts a try before it is made, or guesses made at the same time would all pass, and takes that
 * back unless it ends in the failure that the limit is for.
 */
async function countingFailures<T>(
	services: Store,
	tries: Try[],
	failure: ErrorCode,
	attempt: () => Promise<T>
): Promise<T> {
	for (const [limit, key] of tries) await takeOrRefuse(services, limit, key);
	let failed = false;
	try {
		return await attempt();
	} catch (error) {
		failed = error instanceof AppError && error.code === failure;
		throw error;
	} finally {
		if (!failed) for (const [limit, key] of tries) await services.limits.giveBack(limit, key);
	}
}

async function takeOrRefuse(services: Store, limit: Limit, key: string): Promise<void> {
	const retryAfter = await services.limits.take(limit, key);
	if (retryAfter > 0) throw new AppError('too_many_attempts', { retryAfter });
}
