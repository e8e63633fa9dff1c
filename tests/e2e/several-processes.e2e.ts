/** Two processes of the built app behind a balancer without stickiness, and one of them dies. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uuidv7 } from 'uuidv7';
import { Random } from '../../scripts/seed/random.ts';
import { openDatabase } from '../../src/lib/server/platform/db.ts';
import { Balancer } from '../setup/balancer.ts';
import { freshDatabase, type FreshDatabase } from '../setup/database.ts';
import { startServer, type RunningServer } from '../setup/server.ts';
import { Client } from '../torture/client.ts';
import { newWorld } from '../torture/device.ts';
import { ORIGIN } from '../torture/house.ts';

const EACH = 40;

let database: FreshDatabase;
let processes: RunningServer[];
let balancer: Balancer;
let door: number;

beforeAll(async () => {
	database = await freshDatabase();
	const start = () =>
		startServer({
			databaseUrl: database.url,
			env: { ORIGIN, SEND_LIMIT_PER_MINUTE: '100000', SEND_BURST: '100000' }
		});
	processes = [await start(), await start()];
	balancer = new Balancer(processes.map(({ url }) => Number(new URL(url).port)));
	door = await balancer.listen();
});
afterAll(async () => {
	balancer.close();
	await Promise.all(processes.map((process) => process.kill()));
	await database.drop();
});

test('two people talk through both, and lose nothing when one is killed', async () => {
	const world = newWorld([door]);
	const [ana, ben] = ['ana', 'ben'].map(
		(name) => new Client(world, name, new Random(name), { cookie: '' })
	);
	if (!ana || !ben) throw new Error('Nobody is here.');
	await ana.signUp();
	await ben.signUp();
	const conversationId = uuidv7();
	await ana.found(conversationId, 'Both', [ben.personId]);
	ana.begin();
	ben.begin();
	const known = (client: Client) => client.replica.conversations.get(conversationId);
	await expect.poll(() => Boolean(known(ana) && known(ben)), { timeout: 20_000 }).toBe(true);

	const waiting = (most: number) =>
		expect.poll(() => ana.waiting + ben.waiting, { timeout: 60_000 }).toBeLessThanOrEqual(most);
	for (let n = 0; n < EACH; n++) {
		ana.write(conversationId);
		ben.write(conversationId);
		if (n === EACH / 3) await processes[0]?.kill();
		// As people write: not all at once, but without waiting for the answer.
		if (n % 10 === 9) await waiting(10);
	}
	await waiting(0);
	expect(Math.min(...balancer.given)).toBeGreaterThan(5);

	const db = openDatabase(database.url, 1);
	const rows = await db.sql<{ id: string; body: string; sender_id: string }[]>`
		select id, body, sender_id from message where kind = 'text' order by seq`;
	await db.close();
	for (const client of [ana, ben]) {
		const own = rows.filter((row) => row.sender_id === client.personId).map(({ id }) => id);
		// Each once, and in the order in which they were written.
		expect(own).toEqual(client.sent.map(({ id }) => id));
		expect(own).toHaveLength(EACH);
		const shown = () =>
			[...(known(client)?.messages.values() ?? [])]
				.toSorted((a, b) => a.seq - b.seq)
				.flatMap((message) => (message.kind === 'text' ? message.id : []));
		await expect.poll(shown, { timeout: 30_000 }).toEqual(rows.map(({ id }) => id));
		expect(client.complaints).toEqual([]);
		client.close();
	}
});
