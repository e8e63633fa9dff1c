/** Behind a real PgBouncer that gives a connection away after every transaction. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { anyFreePort } from '../../../../scripts/lib/ports.ts';
import { freshDatabase, type FreshDatabase } from '../../../../tests/setup/database.ts';
import { openLog } from '../platform/log.ts';
import { openStream, somebody, testApp, type TestApp, type TestPerson } from '../testing.ts';

const poolerHere = spawnSync('pgbouncer', ['--version']).status === 0;

describe.skipIf(!poolerHere)('behind PgBouncer (skipped where there is none)', () => {
	let database: FreshDatabase;
	let pooler: Awaited<ReturnType<typeof startPooler>>;
	const apps: TestApp[] = [];

	beforeAll(async () => {
		database = await freshDatabase();
		pooler = await startPooler(database.url);
	});
	afterAll(async () => {
		for (const app of apps) await app.close();
		await pooler.stop();
		await database.drop();
	});

	/** Nothing is found by comparing with the tables: what is not heard never comes. */
	async function start(settings: { DATABASE_DIRECT_URL?: string } = {}) {
		const log = openLog('silent');
		const errors: string[] = [];
		log.error = (...told: unknown[]) => void errors.push(String(told.at(-1)));
		const hub = { sweepMs: 3_600_000 };
		const app = await testApp(settings, { url: pooler.url, log, hub });
		apps.push(app);
		return { ...app, errors };
	}

	async function twoPeople({ services }: TestApp): Promise<[TestPerson, TestPerson, string]> {
		const [ana, ben] = [await somebody(services), await somebody(services)];
		const { snapshot } = await ana.call.conversations.startDirect({ personId: ben.id });
		return [ana, ben, snapshot.conversation.id];
	}

	test('one process hears at once what another writes, and nothing is kept between transactions', async () => {
		const direct = { DATABASE_DIRECT_URL: database.url };
		const [one, other] = [await start(direct), await start(direct)];
		const [ana, ben, conversationId] = await twoPeople(one);
		const stream = await openStream(other.services, ben);

		const bodies = Array.from({ length: 40 }, (_, i) => `message ${i}`);
		await Promise.all(
			bodies.map((body) => ana.call.messages.send({ id: uuidv7(), conversationId, body }))
		);
		await expect.poll(() => stream.bodies.length).toBe(bodies.length);
		expect(stream.bodies.toSorted()).toEqual(bodies.toSorted());

		await ben.call.conversations.markRead({ conversationId, seq: 40 });
		await ana.call.conversations.createGroup({ id: uuidv7(), name: 'Three', personIds: [ben.id] });
		await stream.hears('person.advanced');
		const { messages } = await ben.call.messages.page({ conversationId });
		expect(messages).toHaveLength(40);
		const { snapshots } = await ana.call.sync.since({ conversations: {} });
		expect(snapshots).toHaveLength(2);
	});

	test('who listens by way of the pooler is told what to set, and nobody else', async () => {
		const direct = await start({ DATABASE_DIRECT_URL: database.url });
		const deaf = await start();
		// What it rings on the connection that listens comes back there, and says nothing.
		const [ana, , conversationId] = await twoPeople(deaf);
		await ana.call.messages.send({ id: uuidv7(), conversationId, body: 'Is anybody there?' });
		await expect
			.poll(() => deaf.errors, { timeout: 10_000, interval: 100 })
			.toEqual([expect.stringContaining('DATABASE_DIRECT_URL')]);
		expect(direct.errors).toEqual([]);
	}, 20_000);
});

/** Two connections to Postgres for all: whoever keeps one between transactions would be noticed. */
async function startPooler(databaseUrl: string) {
	const to = new URL(databaseUrl);
	const port = await anyFreePort();
	const folder = mkdtempSync(path.join(tmpdir(), 'tertulia-pooler-'));
	const settings = path.join(folder, 'pgbouncer.ini');
	writeFileSync(
		settings,
		`[databases]
* = host=${to.hostname} port=${to.port} user=${to.username} password=${to.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
`
	);
	// As root it wants somebody else to run as; the cluster of the tests does too.
	const account = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
	const child: ChildProcess = spawn('pgbouncer', [...account, settings], {
		stdio: ['ignore', 'ignore', 'pipe']
	});
	const gone = once(child, 'exit');
	let said = '';
	child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
	const isUp = () => expect(said).toContain('process up');
	await vi.waitFor(isUp, { timeout: 10_000 }).catch((error: unknown) => {
		child.kill('SIGKILL');
		throw error;
	});
	const url = new URL(databaseUrl);
	url.port = String(port);
	// Of this version (1.18 in Debian 12) it does not know prepared statements.
	url.searchParams.set('prepare', 'false');
	return {
		url: url.href,
		async stop() {
			child.kill('SIGKILL');
			await gone;
			rmSync(folder, { recursive: true });
		}
	};
}
