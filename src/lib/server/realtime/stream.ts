import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Few } from './few.ts';
import type { Frame } from './frame.ts';

/** Who listens, as found when the stream was opened. */
export interface Listener {
	personId: string;
	sessionId: string;
}

/** Where the hub writes: one open event stream. */
export interface Stream extends Listener {
	/** Conversations that this stream hears. Kept by the hub. */
	readonly conversations: Few<string>;
	write(frame: Frame): void;
	/** Ends politely, after what was written. */
	end(): void;
	readonly closed: boolean;
	/** Bytes that were written and have not left yet, where that can be told. */
	readonly buffered?: number;
	/** Tells the one who asked last. */
	onClose(listener: (stream: Stream) => void): void;
}

const HEAD = [
	'HTTP/1.1 200 OK',
	'content-type: text/event-stream; charset=utf-8',
	'cache-control: no-store, no-transform',
	// Without it nginx gathers the stream into its buffer.
	'x-accel-buffering: no',
	'x-content-type-options: nosniff',
	'connection: close'
];
const HEAD_CHUNKED = Buffer.from([...HEAD, 'transfer-encoding: chunked', '', ''].join('\r\n'));
const NO_HEADERS = {};
const NO_RAW_HEADERS: string[] = [];
const HEAD_BARE = Buffer.from([...HEAD, '', ''].join('\r\n'));

/**
 * Server-Sent Events straight to the socket, from the first byte on. Node's own `res.write` and a
 * `Response` stream cost one and a half and two times as much per event (`bench/fanout`).
 */
export class SocketStream implements Stream {
	readonly personId: string;
	readonly sessionId: string;
	readonly conversations = new Few<string>();
	readonly #socket: Socket;
	readonly #chunked: boolean;
	readonly #bufferMax: number;
	readonly #onSlow: (() => void) | undefined;
	#closed = false;
	/** Whether the head still waits, to leave in one write with the first frame. */
	#corked = true;
	#onClose: ((stream: Stream) => void) | undefined;

	/** `bufferMax`: bytes that a slow reader may leave before it is cut off, and `onSlow` is told. */
	constructor(
		req: IncomingMessage,
		res: ServerResponse,
		listener: Listener,
		bufferMax: number,
		onSlow?: () => void
	) {
		this.#onSlow = onSlow;
		this.personId = listener.personId;
		this.sessionId = listener.sessionId;
		this.#bufferMax = bufferMax;
		this.#chunked = req.httpVersionMajor > 1 || req.httpVersionMinor >= 1;
		this.#socket = req.socket;
		this.#socket.setNoDelay(true);
		this.#socket.setTimeout(0);
		this.#socket.cork();
		this.#socket.write(this.#chunked ? HEAD_CHUNKED : HEAD_BARE);
		// Node keeps the request for as long as the stream is open: its headers need not be kept.
		req.rawHeaders = NO_RAW_HEADERS;
		req.headers = NO_HEADERS;
		res.on('close', () => {
			this.#closed = true;
			this.#onClose?.(this);
		});
	}

	get closed(): boolean {
		return this.#closed;
	}

	get buffered(): number {
		return this.#closed ? 0 : this.#socket.writableLength;
	}

	write(frame: Frame): void {
		if (this.#closed) return;
		if (this.#socket.writableLength > this.#bufferMax) {
			// Memory per stream is bounded. The client comes back and syncs: nothing is lost.
			this.#closed = true;
			this.#socket.destroy();
			this.#onSlow?.();
			return;
		}
		this.#socket.write(this.#chunked ? frame.chunked : frame.bare);
		if (!this.#corked) return;
		this.#corked = false;
		this.#socket.uncork();
	}

	end(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#socket.end(this.#chunked ? '0\r\n\r\n' : '');
	}

	onClose(listener: (stream: Stream) => void): void {
		this.#onClose = listener;
	}
}
