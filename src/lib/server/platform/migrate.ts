import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as applyMigrations } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';

/** Any number; the same one in every process, so that two starting at once do not migrate twice. */
const MIGRATION_LOCK = 7_208_011;

/** Brings the database forward to the migrations in `drizzle/`. Safe to call from every process. */
export async function migrate(databaseUrl: string, folder = migrationsFolder()): Promise<void> {
	const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
	try {
		await sql`select pg_advisory_lock(${MIGRATION_LOCK})`;
		await applyMigrations(drizzle(sql), { migrationsFolder: folder });
	} finally {
		// Closing the connection gives the lock back.
		await sql.end({ timeout: 5 });
	}
}

function migrationsFolder(): string {
	return fileURLToPath(new URL('../../../../drizzle', import.meta.url));
}
