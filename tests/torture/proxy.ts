/** A bad network in front of one process: TCP connections that can be cut, starved and robbed. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** How long a stream that was robbed of bytes goes on before it is cut. */
const CUT_AFTER_MS = 1500;

interface Link {
	client: Socket;
	server: Socket;
	isStream: boolean;
	/** Bytes of the next event that comes through are lost. */
	robbed: boolean;
}

export class BadNetwork {
	readonly #to: number;
	readonly #links = new Set<Link>();
	#server: Server | undefined;
	#stalled = false;
	#stallEnds: NodeJS.Timeout | undefined;

	constructor(to: number) {
		this.#to = to;
	}

	/** On the port, or with 0 on a free one; which, is the answer. */
	async listen(port: number): Promise<number> {
		const server = createServer((client) => this.#link(client));
		this.#server = server;
		server.listen(port, '127.0.0.1');
		await once(server, 'listening');
		return (server.address() as AddressInfo).port;
	}

	/** Cuts everything, and takes no more until it listens again. */
	close(): void {
		this.#server?.close();
		clearTimeout(this.#stallEnds);
		this.#stalled = false;
		this.cut();
	}

	/** Resets all connections; how many there were. */
	cut(): number {
		const links = [...this.#links];
		for (const link of links) this.#cut(link);
		return links.length;
	}

	/** Nothing goes through for so long, then all is cut. */
	stall(ms: number): void {
		this.#stalled = true;
		for (const link of this.#links) pause(link);
		clearTimeout(this.#stallEnds);
		this.#stallEnds = setTimeout(() => {
			this.#stalled = false;
			this.cut();
		}, ms);
	}

	/** Robs one in three streams of their next bytes; how many. */
	swallow(): number {
		const streams = [...this.#links].filter(({ isStream }) => isStream);
		const victims = streams.filter((_, index) => index % 3 === 0);
		for (const victim of victims) {
			victim.robbed = true;
			setTimeout(() => this.#cut(victim), CUT_AFTER_MS);
		}
		return victims.length;
	}

	#link(client: Socket): void {
		const server = connect(this.#to, '127.0.0.1');
		const link: Link = { client, server, isStream: false, robbed: false };
		this.#links.add(link);
		client.on('data', (chunk: Buffer) => {
			if (chunk.subarray(0, 11).toString('latin1') === 'GET /events') link.isStream = true;
			server.write(chunk);
		});
		server.on('data', (chunk: Buffer) => {
			if (link.robbed) link.robbed = false;
			else client.write(chunk);
		});
		for (const socket of [client, server]) {
			socket.setNoDelay(true);
			socket.on('error', () => this.#cut(link));
			socket.on('close', () => this.#cut(link));
		}
		client.on('end', () => server.end());
		server.on('end', () => client.end());
		if (this.#stalled) pause(link);
	}

	#cut(link: Link): void {
		if (!this.#links.delete(link)) return;
		link.client.destroy();
		link.server.destroy();
	}
}

function pause({ client, server }: Link): void {
	client.pause();
	server.pause();
}
