/**
 * `pnpm dev [--fresh] [--port N]`: a Postgres of our own, migrations, demonstration people where
 * there is nobody yet, and the app with hot reload. Ctrl-C stops all of it.
 */
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { createServer, type ViteDevServer } from 'vite';
import { DEVELOPMENT_PASSWORD } from '../src/env.ts';
import type { App } from '../src/lib/server/app.ts';
import { migrate } from '../src/lib/server/platform/migrate.ts';
import { freePortFrom } from './lib/ports.ts';
import { startPostgres, type Postgres } from './lib/postgres.ts';
import { Problem, runScript } from './lib/problem.ts';
import { seed } from './seed.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const DATABASE = 'tertulia';
const APP_PORT = 3000;
const POSTGRES_PORT = 54_320;
/** For what does not close by itself. */
const CLOSE_MS = 3000;

await runScript(async () => {
	const { fresh, port: wanted } = readArguments();
	const port = await freePortFrom(wanted);
	const database = await startPostgres({
		folder: path.join(ROOT, '.data/postgres'),
		password: DEVELOPMENT_PASSWORD,
		port: POSTGRES_PORT,
		owner: `pnpm dev (http://localhost:${port})`,
		fresh
	});
	try {
		const databaseUrl = await prepare(database);
		const vite = await startVite(databaseUrl, port);
		if (port !== wanted) console.log(`\nPort ${wanted} is taken by another program.`);
		greet(port, database);
		await untilStopped(vite, database);
	} finally {
		await database.stop();
	}
	// Whatever Vite and the app still hold open.
	process.exit();
});

function readArguments(): { fresh: boolean; port: number } {
	try {
		const { values } = parseArgs({
			options: { fresh: { type: 'boolean', default: false }, port: { type: 'string' } }
		});
		const port = Number(values.port ?? process.env.PORT ?? APP_PORT);
		if (!Number.isInteger(port) || port < 1 || port > 65_535) {
			throw new Problem(`--port wants a number from 1 to 65535, not “${values.port}”.`);
		}
		return { fresh: values.fresh, port };
	} catch (error) {
		if (error instanceof Problem) throw error;
		throw new Problem(`${(error as Error).message} It is: pnpm dev [--fresh] [--port N]`);
	}
}

/** The database exists, has all migrations, and somebody in it. */
async function prepare(cluster: Postgres): Promise<string> {
	const databaseUrl = cluster.url(DATABASE);
	try {
		await createDatabase(cluster.url('postgres'));
		await migrate(databaseUrl);
	} catch (error) {
		throw troubleWith(cluster.folder, error as Error);
	}
	if (await isDeserted(databaseUrl)) {
		console.log('Making demonstration people and their conversations …');
		await seed(databaseUrl, {});
	}
	return databaseUrl;
}

async function createDatabase(adminUrl: string): Promise<void> {
	const sql = postgres(adminUrl, { max: 1 });
	try {
		const found = await sql`select from pg_database where datname = ${DATABASE}`;
		if (found.length === 0) await sql`create database ${sql(DATABASE)}`;
	} finally {
		await sql.end();
	}
}

async function isDeserted(databaseUrl: string): Promise<boolean> {
	const sql = postgres(databaseUrl, { max: 1 });
	try {
		return (await sql`select from person limit 1`).length === 0;
	} finally {
		await sql.end();
	}
}

function troubleWith(folder: string, error: Error): Problem {
	const cause = error.cause instanceof Error ? error.cause : error;
	if ('code' in cause && cause.code === '53100') {
		return new Problem(`The disk that holds ${folder} is full: make room, then start again.`);
	}
	return new Problem(
		`The migrations do not fit the data in ${folder} (${cause.message}). If it is of no value, “pnpm dev --fresh” starts empty.`
	);
}

/** In this process, so that there is nothing of Vite's to be left behind. */
async function startVite(databaseUrl: string, port: number): Promise<ViteDevServer> {
	Object.assign(process.env, {
		NODE_ENV: 'development',
		DATABASE_URL: databaseUrl,
		DEMO: '1',
		PORT: String(port),
		LOG_LEVEL: process.env.LOG_LEVEL ?? 'warn'
	});
	const vite = await createServer({
		root: ROOT,
		clearScreen: false,
		logLevel: 'warn',
		server: { host: process.env.HOST ?? '127.0.0.1', port, strictPort: true }
	});
	await vite.listen();
	return vite;
}

function greet(port: number, { folder, moved }: Postgres): void {
	const kept = moved
		? `${folder}, since Postgres does not run as root and cannot reach this folder`
		: path.relative(ROOT, folder);
	console.log(`
  Tertulia   http://localhost:${port}

  Get in     choose a demonstration person on the sign-in page
  Two talk   open a second window in private mode and choose another one
  Data       ${kept}
  Stop       Ctrl-C
`);
}

/** Resolves when the app is closed: on a signal, or because Postgres went away. */
async function untilStopped(vite: ViteDevServer, database: Postgres): Promise<void> {
	const reason = await Promise.race([
		database.gone.then(() => 'Postgres'),
		...(['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal))
	]);
	// A second Ctrl-C does not wait; Postgres is stopped all the same, by its keeper.
	process.on('SIGINT', () => process.exit(1));
	await Promise.race([closeApp().then(() => vite.close()), setTimeout(CLOSE_MS)]);
	if (reason === 'Postgres') {
		throw new Problem('Postgres has stopped, so this stops too: run “pnpm dev” again.');
	}
}

/** First the app: its event streams would keep Vite's server open. */
async function closeApp(): Promise<void> {
	const shelf = globalThis as { [key: symbol]: unknown };
	await (shelf[Symbol.for('tertulia.app')] as App | undefined)?.close();
}
