/** Where benchmarks live: a durable Postgres of their own, and servers as processes of their own. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { Problem } from '../../scripts/lib/problem.ts';
import { somePort, startPostgres } from '../../scripts/lib/postgres.ts';
import { migrate } from '../../src/lib/server/platform/migrate.ts';

/** Runs `work` on a migrated, empty database, which is then deleted. */
export async function withDatabase<T>(work: (databaseUrl: string) => Promise<T>): Promise<T> {
	const password = randomBytes(12).toString('hex');
	const folder = path.join(tmpdir(), `tertulia-bench-${password.slice(0, 8)}`);
	// Not `throwaway`: that one does not wait for the disk, and what is measured has to.
	const cluster = await startPostgres({ folder, password, port: somePort(), owner: 'pnpm bench' });
	try {
		const admin = postgres(cluster.url('postgres'), { max: 1 });
		await admin`create database tertulia`;
		await admin.end();
		const url = cluster.url('tertulia');
		await migrate(url);
		return await work(url);
	} finally {
		await cluster.stop();
		rmSync(cluster.folder, { recursive: true, force: true });
	}
}

/** Runs `work` with a server (this app's, or a peer's) in a process of its own. */
export async function withServer<T>(
	env: Record<string, string>,
	work: (url: string) => Promise<T>,
	program = 'server.ts'
): Promise<T> {
	const child = spawn(process.execPath, [path.resolve(import.meta.dirname, '..', program)], {
		stdio: ['ignore', 'pipe', 'inherit'],
		env: {
			PATH: process.env.PATH,
			NODE_ENV: 'test',
			LOG_LEVEL: 'warn',
			PORT: '0',
			SEND_LIMIT_PER_MINUTE: '100000000',
			SEND_BURST: '100000000',
			...env
		}
	});
	const gone = once(child, 'exit');
	try {
		const started = Promise.race([
			once(child.stdout.setEncoding('utf8'), 'data').then(([text]) => String(text).trim()),
			gone.then(() => {
				throw new Problem('The server of the benchmark did not start.');
			})
		]);
		return await work(await started);
	} finally {
		child.kill('SIGTERM');
		await gone;
	}
}

/** A real Redis, for those who meet there; undefined where there is none on the PATH. */
export async function withRedis<T>(work: (url: string | undefined) => Promise<T>): Promise<T> {
	if (spawnSync('redis-server', ['--version']).status !== 0) return work(undefined);
	const port = somePort();
	const child = spawn(
		'redis-server',
		['--port', String(port), '--save', '', '--bind', '127.0.0.1'],
		{
			stdio: ['ignore', 'pipe', 'inherit']
		}
	);
	const gone = once(child, 'exit');
	try {
		for await (const text of child.stdout
			.setEncoding('utf8')
			.iterator({ destroyOnReturn: false })) {
			if (String(text).includes('Ready to accept connections')) break;
		}
		child.stdout.resume();
		return await work(`redis://127.0.0.1:${port}`);
	} finally {
		child.kill('SIGTERM');
		await gone;
	}
}
