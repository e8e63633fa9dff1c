/** Where benchmarks live: a durable Postgres of their own, and servers as processes of their own. */
import { spawn } from 'node:child_process';
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

/** Runs `work` with a server in a process of its own, so that the load does not share its loop. */
export async function withServer<T>(
	env: Record<string, string>,
	work: (url: string) => Promise<T>
): Promise<T> {
	const child = spawn(process.execPath, [path.resolve(import.meta.dirname, '../server.ts')], {
		stdio: ['ignore', 'pipe', 'inherit'],
		env: { PATH: process.env.PATH, NODE_ENV: 'test', LOG_LEVEL: 'warn', PORT: '0', ...env }
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
