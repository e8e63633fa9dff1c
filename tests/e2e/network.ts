import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePortFrom } from '../../scripts/lib/ports.ts';

/**
 * Below those that systems give to outgoing connections. Such a connection to a port on which nobody
 * listens (`localhost` is tried on `::1` first, or the server is down) can get that very port as its
 * own, and then talks to itself.
 */
export const steadyPort = () => freePortFrom(randomInt(10_000, 20_000));

/** The way between the browsers and the server, byte for byte, until it is cut. */
export class Network {
	readonly port: number;
	readonly #server: Server;
	readonly #serverPort: number;
	readonly #sockets = new Set<Socket>();
	readonly #streams = new Set<Socket>();
	#opened = 0;
	#state: 'whole' | 'answers lost' | 'streams lost' | 'cut' = 'whole';

	private constructor(port: number, serverPort: number) {
		this.port = port;
		this.#serverPort = serverPort;
		this.#server = createServer((browser) => this.#join(browser));
	}

	static async before(serverPort: number): Promise<Network> {
		const network = new Network(await steadyPort(), serverPort);
		network.#server.listen(network.port, 'localhost');
		await once(network.#server, 'listening');
		return network;
	}

	/** Every connection breaks, and every new one does at once. */
	cut(): void {
		this.#state = 'cut';
		for (const socket of this.#sockets) socket.destroy();
	}

	/**
	 * The worst of networks: what is asked arrives and has its effect, and then the connection breaks
	 * instead of the answer.
	 */
	loseAnswers(): void {
		this.#state = 'answers lost';
	}

	/** As some proxies do: a stream is asked for, and nothing of it ever comes through. */
	swallowStreams(): void {
		this.#state = 'streams lost';
		for (const socket of this.#streams) socket.destroy();
	}

	/** Event streams that are open now, and those that ever were. */
	get streams(): { open: number; ever: number } {
		return { open: this.#streams.size, ever: this.#opened };
	}

	mend(): void {
		this.#state = 'whole';
	}

	async close(): Promise<void> {
		this.cut();
		this.#server.close();
		await once(this.#server, 'close');
	}

	#join(browser: Socket): void {
		if (this.#state === 'cut') return void browser.destroy();
		const server = connect(this.#serverPort, 'localhost');
		for (const [from, to] of [
			[browser, server],
			[server, browser]
		] as const) {
			this.#sockets.add(from);
			// Broken pipes are the point here.
			from.on('error', () => undefined);
			from.on('close', () => {
				this.#sockets.delete(from);
				this.#streams.delete(from);
				to.destroy();
			});
		}
		browser.on('data', (bytes) => {
			if (bytes.toString('latin1').startsWith('GET /events')) {
				this.#streams.add(browser);
				this.#opened++;
			}
			server.write(bytes);
		});
		server.on('data', (bytes) => {
			if (this.#state === 'whole') browser.write(bytes);
			else if (this.#state !== 'streams lost') browser.destroy();
			else if (!this.#streams.has(browser)) browser.write(bytes);
		});
	}
}
