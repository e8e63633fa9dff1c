import WebSocket from 'ws';

/** A Socket.IO client of the fewest lines, so that no more of the machine goes to it than to HTTP. */
export class RawSocketIo {
	readonly opened: Promise<void>;
	readonly #socket: WebSocket;
	readonly #waiting = new Map<number, () => void>();
	#asked = 0;

	constructor(url: string, query: Record<string, string>, hear: (text: string) => void) {
		const parameters = new URLSearchParams({ EIO: '4', transport: 'websocket', ...query });
		this.#socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?${parameters}`, {
			perMessageDeflate: false
		});
		this.opened = new Promise((resolve, reject) => {
			this.#socket.on('error', reject);
			this.#socket.on('message', (data: Buffer) => {
				const text = data.toString();
				// Engine.IO: 0 open, 2 ping, 4 message; Socket.IO within 4: 0 connect, 2 event, 3 ack.
				if (text.startsWith('0')) this.#socket.send('40');
				else if (text === '2') this.#socket.send('3');
				else if (text.startsWith('40')) resolve();
				else if (text.startsWith('43')) this.#acknowledged(parseInt(text.slice(2)));
				else hear(text);
			});
		});
	}

	/** Resolves when the server has acknowledged. */
	emit(event: string, ...values: unknown[]): Promise<void> {
		return new Promise((resolve) => {
			const id = ++this.#asked;
			this.#waiting.set(id, resolve);
			this.#socket.send(`42${id}${JSON.stringify([event, ...values])}`);
		});
	}

	close(): void {
		this.#socket.terminate();
	}

	#acknowledged(id: number): void {
		this.#waiting.get(id)?.();
		this.#waiting.delete(id);
	}
}
