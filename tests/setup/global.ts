/**
 * Once per test run: a Postgres that keeps nothing, and in it a template database with all
 * migrations, which `freshDatabase` copies. The password is random, since the production server of
 * the end-to-end tests refuses well-known ones.
 */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { somePort, startPostgres } from '../../scripts/lib/postgres.ts';
import { migrate } from '../../src/lib/server/platform/migrate.ts';
import { CLUSTER_VARIABLE, TEMPLATE } from './database.ts';

export default async function setUp(): Promise<() => Promise<void>> {
	const cluster = await startPostgres({
		folder: path.join(tmpdir(), `tertulia-test-${randomBytes(6).toString('hex')}`),
		password: randomBytes(12).toString('hex'),
		port: somePort(),
		owner: 'test run',
		throwaway: true
	});
	const admin = postgres(cluster.url('postgres'), { max: 1 });
	await admin`create database ${admin(TEMPLATE)}`;
	await admin.end();
	await migrate(cluster.url(TEMPLATE));

	// The workers inherit it.
	process.env[CLUSTER_VARIABLE] = cluster.url('postgres');
	return () => cluster.stop();
}
