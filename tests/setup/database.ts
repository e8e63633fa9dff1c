import { randomBytes } from 'node:crypto';
import postgres from 'postgres';

export const CLUSTER_VARIABLE = 'TERTULIA_TEST_CLUSTER';
export const TEMPLATE = 'tertulia_template';

export interface FreshDatabase {
	url: string;
	drop(): Promise<void>;
}

/** A migrated, empty database of its own, in a few tens of milliseconds: one per test file. */
export async function freshDatabase(): Promise<FreshDatabase> {
	const cluster = process.env[CLUSTER_VARIABLE];
	if (!cluster) throw new Error('freshDatabase works inside the test runner alone.');
	const name = `test_${randomBytes(6).toString('hex')}`;
	// A copy of the files; the other strategy writes every page to the log.
	await asAdmin(cluster, `create database ${name} template ${TEMPLATE} strategy file_copy`);
	const url = new URL(cluster);
	url.pathname = name;
	return {
		url: url.href,
		// Whatever a test left connected goes with it.
		drop: () => asAdmin(cluster, `drop database ${name} with (force)`)
	};
}

async function asAdmin(cluster: string, statement: string): Promise<void> {
	const sql = postgres(cluster, { max: 1, onnotice: () => undefined });
	try {
		await sql.unsafe(statement);
	} finally {
		await sql.end();
	}
}
