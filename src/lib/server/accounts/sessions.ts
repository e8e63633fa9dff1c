/** Sessions, by Lucia. Nothing outside this file knows of it. */
import { hash, randomBytes } from 'node:crypto';
import { and, desc, eq, lte, ne, type SQL } from 'drizzle-orm';
import { Cookie, Lucia, TimeSpan, type Adapter, type DatabaseSession } from 'lucia';
import type { Env } from '#env';
import type { SessionView } from '#lib/shared/accounts.ts';
import { AppError, notFound } from '#lib/shared/errors.ts';
import type { Reader, Transaction } from '../platform/db.ts';
import { gathered } from '../platform/gathering.ts';
import { readCookie } from '../platform/http.ts';
import { write, type Realtime, type Writer } from '../realtime/realtime.ts';
import type { Services } from '../services.ts';
import type { ViewerSession } from '../trpc/context.ts';
import { session } from './schema.ts';

/** Where somebody signs in from. */
export interface Visitor {
	userAgent: string;
	address: string;
}

declare module 'lucia' {
	interface Register {
		Lucia: ReturnType<typeof luciaOver>;
		DatabaseSessionAttributes: Visitor & { createdAt: Date; lastSeenAt: Date };
		DatabaseUserAttributes: DatabaseUserAttributes;
	}
}

interface DatabaseUserAttributes {
	name: string;
	username: string;
	email: string;
}

type SessionRow = typeof session.$inferSelect;
type Store = Pick<Services, 'env' | 'db' | 'realtime'>;

/** The answer to `accounts.sessions` and the guard of `endSession`. */
export const SESSION_ID = /^[0-9a-f]{64}$/;
const USER_AGENT_MAX = 300;
/** How exactly 'last seen' is known: one write a minute per session, not one per request. */
const SEEN_EVERY_MS = 60_000;
const COOKIE_SECONDS = 400 * 86_400;

/**
 * Starts a session and returns the token for its cookie. In a transaction of the caller's, it
 * begins with the commit.
 */
export async function createSession(
	services: Store,
	personId: string,
	visitor: Visitor,
	orm: Reader | Transaction = services.db.orm
): Promise<string> {
	const token = newToken();
	const now = new Date();
	await luciaOver(services, orm).createSession(
		personId,
		{
			userAgent: printable(visitor.userAgent).slice(0, USER_AGENT_MAX),
			address: visitor.address,
			createdAt: now,
			lastSeenAt: now
		},
		{ sessionId: sessionName(token) }
	);
	return token;
}

/** Who holds this token, or null when it is unknown, ended or expired. Using a session renews it. */
export async function findSession(services: Store, token: string): Promise<ViewerSession | null> {
	const id = sessionName(token);
	const lucia = luciaOver(services);
	const found = await lucia.validateSession(id);
	if (!found.session) return null;
	await touch(services, id, found.session.lastSeenAt);
	const { id: personId, name, username, email } = found.user;
	return { id, viewer: { id: personId, name, username, email } };
}

/** All of somebody's sessions, the one last used first. */
export async function listSessions(
	services: Store,
	personId: string,
	currentId: string
): Promise<SessionView[]> {
	const sessions = await luciaOver(services).getUserSessions(personId);
	return sessions.map(({ id, userAgent, address, createdAt, lastSeenAt }) => ({
		id,
		userAgent,
		address,
		createdAt: createdAt.getTime(),
		lastSeenAt: lastSeenAt.getTime(),
		current: id === currentId
	}));
}

/** Ends the session of the request itself, unless something else just did. */
export async function leaveSession(services: Store, { id }: ViewerSession): Promise<void> {
	await luciaOver(services).invalidateSession(id);
}

/** Ends one session of this person; anybody else's does not exist. */
export async function endSession(services: Store, personId: string, id: string): Promise<void> {
	const ended = await end(
		services.realtime,
		and(eq(session.personId, personId), eq(session.id, id))
	);
	if (ended === 0) throw notFound();
}

export async function endOtherSessions(
	services: Store,
	personId: string,
	currentId: string
): Promise<void> {
	await write(services.realtime, (w) => endOtherSessionsIn(w, personId, currentId));
}

export async function endOtherSessionsIn(
	w: Writer,
	personId: string,
	currentId: string
): Promise<void> {
	await endIn(w, and(eq(session.personId, personId), ne(session.id, currentId)));
}

export async function endAllSessions(services: Store, personId: string): Promise<void> {
	await luciaOver(services).invalidateUserSessions(personId);
}

/** Expired sessions are refused anyway; this frees their rows. Run it now and then. */
export async function deleteExpired(services: Store): Promise<void> {
	await luciaOver(services).deleteExpiredSessions();
}

/**
 * Gives a session a new token, in the caller's transaction: who had copied the old one is out. Its
 * streams are left to the hub's next sweep, a few seconds later. Cut at once, they would come back
 * before the browser has the new cookie, and be told that they are signed out.
 */
export async function rotateSession(w: Writer, id: string): Promise<string> {
	const token = newToken();
	const rotated = await w.tx
		.update(session)
		.set({ id: sessionName(token) })
		.where(eq(session.id, id))
		.returning({ id: session.id });
	if (rotated.length === 0) throw new AppError('not_signed_in');
	w.renewSession(id);
	return token;
}

/**
 * The cookie that holds a token, or that removes it. It outlives the session (400 days is the most
 * that browsers keep, RFC 6265bis): when a session ends is decided here, not by the browser.
 */
export function sessionCookie(env: Env, token: string | null): Cookie {
	return new Cookie(cookieName(env), token ?? '', {
		path: '/',
		httpOnly: true,
		sameSite: 'lax',
		secure: overHttps(env),
		maxAge: token === null ? 0 : COOKIE_SECONDS
	});
}

/** The token of a request, by its `Cookie` header. */
export function readSessionToken(
	env: Env,
	cookieHeader: string | null | undefined
): string | undefined {
	return readCookie(cookieHeader, cookieName(env)) || undefined;
}

/** With the prefix, no other host of the domain and no plain http page can set it (RFC 6265bis). */
function cookieName(env: Env): string {
	return env.NODE_ENV === 'production' && overHttps(env) ? '__Host-session' : 'session';
}

const overHttps = (env: Env) => env.ORIGIN?.startsWith('https:') ?? false;

/** 256 bits: more than anybody can guess. */
const newToken = () => randomBytes(32).toString('base64url');

/** A session's name is the hash of its token: who reads the table finds no key in it. */
export const sessionName = (token: string) => hash('sha256', token, 'hex');

/** Postgres knows no NUL, and a header is no place for controls. */
const printable = (text: string) => text.replace(/\p{Cc}/gu, '');

const expiryFrom = (env: Env) => new Date(Date.now() + env.SESSION_DAYS * 86_400_000);

/**
 * Lucia alone would renew in the second half of the period only, and so end a session after half of
 * the days without use that the setting promises.
 */
async function touch(services: Store, id: string, lastSeenAt: Date): Promise<void> {
	if (lastSeenAt.getTime() > Date.now() - SEEN_EVERY_MS) return;
	await touchRows(services.db.sql, [{ id, expiresAt: expiryFrom(services.env) }]);
}

/** Whoever is being touched by another statement at this moment is left to that one. */
const touchRows = gathered<{ id: string; expiresAt: Date }, undefined>(
	async (sql, seen) => {
		const now = Date.now();
		await sql`
			with due as materialized (
				select s.id, k.expires_at
				from unnest(
					${seen.map(({ id }) => id)}::text[],
					${seen.map(({ expiresAt }) => expiresAt.getTime())}::bigint[]
				) as k(id, expires_at)
				join session s on s.id = k.id
				where s.last_seen_at <= to_timestamp(${now - SEEN_EVERY_MS}::float8 / 1000)
				for no key update of s skip locked
			)
			update session
			set last_seen_at = to_timestamp(${now}::float8 / 1000),
				expires_at = to_timestamp(due.expires_at::float8 / 1000)
			from due where session.id = due.id`;
		return seen.map(() => undefined);
	},
	{ most: 100 }
);

/** Ends sessions and, with the same commit, their streams in all processes. */
function end(realtime: Realtime, which: SQL | undefined): Promise<number> {
	return write(realtime, (w) => endIn(w, which));
}

async function endIn(w: Writer, which: SQL | undefined): Promise<number> {
	const ended = await w.tx.delete(session).where(which).returning({ id: session.id });
	w.endSessions(ended.map(({ id }) => id));
	return ended.length;
}

function luciaOver(services: Store, orm: Reader | Transaction = services.db.orm) {
	return new Lucia(adapterOver(services, orm), {
		sessionExpiresIn: new TimeSpan(services.env.SESSION_DAYS, 'd'),
		getSessionAttributes: (attributes) => attributes,
		getUserAttributes: (attributes) => attributes
	});
}

/** A session with its person, as a request looks for it. */
interface FoundSession extends DatabaseUserAttributes {
	id: string;
	person_id: string;
	user_agent: string;
	address: string;
	expires_at: number;
	created_at: number;
	last_seen_at: number;
}

/** The most frequent look-up of all, and after a deployment everybody's at once. */
const findRows = gathered<string, FoundSession | undefined>(
	async (sql, ids) => {
		const rows = await sql<FoundSession[]>`
			select s.id, s.person_id, s.user_agent, s.address, p.name, p.username, p.email,
				floor(extract(epoch from s.expires_at) * 1000)::float8 as expires_at,
				floor(extract(epoch from s.created_at) * 1000)::float8 as created_at,
				floor(extract(epoch from s.last_seen_at) * 1000)::float8 as last_seen_at
			from session s join person p on p.id = s.person_id
			where s.id = any(${ids}::text[])`;
		const found = new Map(rows.map((row) => [row.id, row]));
		return ids.map((id) => found.get(id));
	},
	{ most: 100 }
);

/** What Lucia asks of a database. It is only ever given names of sessions, never a token. */
function adapterOver({ db, realtime }: Store, orm: Reader | Transaction): Adapter {
	return {
		async getSessionAndUser(id) {
			const [row] = await findRows(db.sql, [id]);
			if (!row) return [null, null];
			const { person_id: personId, name, username, email } = row;
			const attributes = {
				userAgent: row.user_agent,
				address: row.address,
				createdAt: new Date(row.created_at),
				lastSeenAt: new Date(row.last_seen_at)
			};
			return [
				{ id, userId: personId, expiresAt: new Date(row.expires_at), attributes },
				{ id: personId, attributes: { name, username, email } }
			];
		},
		async getUserSessions(personId) {
			const rows = await orm
				.select()
				.from(session)
				.where(eq(session.personId, personId))
				.orderBy(desc(session.lastSeenAt), session.id);
			return rows.map(asLucia);
		},
		async setSession({ id, userId, expiresAt, attributes }) {
			await orm.insert(session).values({ id, personId: userId, expiresAt, ...attributes });
		},
		async updateSessionExpiration(id, expiresAt) {
			await orm.update(session).set({ expiresAt }).where(eq(session.id, id));
		},
		async deleteSession(id) {
			await end(realtime, eq(session.id, id));
		},
		async deleteUserSessions(personId) {
			await end(realtime, eq(session.personId, personId));
		},
		async deleteExpiredSessions() {
			await end(realtime, lte(session.expiresAt, new Date()));
		}
	};
}

function asLucia({ id, personId, expiresAt, ...attributes }: SessionRow): DatabaseSession {
	return { id, userId: personId, expiresAt, attributes };
}
