/** The demonstration company, on a day that is always the same. */
import type { BrowserContextOptions } from 'playwright';
import { seed } from '../../scripts/seed.ts';
import type { Screen } from './people.ts';
import type { Stage } from './stage.ts';

/** A Thursday in Madrid: when the last of them wrote, and shortly after, when one looks at it. */
const TOLD = Date.UTC(2026, 4, 14, 10, 42);
const NOW = TOLD + 10 * 60_000;
const PASSWORD = 'tertulia-demo';

export async function seedCompany(stage: Stage): Promise<void> {
	await seed(stage.databaseUrl, { now: TOLD });
}

/** One of the company, on that day, before the list of conversations. */
export async function colleague(
	stage: Stage,
	name: string,
	username: string,
	options?: BrowserContextOptions
): Promise<Screen> {
	const account = { name, username, email: `${username}@example.test`, password: PASSWORD };
	const screen = await stage.signedIn(account, options);
	// Only what the clock shows; time itself goes on.
	await screen.page.clock.setFixedTime(NOW);
	await screen.goto('/chats');
	return screen;
}
