/** For tests: a Redis of their own, and a log that tells what it was told. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { openLog } from './log.ts';

export const redisHere = spawnSync('redis-server', ['--version']).status === 0;

export async function startRedis(number = 0) {
	if (number === 0) {
		const found = await freePort();
		number = port(found);
		await close(found);
	}
	const child: ChildProcess = spawn(
		'redis-server',
		['--port', String(number), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
		{ stdio: ['ignore', 'pipe', 'ignore'] }
	);
	for await (const chunk of child.stdout ?? []) {
		if (String(chunk).includes('Ready to accept connections')) break;
	}
	return {
		url: `redis://127.0.0.1:${number}`,
		port: number,
		hang: () => void child.kill('SIGSTOP'),
		async stop() {
			const gone = once(child, 'exit');
			child.kill('SIGKILL');
			await gone;
		}
	};
}

export async function freePort(connected?: (socket: Socket) => void): Promise<Server> {
	const server = createServer(connected);
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	return Object.assign(server, { taken: (server.address() as AddressInfo).port });
}

export const port = (server: Server) => (server as Server & { taken: number }).taken;

export async function close(server: Server): Promise<void> {
	server.close();
	await once(server, 'close');
}

export function recordingLog() {
	const log = openLog('silent');
	const told: string[] = [];
	log.warn = ((_: object, message: string) => void told.push(message)) as typeof log.warn;
	return { log, lines: () => told };
}
