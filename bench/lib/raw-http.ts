import { connect, type Socket } from 'node:net';
import { Problem } from '../../scripts/lib/problem.ts';

/**
 * One connection that is kept alive, one request at a time, as bytes: a whole HTTP client would take
 * more of the machine than the server that is measured.
 */
export class RawHttp {
	readonly #socket: Socket;
	readonly #head: string;
	#answer = '';
	#settle: { resolve(body: string): void; reject(error: Error): void } | undefined;

	constructor(url: string, cookie: string) {
		const { hostname, port, host, origin } = new URL(url);
		this.#head = `Host: ${host}\r\nOrigin: ${origin}\r\nCookie: ${cookie}\r\nContent-Type: application/json\r\n`;
		this.#socket = connect(Number(port), hostname);
		this.#socket.setNoDelay(true);
		this.#socket.setEncoding('utf8').on('data', (text: string) => this.#read(text));
		this.#socket.on('error', (error) => this.#settle?.reject(error));
		this.#socket.on('close', () => this.#settle?.reject(new Problem('The server hung up.')));
	}

	/** The answer's body; anything but success is an error. */
	post(path: string, body: string): Promise<string> {
		return new Promise((resolve, reject) => {
			if (this.#socket.destroyed) throw new Problem('The server has hung up.');
			this.#settle = { resolve, reject };
			const length = Buffer.byteLength(body);
			this.#socket.write(
				`POST ${path} HTTP/1.1\r\n${this.#head}Content-Length: ${length}\r\n\r\n${body}`
			);
		});
	}

	close(): void {
		this.#settle = undefined;
		this.#socket.destroy();
	}

	#read(text: string): void {
		this.#answer += text;
		const end = this.#answer.indexOf('\r\n\r\n');
		if (end < 0) return;
		const head = this.#answer.slice(0, end).toLowerCase();
		let body = this.#answer.slice(end + 4);
		const length = /content-length: (\d+)/.exec(head)?.[1];
		if (length !== undefined) {
			if (Buffer.byteLength(body) < Number(length)) return;
		} else {
			if (!body.endsWith('0\r\n\r\n')) return;
			body = body.slice(body.indexOf('\r\n') + 2, body.lastIndexOf('\r\n0\r\n\r\n'));
		}
		this.#answer = '';
		const settle = this.#settle;
		this.#settle = undefined;
		if (head.startsWith('http/1.1 200') || head.startsWith('http/1.1 207')) settle?.resolve(body);
		else settle?.reject(new Problem(`The server refused:\n${head}\n${body.slice(0, 500)}`));
	}
}

/** An event stream, piece by piece. */
export function listenRaw(
	url: string,
	cookie: string,
	hear: (text: string) => void
): Promise<Socket> {
	const { hostname, port, host } = new URL(url);
	return new Promise((resolve, reject) => {
		const socket = connect(Number(port), hostname);
		socket.setEncoding('utf8').on('error', reject);
		socket.write(`GET /events HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n\r\n`);
		let open = false;
		socket.on('data', (text: string) => {
			if (!open && text.includes('stream.opened')) {
				open = true;
				resolve(socket);
			}
			hear(text);
		});
		socket.on('close', () => reject(new Problem('A stream was closed.')));
	});
}
