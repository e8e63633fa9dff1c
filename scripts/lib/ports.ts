import { once } from 'node:events';
import { createServer } from 'node:net';
import { Problem } from './problem.ts';

const PORTS_TO_TRY = 50;

/** The first free port from `first` on. */
export async function freePortFrom(first: number): Promise<number> {
	for (let port = first; port < first + PORTS_TO_TRY && port < 65_536; port++) {
		if (await isFree(port)) return port;
	}
	throw new Problem(`No port is free from ${first} on: choose another with --port.`);
}

/** A browser takes `localhost` for either address, so another program on one of them is in the way. */
async function isFree(port: number): Promise<boolean> {
	for (const host of ['127.0.0.1', '::1', '0.0.0.0']) {
		const server = createServer().listen(port, host);
		try {
			await once(server, 'listening');
			server.close();
			await once(server, 'close');
		} catch (error) {
			// A machine without IPv6 is no obstacle.
			if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
			if ((error as NodeJS.ErrnoException).code === 'EACCES') return false;
		}
	}
	return true;
}

/** A port that nobody uses now, given by the system. */
export async function anyFreePort(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, 'close');
	return port;
}
