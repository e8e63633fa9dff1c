import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { DEVELOPMENT_PASSWORD } from '../../src/env.ts';
import { Problem } from './problem.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** The database that a script works on: DATABASE_URL, or that of the running `pnpm dev`. */
export async function databaseAtHand(): Promise<string> {
	return process.env.DATABASE_URL || developmentDatabase();
}

async function developmentDatabase(): Promise<string> {
	for (const folder of possibleFolders()) {
		const portFile = path.join(folder, 'tertulia.port');
		if (!existsSync(portFile)) continue;
		const port = readFileSync(portFile, 'utf8').trim();
		const url = `postgres://tertulia:${DEVELOPMENT_PASSWORD}@127.0.0.1:${port}/tertulia`;
		// The file outlives its Postgres, and the port may be another program's by now.
		if (await holds(url, folder)) return url;
	}
	throw new Problem(
		'There is no database at hand: start “pnpm dev” in another terminal, or set DATABASE_URL.'
	);
}

/** Where the running `pnpm dev` answers: it says so by the name of its connection. */
export async function developmentAddress(): Promise<string> {
	const sql = postgres(await developmentDatabase(), { max: 1, onnotice: () => undefined });
	try {
		const [row] = await sql<{ address: string | null }[]>`
			select substring(application_name from 'http://[^)]+') as address
			from pg_stat_activity where application_name like 'pnpm dev%' limit 1`;
		if (row?.address) return row.address;
		throw new Problem('“pnpm dev” does not say where it is: give its address with --url.');
	} finally {
		await sql.end({ timeout: 1 });
	}
}

/** Where `startPostgres` (postgres.ts) puts the data of `pnpm dev`. */
function possibleFolders(): string[] {
	const wanted = path.join(ROOT, '.data/postgres');
	const name = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
	return [wanted, `/var/tmp/tertulia-${name}/postgres`];
}

async function holds(url: string, folder: string): Promise<boolean> {
	const sql = postgres(url, { max: 1, connect_timeout: 3, onnotice: () => undefined });
	try {
		const [row] = await sql<{ folder: string }[]>`
			select current_setting('data_directory') as folder`;
		return row?.folder === folder;
	} catch {
		return false;
	} finally {
		await sql.end({ timeout: 1 });
	}
}
