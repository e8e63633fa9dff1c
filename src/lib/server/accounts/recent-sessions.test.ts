import { afterAll, beforeAll, expect, test } from 'vitest';
import { overheard, somebody, testApp, type TestApp } from '../testing.ts';
import { RecentSessions } from './recent-sessions.ts';
import { createSession, sessionName } from './sessions.ts';

let app: TestApp;
beforeAll(async () => {
	app = await testApp();
});
afterAll(() => app.close());

const visitor = { userAgent: 'Browser/1.0', address: '192.0.2.1' };

/** What one process remembers of a session that was found at the moment 0. */
async function remembered() {
	const { services } = app;
	const { id: personId } = await somebody(services);
	const token = await createSession(services, personId, visitor);
	let now = 0;
	let lookUps = 0;
	let isAway = false;
	const sql = overheard(services.db.sql, (statement) => {
		if (!statement.includes('from session')) return;
		lookUps++;
		if (isAway) throw new Error('away');
	});
	const sessions = new RecentSessions({ ...services, db: { ...services.db, sql } }, () => now);
	const findAt = (moment: number) => {
		now = moment;
		return sessions.find(token);
	};
	expect(await findAt(0)).toMatchObject({ viewer: { id: personId } });
	return {
		findAt,
		lookUps: () => lookUps,
		setAway: (away: boolean) => (isAway = away),
		/** No notification tells of it. */
		end: () => services.db.sql`delete from session where id = ${sessionName(token)}`
	};
}

test('a session is asked about again before it is not believed any more', async () => {
	const { findAt, lookUps } = await remembered();
	await findAt(2999);
	expect(lookUps()).toBe(1);
	await Promise.all([findAt(5999), findAt(5999)]);
	await expect.poll(lookUps).toBe(2);
});

test('an end that was not heard of is believed for six seconds at the most', async () => {
	const asked = await remembered();
	await asked.end();
	expect(await asked.findAt(2999)).not.toBeNull();
	// Whoever asks now brings it to light for those who come after.
	expect(await asked.findAt(3000)).not.toBeNull();
	await expect.poll(() => asked.findAt(3000)).toBeNull();

	const silent = await remembered();
	await silent.end();
	expect(await silent.findAt(6000)).toBeNull();
});

test('when it cannot be asked about, nobody is told before it is not believed any more', async () => {
	const { findAt, setAway } = await remembered();
	setAway(true);
	expect(await findAt(3000)).not.toBeNull();
	expect(await findAt(5999)).not.toBeNull();
	await expect(findAt(6000)).rejects.toThrow('away');
	setAway(false);
	expect(await findAt(6000)).not.toBeNull();
});
