/** `pnpm migrate`: brings the database at DATABASE_URL forward. `pnpm start` does so by itself. */
import { directUrl, readEnv } from '../src/env.ts';
import { migrate } from '../src/lib/server/platform/migrate.ts';
import { runScript } from './lib/problem.ts';

await runScript(async () => {
	await migrate(directUrl(readEnv(process.env)));
	console.log('The database is up to date.');
});
