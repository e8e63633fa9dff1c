import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { getTRPCErrorFromUnknown } from '@trpc/server';
import { nodeHTTPRequestHandler } from '@trpc/server/adapters/node-http';
import { directUrl, readEnv, type Env } from '#env';
import { pollInput } from '#lib/shared/sync.ts';
import { RecentSessions } from './accounts/recent-sessions.ts';
import { deleteExpired, readSessionToken, sessionCookie } from './accounts/sessions.ts';
import { MessageWriter } from './messages/messages.ts';
import { openDatabase, type Database } from './platform/db.ts';
import { clientAddress, dataHeaders, originAllowed, readJson } from './platform/http.ts';
import { openLimiter } from './platform/limits.ts';
import { openLog, type Log } from './platform/log.ts';
import { mayReadMetrics } from './platform/metrics.ts';
import { Presence, type PresenceOptions } from './presence/presence.ts';
import { Receipts, type ReceiptsOptions } from './receipts/receipts.ts';
import type { HubOptions } from './realtime/hub.ts';
import { PollStream } from './realtime/poll.ts';
import { listenOn, Realtime, type Listen } from './realtime/realtime.ts';
import { SocketStream } from './realtime/stream.ts';
import type { Services } from './services.ts';
import { opened, poll } from './sync/poll.ts';
import { changeSource } from './sync/sync.ts';
import type { Context, ViewerSession } from './trpc/context.ts';
import { answerPlainCall, plainCall } from './trpc/door.ts';
import { reasonFor, toTrpcError } from './trpc/errors.ts';
import { appRouter, createCaller } from './trpc/router.ts';

/**
 * Bytes. The largest requests are what has waited in an outbox (`sendMany`, of which the client puts
 * 16,000 UTF-16 units into one and eight into a batch) and what a client knows (`sync.since`).
 */
const BODY_MAX = 512 * 1024;
/** Milliseconds over which clients spread their return after a stop. */
const RETURN_WITHIN_MS = 3000;
/** A probe waits a few seconds; a database that takes longer is as good as none. */
const DATABASE_PATIENCE_MS = 2000;
/** Batches of messages that may be written at once. */
const LANES = 2;
const EXPIRED_SESSIONS_MS = 3_600_000;

/** What a request shows of who is asking. */
export interface Asking {
	cookie: string | undefined;
	/** Whom the page believes to be signed in, where it says so. */
	person?: string | undefined;
	address: string;
	userAgent: string;
	setCookie(cookie: string): void;
}

/** For tests, which let notifications get lost and cannot wait for the usual times. */
export interface AppOptions {
	listen?: Listen;
	log?: Log;
	hub?: HubOptions;
	presence?: PresenceOptions;
	receipts?: ReceiptsOptions;
}

/** All the doors of one process. */
export class App {
	readonly services: Services;
	readonly #writing: Database[];
	readonly #sessions: RecentSessions;
	readonly #headers: Map<string, string>;
	readonly #housekeeping: NodeJS.Timeout;
	/** One for all streams, which are many. */
	readonly #countSlow = () => this.services.metrics.slowStreams.add();
	/** As it was found the last time that somebody asked. */
	#isReady = false;

	constructor(
		env: Env,
		{
			listen = listenOn(directUrl(env)),
			log = openLog(env.LOG_LEVEL),
			hub,
			presence,
			receipts
		}: AppOptions = {}
	) {
		const db = openDatabase(env.DATABASE_URL, env.DATABASE_POOL);
		// Of its own: what is sent does not queue behind what is read, however many come back at once.
		this.#writing = Array.from({ length: LANES }, () => openDatabase(env.DATABASE_URL, 1));
		const realtime = new Realtime(db, changeSource(db), log, listen, hub);
		const redisUrl = env.REDIS_URL;
		const limits = openLimiter(redisUrl, log);
		this.services = {
			env,
			db,
			log,
			metrics: realtime.metrics,
			realtime,
			limits,
			writer: new MessageWriter(
				this.#writing.map(({ sql }) => sql),
				realtime,
				log
			),
			presence: new Presence({ db, log, limits, realtime, redisUrl }, presence),
			receipts: new Receipts({ db, log, limits, realtime }, receipts)
		};
		this.#sessions = new RecentSessions(this.services);
		this.#headers = new Map(Object.entries(dataHeaders(env.ORIGIN)));
		realtime.metrics.gauge('tertulia_ready', '1 while this process can work.', () =>
			this.#isReady ? 1 : 0
		);
		this.#housekeeping = setInterval(() => void this.#deleteExpired(), EXPIRED_SESSIONS_MS);
		this.#housekeeping.unref();
	}

	/** Answers what is the app's own; false leaves the request to SvelteKit. */
	handle(req: IncomingMessage, res: ServerResponse): boolean {
		const path = (req.url ?? '/').split('?', 1)[0] ?? '/';
		if (path === '/events/poll') void this.#guard(res, () => this.#poll(req, res));
		else if (path === '/events') void this.#guard(res, () => this.#stream(req, res));
		else if (path.startsWith('/trpc/')) void this.#guard(res, () => this.#call(req, res, path));
		else if (path === '/healthz') answer(res, 200, 'ok', this.services.env);
		else if (path === '/readyz') void this.#guard(res, () => this.#ready(res));
		else if (path === '/metrics') this.#tellMetrics(req, res);
		else return false;
		return true;
	}

	/** Who is asking, and the procedures on their behalf: the same doors for pages and for calls. */
	async enter(asking: Asking): Promise<{ context: Context; caller: Caller }> {
		const context = await this.#contextOf(asking);
		return { context, caller: createCaller(context) };
	}

	/** Says goodbye to the streams, waits until all else is `answered`, and lets go of the rest. */
	async close(answered?: Promise<unknown>): Promise<void> {
		clearInterval(this.#housekeeping);
		await this.services.realtime.close(RETURN_WITHIN_MS);
		await answered;
		this.services.writer.close();
		await this.services.presence.close();
		this.services.receipts.close();
		await this.services.limits.close();
		await Promise.all(this.#writing.map((db) => db.close()));
		await this.services.db.close();
	}

	async #stream(req: IncomingMessage, res: ServerResponse): Promise<void> {
		const { env, realtime } = this.services;
		if (req.method !== 'GET') return answer(res, 405, 'Only GET.', env);
		const session = await this.#session(req.headers.cookie, claimedPerson(req));
		if (!session) return answer(res, 401, 'not_signed_in', env);
		await turnOf(res, req.socket);
		if (req.socket.destroyed) return;
		const listener = { personId: session.viewer.id, sessionId: session.id };
		const stream = new SocketStream(
			req,
			res,
			listener,
			env.STREAM_BUFFER_KIB * 1024,
			this.#countSlow
		);
		try {
			await realtime.hub.open(stream);
		} catch (error) {
			res.destroy();
			throw error;
		}
	}

	/** For networks that swallow streams: a stream in pieces, each the answer to a request. */
	async #poll(req: IncomingMessage, res: ServerResponse): Promise<void> {
		const { env } = this.services;
		if (req.method !== 'POST') return answer(res, 405, 'Only POST.', env);
		if (!originAllowed('POST', req.headers, env.ORIGIN)) {
			return answer(res, 403, 'origin_refused', env);
		}
		const session = await this.#session(req.headers.cookie, claimedPerson(req));
		if (!session) return answer(res, 401, 'not_signed_in', env);
		const input = pollInput.safeParse(await readJson(req, BODY_MAX));
		if (!input.success) return answer(res, 400, 'invalid', env);
		const listener = { personId: session.viewer.id, sessionId: session.id };
		const stream = new PollStream(listener, env.STREAM_BUFFER_KIB * 1024);
		res.on('close', () => stream.end());
		const heard = input.data.opening ? opened() : await poll(this.services, stream, input.data);
		if (res.destroyed) return;
		const type = 'text/plain; charset=utf-8';
		res.writeHead(200, { ...dataHeaders(env.ORIGIN), 'content-type': type }).end(heard);
	}

	async #call(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
		const { env, log, metrics } = this.services;
		res.setHeaders(this.#headers);
		if (!originAllowed(req.method ?? 'GET', req.headers, env.ORIGIN)) {
			return answer(res, 403, 'origin_refused', env);
		}
		const asking = {
			cookie: req.headers.cookie,
			person: claimedPerson(req),
			address: clientAddress(req, env.TRUSTED_PROXIES),
			userAgent: req.headers['user-agent'] ?? '',
			setCookie: (cookie: string) => res.appendHeader('set-cookie', cookie)
		};
		const createContext = () =>
			this.#contextOf(asking).catch((cause: unknown) => {
				// Those of procedures are told of where they happen; this is about who was asking.
				const error = toTrpcError(getTRPCErrorFromUnknown(cause), () =>
					log.error({ err: cause }, 'A session could not be looked up.')
				);
				metrics.errors.add(1, reasonFor(error));
				throw error;
			});
		const call = plainCall(req);
		if (call) {
			const door = { router: appRouter, bodyMax: BODY_MAX, createContext };
			return answerPlainCall(req, res, call, door);
		}
		await nodeHTTPRequestHandler({
			router: appRouter,
			req,
			res,
			path: path.slice('/trpc/'.length),
			maxBodySize: BODY_MAX,
			createContext
		});
	}

	/** Whether requests may be sent here: it can ask the database, and hears of what others change. */
	async #ready(res: ServerResponse): Promise<void> {
		const { realtime, env, log } = this.services;
		const missing = [
			...((await this.#canAsk()) ? [] : ['database']),
			...(realtime.isListening ? [] : ['listener'])
		];
		const isReady = missing.length === 0;
		if (isReady !== this.#isReady) {
			if (isReady) log.info('Ready.');
			else log.warn({ missing }, 'Not ready.');
		}
		this.#isReady = isReady;
		answer(res, isReady ? 200 : 503, isReady ? 'ready' : `no ${missing.join(', no ')}`, env);
	}

	async #canAsk(): Promise<boolean> {
		const asked = this.services.db.sql`select 1`.then(
			() => true,
			() => false
		);
		let impatience: NodeJS.Timeout | undefined;
		const tooLong = new Promise<false>((resolve) => {
			impatience = setTimeout(() => resolve(false), DATABASE_PATIENCE_MS);
		});
		const can = await Promise.race([asked, tooLong]);
		clearTimeout(impatience);
		return can;
	}

	#tellMetrics(req: IncomingMessage, res: ServerResponse): void {
		const { env, metrics } = this.services;
		// For everybody else there is nothing here.
		if (req.method !== 'GET' || !mayReadMetrics(req, env.METRICS_TOKEN)) {
			return answer(res, 404, 'not_found', env);
		}
		answer(res, 200, metrics.text(), env, 'text/plain; version=0.0.4; charset=utf-8');
	}

	async #contextOf({ cookie, person, address, userAgent, setCookie }: Asking): Promise<Context> {
		const { env } = this.services;
		return {
			services: this.services,
			session: await this.#session(cookie, person),
			address,
			userAgent,
			setSessionCookie: (token) => setCookie(sessionCookie(env, token).serialize())
		};
	}

	/**
	 * A page that was left open while somebody else signed in holds that person's cookie now: what it
	 * says for its own person must not be taken for theirs, nor be given what is theirs.
	 */
	async #session(
		cookieHeader: string | undefined,
		person: string | undefined
	): Promise<ViewerSession | null> {
		const token = readSessionToken(this.services.env, cookieHeader);
		const session = token ? await this.#sessions.find(token) : null;
		return person === undefined || person === session?.viewer.id ? session : null;
	}

	async #guard(res: ServerResponse, work: () => Promise<void>): Promise<void> {
		try {
			await work();
		} catch (error) {
			this.services.log.error({ err: error }, 'A request failed.');
			this.services.metrics.errors.add(1, 'unavailable');
			if (!res.headersSent && !res.destroyed) answer(res, 503, 'unavailable', this.services.env);
			else res.destroy();
		}
	}

	async #deleteExpired(): Promise<void> {
		await deleteExpired(this.services).catch((error: unknown) =>
			this.services.log.warn({ err: error }, 'Expired sessions could not be deleted.')
		);
	}
}

/** By a header, or, since an `EventSource` can set none, in the address. */
function claimedPerson({ headers, url }: IncomingMessage): string | undefined {
	const header = headers['x-tertulia-person'];
	if (typeof header === 'string') return header;
	if (!url?.includes('?')) return undefined;
	return new URLSearchParams(url.split('?', 2)[1]).get('person') ?? undefined;
}

export type Caller = ReturnType<typeof createCaller>;

/**
 * Who has all of the last answer may ask again before we have ended it (a file ends one reading after
 * its last byte). The socket belongs to that answer until then, and streams write to it directly.
 */
async function turnOf(res: ServerResponse, socket: Socket): Promise<void> {
	if (res.socket) return;
	await new Promise<void>((resolve) => {
		res.once('socket', () => resolve());
		socket.once('close', () => resolve());
	});
}

function answer(
	res: ServerResponse,
	status: number,
	text: string,
	env: Env,
	type = 'text/plain; charset=utf-8'
): void {
	res.writeHead(status, { ...dataHeaders(env.ORIGIN), 'content-type': type }).end(text);
}

const KEY = Symbol.for('tertulia.app');
const shelf = globalThis as { [KEY]?: App };

/**
 * The app of this process. It is kept where SvelteKit's bundle, the entry in front of it and, in
 * development, every reload of this module find the same one.
 */
export function startApp(): App {
	return (shelf[KEY] ??= new App(readEnv(process.env)));
}

/** In development, after a change of server code: the old one ends its streams, a new one begins. */
export async function restartApp(): Promise<App> {
	const old = shelf[KEY];
	delete shelf[KEY];
	await old?.close();
	return startApp();
}
