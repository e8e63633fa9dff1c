import { connect, createServer, type AddressInfo } from 'node:net';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../../tests/setup/database.ts';
import { isOutOfReach, openDatabase, type Database } from './db.ts';

let fresh: FreshDatabase;
let db: Database;

beforeAll(async () => {
	fresh = await freshDatabase();
	db = openDatabase(fresh.url, 2);
});
afterAll(async () => {
	await db.close();
	await fresh.drop();
});

type Dying = (pid: number) => PromiseLike<unknown>;

/** Ends connections as a Postgres that dies does. */
async function end(pids: number[]): Promise<void> {
	const other = openDatabase(fresh.url, 1);
	await other.sql`select pg_terminate_backend(pid) from unnest(${pids}::int[]) pid`;
	await other.close();
}

test('a connection that dies in the middle of a transaction ends the transaction, not us', async () => {
	const refusals: unknown[] = [];
	const transaction = db.sql.begin(async (sql) => {
		const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
		await end([row!.pid]);
		for (let statement = 0; statement < 3; statement++) {
			// The driver writes to a socket that is gone: unpatched, that threw where nobody can catch it.
			await sql`select 1`.catch((error: unknown) => refusals.push(error));
		}
	});
	await expect(transaction).rejects.toThrow();
	await expect.poll(() => refusals.length, { timeout: 10_000 }).toBe(3);
});

test('what waits behind a statement on a connection that dies is refused too', async () => {
	let pid = 0;
	const settled: PromiseSettledResult<unknown>[] = [];
	const transaction = db.sql.begin(async (sql) => {
		const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
		pid = row!.pid;
		const sleeping = sql`select ${1}::int, pg_sleep(60)`;
		settled.push(...(await Promise.allSettled([sleeping, sql`select 2`, sql`select ${3}::int`])));
	});
	transaction.catch(() => undefined);
	await expect
		.poll(
			() => db.sql`
				select 1 from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`
		)
		.toHaveLength(1);
	await end([pid]);
	await expect(transaction).rejects.toThrow();
	await expect.poll(() => settled.map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
});

test('and leaves its place in the pool to others', async () => {
	// More often than there are connections: none of them may be lost.
	for (let time = 0; time < 5; time++) {
		const transaction = db.sql.begin(async (sql) => {
			const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
			await end([row!.pid]);
			// A statement that this connection has not seen yet: the driver waits for its description.
			await sql`select ${time}::int + ${time}`.catch(() => undefined);
			await sql`select ${time}::int * ${time}`.catch(() => undefined);
		});
		await expect(transaction).rejects.toThrow();
	}
	const [row] = await db.sql<{ fine: number }[]>`select 1 as fine`;
	expect(row?.fine).toBe(1);
});

test.each([
	[
		'by postgres.js',
		(pool: Database, dying: Dying) =>
			pool.sql.begin(async (tx) => {
				const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
				await dying(row!.pid);
				await tx`select 1`;
			})
	],
	[
		'by Drizzle',
		(pool: Database, dying: Dying) =>
			pool.orm.transaction(async (tx) => {
				const [row] = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
				await dying(row!.pid);
				await tx.execute(sql`select 1`);
			})
	]
])('of what a dead connection was asked nothing is left to the next, %s', async (_, transact) => {
	const [pool, other] = [openDatabase(fresh.url, 2), openDatabase(fresh.url, 1)];
	const dying = (pid: number) => other.sql`select pg_terminate_backend(${pid})`;
	// Unpatched, an error of the dead was the next one's, the next one's answer that of the dead, and
	// after a few the pool had no connection any more: whoever asked waited for ever.
	for (let time = 0; time < 40; time++) {
		const wrong = await transact(pool, dying).then(
			() => 'nothing',
			(error: unknown) => (isOutOfReach(error) ? 'out of reach' : error)
		);
		expect(wrong).toBe('out of reach');
		const [row] = await pool.sql<{ n: number }[]>`select ${time}::int as n`;
		expect(row).toEqual({ n: time });
	}
	await Promise.all([pool.close(), other.close()]);
});

test('a connection that dies while the driver asks for types of its own ends nothing else', async () => {
	let toCut = 2;
	const door = createServer((socket) => {
		const { hostname, port } = new URL(fresh.url);
		const server = connect(Number(port), hostname);
		const end = () => {
			socket.resetAndDestroy();
			server.destroy();
		};
		socket.on('error', end);
		server.on('error', end);
		server.pipe(socket);
		socket.on('data', (data) => {
			if (data.includes('typcategory') && toCut-- > 0) end();
			else server.write(data);
		});
	});
	await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
	const url = new URL(fresh.url);
	url.host = `127.0.0.1:${(door.address() as AddressInfo).port}`;
	const away = openDatabase(url.href, 1);
	await expect(away.sql`select 1 as fine`).rejects.toThrow();
	await expect(away.sql`select 1 as fine`).rejects.toThrow();
	await expect(away.sql`select ${[1, 2]}::int[] as fine`).resolves.toEqual([{ fine: [1, 2] }]);
	await away.close();
	door.close();
});

test('all connections of a pool can die, and the pool goes on', async () => {
	const pids = await Promise.all(
		[1, 2].map(async () => {
			const [row] = await db.sql<{ pid: number }[]>`
				select pg_backend_pid() as pid, pg_sleep(0.02)`;
			return row!.pid;
		})
	);
	// Statements are on their way while the connections die; none of them waits for ever.
	const asked = Array.from({ length: 20 }, () => db.sql`select 1`);
	await end(pids);
	await Promise.allSettled(asked);
	const answers = () =>
		db.sql`select 1`.then(
			() => true,
			() => false
		);
	await expect.poll(answers).toBe(true);
});

test.each([
	['an error', 'select 6 / (3 - n) as n from generate_series(1, 5) n'],
	[
		'the end of the connection',
		'select case when n = 3 then pg_terminate_backend(pg_backend_pid())::int else n end as n from generate_series(1, 5) n'
	]
])('rows before %s are not counted into the next result', async (_, statement) => {
	const one = openDatabase(fresh.url, 1);
	await expect(one.sql.unsafe(statement)).rejects.toThrow();
	// Whoever asks before the driver has seen the end is refused.
	let rows: unknown[] | undefined;
	while (!rows) rows = await one.sql`select 1 as fine`.catch(() => undefined);
	// Unpatched, the first places were empty: the row looked as if it were not there.
	expect([...rows]).toEqual([{ fine: 1 }]);
	await one.close();
});

describe('a database that is out of reach', () => {
	const whatIsWrong = (asked: PromiseLike<unknown>) =>
		asked.then(
			() => 'nothing',
			(error: unknown) => (isOutOfReach(error) ? 'out of reach' : 'something else')
		);

	test('is known when it goes in the middle of a statement', async () => {
		const one = openDatabase(fresh.url, 1);
		const [row] = await one.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
		const wrong = whatIsWrong(one.orm.execute(sql`select pg_sleep(60)`));
		await end([row!.pid]);
		expect(await wrong).toBe('out of reach');
		await one.close();
	});

	test.each([
		['at an address', 'postgres://somebody@127.0.0.1:1/nothing'],
		['at a name of several addresses', 'postgres://somebody@localhost:1/nothing'],
		['by a name', 'postgres://somebody@nowhere.invalid/nothing'],
		['at a socket', 'postgres://somebody@localhost/nothing?host=/nowhere']
	])('is known where nobody is %s, and when we have said goodbye', async (_, url) => {
		const nobody = openDatabase(url, 1);
		expect(await whatIsWrong(nobody.sql`select 1`)).toBe('out of reach');
		expect(await whatIsWrong(nobody.orm.execute(sql`select 1`))).toBe('out of reach');
		await nobody.close();
		expect(await whatIsWrong(nobody.sql`select 1`)).toBe('out of reach');
	});

	test.each(['08006', '53300', '57P01', '57P02', '57P03'])('is %s', async (code) => {
		const raised = sql.raw(`do $$ begin raise sqlstate '${code}'; end $$`);
		expect(await whatIsWrong(db.orm.execute(raised))).toBe('out of reach');
	});

	test.each(['22012', '23505', '40P01', '42P01', '53100', '57014', 'XX000'])(
		'is not %s',
		async (code) => {
			const raised = sql.raw(`do $$ begin raise sqlstate '${code}'; end $$`);
			expect(await whatIsWrong(db.orm.execute(raised))).toBe('something else');
		}
	);

	test('is not what is wrong with us', async () => {
		const mistake = new TypeError('Cannot read properties of undefined');
		expect(await whatIsWrong(Promise.reject(mistake))).toBe('something else');
	});
});
