import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { anyFreePort } from '../../scripts/lib/ports.ts';

export interface RunningServer {
	url: string;
	pid: number;
	/** Resolves with its exit code when it has ended, whoever ended it. */
	gone: Promise<number | null>;
	/** What it printed so far. */
	log(): string;
	/** Asks it to stop, and waits until it has; the answer is its exit code. */
	stop(): Promise<number | null>;
	/** As a crash would. */
	kill(): Promise<void>;
}

interface ServerOptions {
	databaseUrl: string;
	env?: Record<string, string>;
	/** Where a test starts a second server in place of the first. */
	port?: number;
}

const ROOT = path.resolve(import.meta.dirname, '../..');
const PATIENCE_MS = 30_000;

/** The built app, as in production, on a port of its own; resolves when it is ready. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
	const port = options.port ?? (await anyFreePort());
	const url = `http://localhost:${port}`;
	const child = spawn(process.execPath, ['src/entry.ts'], {
		cwd: ROOT,
		stdio: ['ignore', 'pipe', 'pipe'],
		env: {
			PATH: process.env.PATH,
			HOME: process.env.HOME,
			NODE_ENV: 'production',
			ORIGIN: url,
			PORT: String(port),
			DATABASE_URL: options.databaseUrl,
			LOG_LEVEL: 'warn',
			...options.env
		}
	});
	let log = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => (log += text));
	}
	const gone = once(child, 'exit').then(() => child.exitCode);

	try {
		await ready(url, child);
	} catch (error) {
		child.kill('SIGKILL');
		throw new Error(`${(error as Error).message}\n${log}`, { cause: error });
	}
	return {
		url,
		pid: child.pid ?? 0,
		gone,
		log: () => log,
		stop() {
			if (child.exitCode === null) child.kill('SIGTERM');
			return gone;
		},
		async kill() {
			child.kill('SIGKILL');
			await gone;
		}
	};
}

async function ready(url: string, child: ChildProcess): Promise<void> {
	const deadline = Date.now() + PATIENCE_MS;
	for (;;) {
		if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}:`);
		if (Date.now() > deadline) throw new Error(`The server is not ready after 30 s:`);
		// Refused until it listens.
		const answer = await fetch(`${url}/readyz`).catch(() => undefined);
		if (answer?.ok) return;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}
