/** What the tests of the server share: real services on a fresh database, and people in it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { uuidv7 } from 'uuidv7';
import { expect } from 'vitest';
import { freshDatabase } from '../../../tests/setup/database.ts';
import { readEnv, type Env } from '#env';
import type { PersonView } from '#lib/shared/accounts.ts';
import type { StreamEvent } from '#lib/shared/events.ts';
import { searchable } from '#lib/shared/text.ts';
import { newPerson } from './accounts/accounts.ts';
import { person, session } from './accounts/schema.ts';
import { App, type AppOptions, type Caller } from './app.ts';
import type { Sql } from './platform/db.ts';
import { openLog } from './platform/log.ts';
import { Few } from './realtime/few.ts';
import type { Frame } from './realtime/frame.ts';
import type { Stream } from './realtime/stream.ts';
import type { Services } from './services.ts';
import { createCaller } from './trpc/router.ts';

export interface TestApp {
	app: App;
	services: Services;
	url: string;
	close(): Promise<void>;
}

/** An app on a fresh copy of the migrated database; several can share one by `url`. */
export async function testApp(
	settings: Partial<Record<keyof Env, string>> = {},
	{ url, ...options }: AppOptions & { url?: string } = {}
): Promise<TestApp> {
	const database = url ? { url, drop: async () => {} } : await freshDatabase();
	const env = readEnv({
		NODE_ENV: 'development',
		DATABASE_URL: database.url,
		SEND_LIMIT_PER_MINUTE: '1000000',
		SEND_BURST: '1000000',
		LOG_LEVEL: 'silent',
		...settings
	});
	const app = new App(env, { log: openLog(env.LOG_LEVEL), ...options });
	await app.services.realtime.listening();
	return {
		app,
		services: app.services,
		url: database.url,
		async close() {
			await app.close();
			await database.drop();
		}
	};
}

/** An app behind its doors, over real HTTP. */
export interface Site {
	app: TestApp;
	url: string;
	close(): Promise<void>;
}

export async function openSite(app: TestApp): Promise<Site> {
	const server = createServer((req, res) => {
		if (!app.app.handle(req, res)) res.writeHead(404).end();
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		app,
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		async close() {
			await app.close();
			server.closeAllConnections();
			server.close();
		}
	};
}

export interface TestPerson extends PersonView {
	/** The procedures as this person. */
	call: Caller;
	sessionId: string;
}

let made = 0;

/** Somebody with a session, without the cost of a password. */
export async function somebody(services: Services, name = `Person ${++made}`): Promise<TestPerson> {
	const username = `${searchable(name).replace(/[^a-z0-9]+/g, '.')}.${++made}`;
	const email = `${username}@example.test`;
	const row = newPerson({ name, username, email, passwordHash: 'none' });
	const { id } = row;
	await services.db.orm.insert(person).values(row);
	const sessionId = await addSession(services, id);
	const view = { id, name, username };
	return { ...view, sessionId, call: callerFor(services, view, sessionId) };
}

export async function addSession(services: Services, personId: string): Promise<string> {
	const id = uuidv7().replaceAll('-', '').repeat(2);
	await services.db.orm
		.insert(session)
		.values({ id, personId, expiresAt: new Date(Date.now() + 86_400_000) });
	return id;
}

export function callerFor(services: Services, view: PersonView, sessionId: string): Caller {
	return createCaller({
		services,
		session: {
			id: sessionId,
			viewer: { ...view, email: `${view.username}@example.test` }
		},
		address: '192.0.2.1',
		userAgent: 'test',
		setSessionCookie: () => {}
	});
}

/** A stream without a socket, which keeps what it hears. */
export class TestStream implements Stream {
	readonly personId: string;
	readonly sessionId: string;
	readonly conversations = new Few<string>();
	readonly heard: StreamEvent[] = [];
	closed = false;
	readonly #closing: ((stream: Stream) => void)[] = [];
	readonly #waiting = new Set<() => void>();

	constructor(listener: { id: string; sessionId: string }) {
		this.personId = listener.id;
		this.sessionId = listener.sessionId;
	}

	write(frame: Frame): void {
		if (this.closed) return;
		const text = frame.bare.toString('utf8');
		this.heard.push(JSON.parse(text.slice('data: '.length)) as StreamEvent);
		for (const wake of this.#waiting) wake();
	}

	end(): void {
		if (this.closed) return;
		this.closed = true;
		for (const listener of this.#closing) listener(this);
		for (const wake of this.#waiting) wake();
	}

	onClose(listener: (stream: Stream) => void): void {
		this.#closing.push(listener);
	}

	/** Resolves with the first event that fits, heard already or still to come. */
	async hears<T extends StreamEvent['type']>(
		type: T,
		fits: (event: Extract<StreamEvent, { type: T }>) => boolean = () => true
	): Promise<Extract<StreamEvent, { type: T }>> {
		const isIt = (event: StreamEvent): event is Extract<StreamEvent, { type: T }> =>
			event.type === type && fits(event as Extract<StreamEvent, { type: T }>);
		for (;;) {
			const found = this.heard.find(isIt);
			if (found) return found;
			if (this.closed) throw new Error(`The stream ended without ${type}.`);
			await new Promise<void>((resolve) => {
				const wake = () => {
					this.#waiting.delete(wake);
					resolve();
				};
				this.#waiting.add(wake);
			});
		}
	}

	/** Bodies of all messages heard, in the order in which they were told. */
	get bodies(): string[] {
		return this.heard.flatMap((event) =>
			event.type !== 'conversation.advanced'
				? []
				: event.delta.changes.flatMap((change) =>
						change.type === 'message.changed' && change.message.kind === 'text'
							? change.message.body
							: []
					)
		);
	}
}

export async function openStream(
	services: Services,
	listener: { id: string; sessionId: string }
): Promise<TestStream> {
	const stream = new TestStream(listener);
	await services.realtime.hub.open(stream);
	return stream;
}

/** The same statements, of which `hear` is told first; what it throws is what they come to. */
export function overheard(sql: Sql, hear: (statement: string) => void): Sql {
	return new Proxy(sql, {
		apply(target, self, parts: unknown[]) {
			const [texts] = parts;
			if (Array.isArray(texts) && 'raw' in texts) hear(texts.join('?'));
			return Reflect.apply(target, self, parts) as unknown;
		}
	});
}

/** Resolves when somebody waits for a lock in this test's database. */
export async function lockIsAwaited(sql: Sql): Promise<void> {
	await expect
		.poll(async () => {
			const [row] = await sql<{ n: number }[]>`
				select count(*)::int as n from pg_stat_activity
				where datname = current_database() and wait_event_type = 'Lock'`;
			return row?.n;
		})
		.toBe(1);
}
