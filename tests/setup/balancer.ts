import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Gives each request to the next process in turn, so that no two of a person's go to the same one.
 * It knows nothing of health: what goes to a dead process is answered with 502.
 */
export class Balancer {
	readonly #ports: number[];
	readonly #server: Server;
	/** How many requests each process was given. */
	readonly given: number[];
	#next = 0;

	constructor(ports: number[]) {
		this.#ports = ports;
		this.given = ports.map(() => 0);
		this.#server = createServer((req, res) => {
			const index = this.#next++ % this.#ports.length;
			this.given[index] = (this.given[index] ?? 0) + 1;
			const { method, url: path, headers } = req;
			const options = { host: '127.0.0.1', port: this.#ports[index], method, path, headers };
			const onward = request(options, (answer) => {
				res.writeHead(answer.statusCode ?? 502, answer.headers);
				res.flushHeaders();
				answer.pipe(res);
				answer.on('error', () => res.destroy());
				answer.on('close', () => res.end());
			});
			onward.on('error', () => {
				if (res.headersSent) res.destroy();
				else res.writeHead(502).end();
			});
			res.on('close', () => onward.destroy());
			req.pipe(onward);
		});
	}

	async listen(): Promise<number> {
		await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
		return (this.#server.address() as AddressInfo).port;
	}

	close(): void {
		this.#server.closeAllConnections();
		this.#server.close();
	}
}
