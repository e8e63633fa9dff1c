import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { freshDatabase } from '../../../../tests/setup/database.ts';
import { openDatabase, type Database } from './db.ts';
import { gathered } from './gathering.ts';

let db: Database;
let drop: () => Promise<void>;

beforeAll(async () => {
	const { url, drop: dropIt } = await freshDatabase();
	drop = dropIt;
	db = openDatabase(url, 3);
});
afterAll(async () => {
	await db.close();
	await drop();
});

/** Halves of numbers, by the database, which cannot divide by nothing. */
function halves(most = 100) {
	const statements: number[][] = [];
	const ask = gathered<number, number>(
		async (sql, numbers) => {
			statements.push(numbers);
			const [row] = await sql<{ halves: number[] }[]>`
				select json_agg(n * n / 2 / n order by place) as halves
				from unnest(${numbers}::int[]) with ordinality as k(n, place)`;
			return row?.halves ?? [];
		},
		{ most }
	);
	return { ask: (numbers: number[]) => ask(db.sql, numbers), statements };
}

test('who asks in the same turn is answered by one statement, each in their own order', async () => {
	const { ask, statements } = halves();
	expect(await Promise.all([ask([8, 2]), ask([]), ask([6]), ask([2, 8])])).toEqual([
		[4, 1],
		[],
		[3],
		[1, 4]
	]);
	expect(statements).toEqual([[8, 2, 6, 2, 8]]);
});

test('who comes while a statement is under way is answered by the next, never by that one', async () => {
	const begun: (() => void)[] = [];
	const asked: string[][] = [];
	const ask = gathered<string, string>(
		async (_, names) => {
			asked.push(names);
			await new Promise<void>((resolve) => begun.push(resolve));
			return names.map((name) => `${name} at ${asked.length}`);
		},
		{ most: 100 }
	);
	const first = ask(db.sql, ['a']);
	await expect.poll(() => begun.length).toBe(1);
	const [second, third] = [ask(db.sql, ['a']), ask(db.sql, ['b'])];
	begun[0]?.();
	expect(await first).toEqual(['a at 1']);
	await expect.poll(() => begun.length).toBe(2);
	begun[1]?.();
	expect(await Promise.all([second, third])).toEqual([['a at 2'], ['b at 2']]);
	expect(asked).toEqual([['a'], ['a', 'b']]);
});

test('there is one statement under way at a time', async () => {
	// The patience with it never ends.
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
	onTestFinished(() => void vi.useRealTimers());
	const answers: PromiseWithResolvers<number[]>[] = [];
	const ask = gathered<number, number>(
		() => {
			const answer = Promise.withResolvers<number[]>();
			answers.push(answer);
			return answer.promise;
		},
		{ most: 100 }
	);
	const first = ask(db.sql, [1]);
	while (answers.length === 0) await new Promise(setImmediate);
	const second = ask(db.sql, [2]);
	// As many turns as a statement that may begin needs, and some more.
	for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
	expect(answers).toHaveLength(1);
	answers[0]!.resolve([1]);
	expect(await first).toEqual([1]);
	while (answers.length === 1) await new Promise(setImmediate);
	answers[1]!.resolve([2]);
	expect(await second).toEqual([2]);
});

test('one that never ends does not hold up the next for ever', async () => {
	let count = 0;
	const ask = gathered<number, number>(
		(_, numbers) => (count++ === 0 ? new Promise(() => {}) : Promise.resolve(numbers)),
		{ most: 100 }
	);
	void ask(db.sql, [1]);
	await expect.poll(() => count).toBe(1);
	expect(await ask(db.sql, [2])).toEqual([2]);
});

test('what one question has wrong fails that one alone', async () => {
	const { ask, statements } = halves();
	const [one, wrong, other] = await Promise.allSettled([ask([2]), ask([4, 0]), ask([6])]);
	expect(one).toEqual({ status: 'fulfilled', value: [1] });
	expect(wrong).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
	expect(other).toEqual({ status: 'fulfilled', value: [3] });
	expect(statements).toHaveLength(4);
});

test('no statement asks more than the most, unless one question does', async () => {
	const { ask, statements } = halves(3);
	await Promise.all([ask([1, 2]), ask([3, 4]), ask([5]), ask([6, 7, 8, 9]), ask([10])]);
	expect(statements).toEqual([[1, 2], [3, 4, 5], [6, 7, 8, 9], [10]]);
});

test('who asks another database is not answered from this one', async () => {
	const { url, drop: dropOther } = await freshDatabase();
	const other = openDatabase(url, 1);
	const name = gathered<number, string>(
		async (sql, asked) => {
			const [row] = await sql<{ name: string }[]>`select current_database() as name`;
			return asked.map(() => row?.name ?? '');
		},
		{ most: 10 }
	);
	const [[here], [there]] = await Promise.all([name(db.sql, [1]), name(other.sql, [1])]);
	expect(here).not.toBe(there);
	await other.close();
	await dropOther();
});
