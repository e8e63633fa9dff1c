import { Few } from './few.ts';
import type { Frame } from './frame.ts';
import type { Listener, Stream } from './stream.ts';

/**
 * A stream that ends with the first thing it hears, for networks that swallow streams: the answer to
 * one request of long polling. It hears from the moment at which `listen` is called; what was before,
 * the request itself has to ask for. The hub's heartbeat ends it too, so none waits longer than that.
 */
export class PollStream implements Stream {
	readonly personId: string;
	readonly sessionId: string;
	readonly conversations = new Few<string>();
	readonly #bufferMax: number;
	readonly #closing: ((stream: Stream) => void)[] = [];
	#frames: Frame[] = [];
	#size = 0;
	#listening = false;
	#closed = false;
	#heard = () => {};

	/** `bufferMax`: bytes that may gather before the answer goes out. */
	constructor(listener: Listener, bufferMax: number) {
		this.personId = listener.personId;
		this.sessionId = listener.sessionId;
		this.#bufferMax = bufferMax;
	}

	get closed(): boolean {
		return this.#closed;
	}

	write(frame: Frame): void {
		if (!this.#listening || this.#closed) return;
		// What does not fit any more is asked for by the next request.
		if (this.#size > this.#bufferMax) return this.end();
		this.#frames.push(frame);
		this.#size += frame.bare.length;
		// What comes in the same turn goes in the same answer.
		if (this.#frames.length === 1) setImmediate(() => this.end());
	}

	end(): void {
		if (this.#closed) return;
		this.#closed = true;
		for (const listener of this.#closing) listener(this);
		this.#heard();
	}

	onClose(listener: (stream: Stream) => void): void {
		this.#closing.push(listener);
	}

	listen(): void {
		this.#listening = true;
	}

	/** Resolves when there is something to answer, or nobody to answer. */
	async heard(): Promise<Buffer> {
		if (!this.#closed) await new Promise<void>((resolve) => (this.#heard = resolve));
		return Buffer.concat(this.#frames.map(({ bare }) => bare));
	}
}
