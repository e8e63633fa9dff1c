/** What is tortured: Postgres, Redis, and processes of the built app behind bad networks. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { freePortFrom } from '../../scripts/lib/ports.ts';
import { startPostgres, type Postgres } from '../../scripts/lib/postgres.ts';
import { migrate } from '../../src/lib/server/platform/migrate.ts';
import { startServer, type RunningServer } from '../setup/server.ts';
import { PROCESSES, type Fault } from './plan.ts';
import { BadNetwork } from './proxy.ts';

/** Where people open it; the connections themselves go through one of the networks. */
export const ORIGIN = 'http://localhost:47000';
const AGAIN_MS = 300;
/** For everything to run again, on a machine that has other work too. */
const PATIENCE_MS = 120_000;

export class House {
	readonly processes: AppProcess[] = [];
	/** What must not happen, whatever is done from outside. */
	readonly faultsOfOurs: string[] = [];
	readonly redisUrl: string | undefined;
	readonly #folder: string;
	readonly #password = randomBytes(12).toString('hex');
	readonly #redisPort: number;
	#postgres: Postgres | undefined;
	#postgresBack: Promise<void> = Promise.resolve();
	#redis: ChildProcess | undefined;
	#closing = false;

	private constructor(redisPort: number) {
		this.#folder = path.join(tmpdir(), `tertulia-torture-${randomBytes(4).toString('hex')}`);
		this.#redisPort = redisPort;
		const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
		this.redisUrl = hasRedis ? `redis://127.0.0.1:${redisPort}` : undefined;
	}

	static async open(firstPort: number): Promise<House> {
		const redisPort = await freePortFrom(firstPort + 1);
		const house = new House(redisPort);
		await house.#startPostgres(firstPort);
		const admin = postgres(house.#cluster.url('postgres'), { max: 1 });
		await admin`create database tertulia`;
		await admin.end();
		await migrate(house.databaseUrl);
		house.#startRedis();
		let port = redisPort + 1;
		for (let index = 0; index < PROCESSES; index++) {
			const app = await freePortFrom(port);
			const door = await freePortFrom(app + 1);
			port = door + 1;
			const process = new AppProcess(house, index, app, door);
			await process.network.listen(door);
			house.processes.push(process);
		}
		await Promise.all(house.processes.map((process) => process.start(0)));
		return house;
	}

	get databaseUrl(): string {
		return this.#cluster.url('tertulia');
	}

	/** Does what the plan says; the answer is how many connections or processes it befell. */
	async befall({ kind, process: index, forMs, skewMs }: Fault): Promise<number> {
		const process = this.processes[index];
		if (!process) throw new Error('There is no such process.');
		switch (kind) {
			case 'kill process':
				return process.end('SIGKILL', skewMs);
			case 'stop process':
				return process.end('SIGTERM', skewMs);
			case 'freeze process':
				return process.freeze(forMs);
			case 'kill postgres':
				return this.#killPostgres();
			case 'kill backend':
				return this.#asAdmin(async (sql) => {
					const [row] = await sql<{ pid: number }[]>`
						select pid from pg_stat_activity where application_name = 'tertulia' limit 1`;
					if (row) globalThis.process.kill(row.pid, 'SIGKILL');
					return row ? 1 : 0;
				});
			case 'kill redis':
				return this.#killRedis();
			case 'deafen':
				return this.#asAdmin(async (sql) => {
					const rows = await sql`
						select pg_terminate_backend(pid) from pg_stat_activity
						where application_name = 'tertulia-listener'`;
					return rows.length;
				});
			case 'cut':
				return process.network.cut();
			case 'swallow':
				return process.network.swallow();
			case 'stall':
				process.network.stall(forMs);
				return 1;
		}
	}

	/** Everything runs again, and nothing more happens. */
	async calm(): Promise<void> {
		await this.#postgresBack;
		const deadline = Date.now() + PATIENCE_MS;
		for (const process of this.processes) await process.ready(deadline);
		for (const { network } of this.processes) network.cut();
	}

	async close(): Promise<void> {
		this.#closing = true;
		for (const process of this.processes) await process.close();
		this.#redis?.kill('SIGKILL');
		await this.#postgresBack;
		await this.#postgres?.stop();
		rmSync(this.#cluster.folder, { recursive: true, force: true });
	}

	get #cluster(): Postgres {
		if (!this.#postgres) throw new Error('Postgres was not started.');
		return this.#postgres;
	}

	async #startPostgres(port: number): Promise<void> {
		const owner = 'pnpm torture';
		// Not `throwaway`, which trades durability for speed: that is what is tested here.
		this.#postgres = await startPostgres({
			folder: this.#folder,
			password: this.#password,
			port,
			owner
		});
	}

	/** The postmaster alone: its children see that it is gone, and end, which takes them a moment. */
	async #killPostgres(): Promise<number> {
		await this.#postgresBack;
		const { folder, gone } = this.#cluster;
		const pid = Number.parseInt(readFileSync(path.join(folder, 'postmaster.pid'), 'utf8'), 10);
		globalThis.process.kill(pid, 'SIGKILL');
		this.#postgresBack = gone.then(() => this.#startPostgres(0));
		this.#postgresBack.catch((error: unknown) => {
			this.faultsOfOurs.push(`Postgres did not come back: ${String(error)}`);
		});
		return 1;
	}

	#startRedis(): void {
		if (!this.redisUrl) return;
		const options = ['--save', '', '--appendonly', 'no', '--bind', '127.0.0.1'];
		this.#redis = spawn('redis-server', ['--port', String(this.#redisPort), ...options], {
			stdio: 'ignore',
			cwd: tmpdir()
		});
	}

	async #killRedis(): Promise<number> {
		const redis = this.#redis;
		if (redis?.exitCode !== null || redis.signalCode !== null) return 0;
		const gone = once(redis, 'exit');
		redis.kill('SIGKILL');
		await gone;
		void pause(AGAIN_MS * 3).then(() => {
			if (!this.#closing) this.#startRedis();
		});
		return 1;
	}

	/** 0 while Postgres is away. */
	async #asAdmin(work: (sql: postgres.Sql) => Promise<number>): Promise<number> {
		const sql = postgres(this.databaseUrl, {
			max: 1,
			connect_timeout: 2,
			connection: { application_name: 'torture' },
			onnotice: () => undefined
		});
		try {
			return await work(sql);
		} catch {
			return 0;
		} finally {
			await sql.end({ timeout: 1 });
		}
	}
}

/** One place for a process of the app, and whoever takes it: after each death another one. */
class AppProcess {
	readonly network: BadNetwork;
	readonly door: number;
	readonly #house: House;
	readonly #index: number;
	readonly #port: number;
	#running: RunningServer | null = null;
	#starting: Promise<void> | null = null;
	/** Of the last start that failed. */
	#whyNot = '';
	#expected = false;
	#closed = false;
	#thaw: NodeJS.Timeout | undefined;

	constructor(house: House, index: number, port: number, door: number) {
		this.#house = house;
		this.#index = index;
		this.#port = port;
		this.door = door;
		this.network = new BadNetwork(port);
	}

	start(skewMs: number): Promise<void> {
		return (this.#starting ??= this.#startUntilItRuns(skewMs).finally(() => {
			this.#starting = null;
		}));
	}

	async end(signal: 'SIGKILL' | 'SIGTERM', skewMs: number): Promise<number> {
		const running = this.#running;
		if (!running) return 0;
		this.#expected = true;
		this.#running = null;
		this.#unfreeze(running);
		if (signal === 'SIGKILL') await running.kill();
		else {
			const status = await running.stop();
			if (status !== 0) this.#complain(`ended with ${status} when it was asked to stop`, running);
		}
		void this.start(skewMs);
		return 1;
	}

	freeze(ms: number): number {
		const running = this.#running;
		if (!running || this.#thaw) return 0;
		process.kill(running.pid, 'SIGSTOP');
		this.#thaw = setTimeout(() => this.#unfreeze(running), ms);
		return 1;
	}

	async ready(deadline: number): Promise<void> {
		for (;;) {
			if (this.#running) this.#unfreeze(this.#running);
			const url = `http://127.0.0.1:${this.#port}/readyz`;
			const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
			if (answer?.ok && this.#running) return;
			if (Date.now() > deadline) {
				const why = answer ? await answer.text() : 'no answer';
				const log = this.#running?.log().slice(-2000) ?? `It does not start: ${this.#whyNot}`;
				throw new Error(`Process ${this.#index + 1} is not ready again (${why}). ${log}`);
			}
			await pause(AGAIN_MS);
		}
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#expected = true;
		await this.#starting;
		this.network.close();
		if (this.#running) this.#unfreeze(this.#running);
		await this.#running?.kill();
	}

	/** As whoever supervises processes does: one that does not start is started again. */
	async #startUntilItRuns(skewMs: number): Promise<void> {
		while (!this.#closed) {
			try {
				const running = await startServer({
					databaseUrl: this.#house.databaseUrl,
					port: this.#port,
					env: {
						ORIGIN,
						...(this.#house.redisUrl && { REDIS_URL: this.#house.redisUrl }),
						DATABASE_POOL: '5',
						SIGN_IN_LIMIT_PER_ADDRESS: '1000',
						SEND_LIMIT_PER_MINUTE: '600',
						SEND_BURST: '60',
						SHUTDOWN_SECONDS: '5',
						SKEW_MS: String(skewMs),
						NODE_OPTIONS: `--import=${path.join(import.meta.dirname, 'skewed-clock.ts')}`
					}
				});
				this.#expected = false;
				this.#running = running;
				void running.gone.then((status) => {
					if (this.#expected || this.#running !== running) return;
					this.#running = null;
					this.#complain(`ended by itself with ${status}`, running);
					void this.start(0);
				});
				return;
			} catch (error) {
				// While Postgres is away a process cannot start.
				this.#whyNot = String(error);
				await pause(AGAIN_MS);
			}
		}
	}

	#unfreeze({ pid }: RunningServer): void {
		clearTimeout(this.#thaw);
		if (this.#thaw) process.kill(pid, 'SIGCONT');
		this.#thaw = undefined;
	}

	#complain(what: string, { log }: RunningServer): void {
		this.#house.faultsOfOurs.push(
			`Process ${this.#index + 1} ${what}. It said:\n${log().slice(-2000)}`
		);
	}
}
