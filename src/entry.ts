/**
 * The production server: `pnpm start`, after `pnpm build`. Settings come from the environment alone.
 *
 * It is plain `node:http`. The app's own doors (event stream, procedures, health) are asked first,
 * and all else goes to SvelteKit.
 */
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { directUrl, readEnv, SettingsError, variables, type Env } from '#env';
import { migrate } from './lib/server/platform/migrate.ts';

/** What `src/lib/server/app.ts` leaves on `globalThis` once SvelteKit has started it. */
interface App {
	handle(req: IncomingMessage, res: ServerResponse): boolean;
	/** Says goodbye to every stream; once all is answered, lets go of the database. */
	close(answered: Promise<unknown>): Promise<void>;
}

type SvelteKitHandler = (req: IncomingMessage, res: ServerResponse, next: () => void) => void;

/** Longer than the 60 s for which load balancers commonly keep a connection to us open. */
const KEEP_ALIVE_MS = 65_000;
/** Whole requests, bodies included; none is larger than a few kilobytes. */
const REQUEST_MS = 60_000;
const HEADERS_MS = 20_000;

try {
	await serve();
} catch (error) {
	console.error(isPlain(error) ? error.message : error);
	process.exit(1);
}

async function serve(): Promise<void> {
	process.env.NODE_ENV ??= 'production';
	dropEmptyVariables();
	const env = readEnv(process.env);
	const built = new URL('../build/handler.js', import.meta.url);
	if (!existsSync(built)) throw new SettingsError('There is no build yet: run “pnpm build” first.');

	await migrate(directUrl(env));
	const { app, handler } = await loadApp(built);
	const server = createServer((req, res) => {
		if (app.handle(req, res)) return;
		setOrigin(req, env);
		handler(req, res, () => res.writeHead(404).end());
	});
	server.keepAliveTimeout = KEEP_ALIVE_MS;
	server.requestTimeout = REQUEST_MS;
	server.headersTimeout = HEADERS_MS;

	await listen(server, env);
	const { address, port } = server.address() as AddressInfo;
	console.log(`Tertulia listens on ${address}:${port}, for ${env.ORIGIN ?? 'any origin'}.`);
	stopOnSignal(server, app, env);
}

/** `REDIS_URL=` in an env file means not set; SvelteKit, which reads the same variables, disagrees. */
function dropEmptyVariables(): void {
	for (const name of Object.keys(variables)) {
		if (process.env[name] === '') delete process.env[name];
	}
}

async function loadApp(built: URL): Promise<{ app: App; handler: SvelteKitHandler }> {
	// adapter-node takes the address of a page from these; `setOrigin` writes them for each request.
	process.env.PROTOCOL_HEADER = 'x-tertulia-protocol';
	process.env.HOST_HEADER = 'x-tertulia-host';
	const { handler } = (await import(built.href)) as { handler: SvelteKitHandler };
	const app = (globalThis as { [key: symbol]: unknown })[Symbol.for('tertulia.app')] as
		App | undefined;
	if (!app) throw new Error('The build did not start the app: see init in src/hooks.server.ts.');
	return { app, handler };
}

/** The address is the one that was set, whatever a visitor says in `Host`. */
function setOrigin(req: IncomingMessage, env: Env): void {
	const { protocol, host } = new URL(env.ORIGIN ?? `http://${req.headers.host ?? 'localhost'}`);
	req.headers['x-tertulia-protocol'] = protocol.slice(0, -1);
	req.headers['x-tertulia-host'] = host;
}

async function listen(server: Server, env: Env): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(env.PORT, env.HOST, resolve);
	});
}

/**
 * No new connections, goodbye to the streams (their clients spread their return over the other
 * processes), and time for what is under way. A second signal does not wait.
 */
function stopOnSignal(server: Server, app: App, env: Env): void {
	let stopping = false;
	const stop = async () => {
		if (stopping) process.exit(1);
		stopping = true;
		const deadline = setTimeout(() => process.exit(0), env.SHUTDOWN_SECONDS * 1000);
		const answered = new Promise((resolve) => server.close(resolve));
		// A connection kept alive turns idle only when its answer is out.
		const sweep = setInterval(() => server.closeIdleConnections(), 100);
		await Promise.allSettled([app.close(answered), answered]);
		clearInterval(sweep);
		clearTimeout(deadline);
		process.exit(0);
	};
	process.on('SIGTERM', () => void stop());
	process.on('SIGINT', () => void stop());
}

/** Told in a sentence; everything else is a fault of ours and keeps its stack. */
function isPlain(error: unknown): error is Error {
	if (!(error instanceof Error)) return false;
	const code = 'code' in error ? error.code : undefined;
	if (code === 'EADDRINUSE' || code === 'EACCES') {
		error.message = `Nobody can listen on PORT ${process.env.PORT ?? 3000} (${code}): set another.`;
		return true;
	}
	if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === '28P01' || code === '3D000') {
		const name = process.env.DATABASE_DIRECT_URL ? 'DATABASE_DIRECT_URL' : 'DATABASE_URL';
		error.message = `${name}: the database does not let us in (${error.message}).`;
		return true;
	}
	return error instanceof SettingsError;
}
