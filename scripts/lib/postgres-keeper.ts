/**
 * Stands between a script and the Postgres that it started, and outlives the script by a moment:
 * when the script stops, or dies by any means, its end of our standard input closes, and Postgres
 * is shut down in order. It runs in a session of its own, so that Ctrl-C in the terminal reaches
 * the script first.
 *
 * Arguments: a JSON `KeeperOrder`. Standard error is that of Postgres.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';

export interface KeeperOrder {
	command: string;
	args: string[];
	folder: string;
	/** Who to be; Postgres refuses to run as root. */
	account?: { uid: number; gid: number };
	/** Delete the folder once Postgres was told to stop and has. */
	throwaway: boolean;
}

const FAST_SHUTDOWN = 'SIGINT';
const IMMEDIATE_SHUTDOWN = 'SIGQUIT';
const PATIENCE_MS = 10_000;

const order = JSON.parse(process.argv[2] ?? '') as KeeperOrder;

const postgres = spawn(order.command, order.args, {
	...order.account,
	cwd: order.folder,
	stdio: ['ignore', 'ignore', 'pipe']
});
postgres.stderr.pipe(process.stderr);
// The script is gone, but Postgres must still be able to write its last lines.
process.stderr.on('error', () => postgres.stderr.resume());

let stopping = false;
process.stdin.resume();
process.stdin.on('close', shutDown);
process.on('SIGTERM', shutDown);
process.on('SIGINT', shutDown);

function shutDown() {
	stopping = true;
	postgres.kill(FAST_SHUTDOWN);
	setTimeout(() => postgres.kill(IMMEDIATE_SHUTDOWN), PATIENCE_MS).unref();
}

postgres.on('error', (error) => {
	console.error(`FATAL:  ${error.message}`);
	process.exit(1);
});
postgres.on('close', (code) => {
	if (order.throwaway && stopping) rmSync(order.folder, { recursive: true, force: true });
	process.exit(code ?? 1);
});
