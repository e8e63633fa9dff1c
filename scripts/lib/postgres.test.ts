import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	writeFileSync
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { somePort, startPostgres, type Postgres } from './postgres.ts';

const home = mkdtempSync(path.join(tmpdir(), 'tertulia-postgres-test-'));
// Where these run as root, Postgres runs as another user, who must be able to enter.
chmodSync(home, 0o755);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const options = (folder: string) => ({
	folder: path.join(home, folder),
	password: 'it’s a secret / &',
	port: somePort(),
	owner: 'pnpm example'
});

async function ask(cluster: Postgres, question: string): Promise<unknown> {
	const sql = postgres(cluster.url('postgres'), { max: 1 });
	const [row] = await sql.unsafe(question);
	await sql.end();
	return row && Object.values(row)[0];
}

test('what was written is there after a stop and a start', async () => {
	const first = await startPostgres(options('kept'));
	await ask(first, 'create table kept as select 42 as answer');
	expect(await ask(first, 'show fsync')).toBe('on');
	await first.stop();

	const second = await startPostgres(options('kept'));
	expect(await ask(second, 'select answer from kept')).toBe(42);
	await second.stop();

	const third = await startPostgres({ ...options('kept'), fresh: true });
	expect(await ask(third, `select to_regclass('kept')`)).toBeNull();
	await third.stop();
}, 60_000);

test('a port that is taken is passed over, and the one found is used again', async () => {
	const wanted = options('port');
	const other = createServer().listen(wanted.port, '127.0.0.1');
	await once(other, 'listening');

	const cluster = await startPostgres(wanted);
	const { port } = new URL(cluster.url('postgres'));
	expect(Number(port)).toBeGreaterThan(wanted.port);
	await cluster.stop();
	other.close();
	await once(other, 'close');

	const again = await startPostgres(wanted);
	expect(new URL(again.url('postgres')).port).toBe(port);
	await again.stop();
}, 60_000);

test('a second script on the same folder is told whose it is', async () => {
	const cluster = await startPostgres(options('shared'));
	await expect(startPostgres(options('shared'))).rejects.toThrow(/Another pnpm example is using/);
	await cluster.stop();
}, 60_000);

test('the next start recovers when script and keeper were killed and Postgres was left', async () => {
	const wanted = options('orphan');
	const keeper = await startInAnotherProcess(wanted);
	const left = readFileSync(path.join(wanted.folder, 'postmaster.pid'), 'utf8').split('\n')[0];
	process.kill(keeper.script, 'SIGKILL');
	process.kill(keeper.keeper, 'SIGKILL');

	const cluster = await startPostgres(wanted);
	const now = readFileSync(path.join(wanted.folder, 'postmaster.pid'), 'utf8').split('\n')[0];
	expect(now).not.toBe(left);
	await cluster.stop();
}, 60_000);

async function startInAnotherProcess(wanted: ReturnType<typeof options>) {
	const program = `
		import { startPostgres } from ${JSON.stringify(path.join(import.meta.dirname, 'postgres.ts'))};
		const cluster = await startPostgres(${JSON.stringify(wanted)});
		console.log(cluster.keeper);
	`;
	const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
		stdio: ['ignore', 'pipe', 'inherit']
	});
	onTestFinished(() => void child.kill('SIGKILL'));
	const [keeper] = (await once(child.stdout, 'data')) as [Buffer];
	return { script: child.pid!, keeper: Number(keeper.toString()) };
}

test('data of another version is refused, and left as it is', async () => {
	const wanted = options('old');
	mkdirSync(wanted.folder);
	writeFileSync(path.join(wanted.folder, 'PG_VERSION'), '17\n');
	await expect(startPostgres(wanted)).rejects.toThrow(/written by Postgres 17.*--fresh/);
	expect(readFileSync(path.join(wanted.folder, 'PG_VERSION'), 'utf8')).toBe('17\n');
});

test('a folder of something else is refused', async () => {
	const wanted = options('photos');
	mkdirSync(wanted.folder);
	writeFileSync(path.join(wanted.folder, 'summer.jpg'), '');
	await expect(startPostgres(wanted)).rejects.toThrow(/not a database/);
});

test('one to throw away is gone after the stop', async () => {
	const cluster = await startPostgres({ ...options('throwaway'), throwaway: true });
	expect(existsSync(cluster.folder)).toBe(true);
	await cluster.stop();
	expect(existsSync(cluster.folder)).toBe(false);
}, 60_000);
