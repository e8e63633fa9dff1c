/**
 * The event stream, kept open. A stream may lose anything at any time: whoever uses it asks for
 * what is missing each time it opens.
 */
import type { HEARTBEAT_MS, StreamEvent } from '#lib/shared/events.ts';
import { backoff, type Random } from './backoff.ts';

const HEARTBEAT: typeof HEARTBEAT_MS = 20_000;
/** Not a word for so long, and the connection is dead, whatever the browser says. */
const SILENCE_MS = 2 * HEARTBEAT;
/** A stream that opens and dies at once is a failure too; one that lived so long was none. */
const STEADY_MS = 5000;

export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed';

/** The part of `EventSource` that is used; tests make their own. */
export interface EventSourceLike {
	onmessage: ((event: MessageEvent<string>) => unknown) | null;
	onerror: ((event: Event) => unknown) | null;
	readonly readyState: number;
	close(): void;
}
/** `EventSource.CLOSED`: the server answered, and not with a stream. */
const CLOSED = 2;

export interface StreamOptions {
	connect: () => EventSourceLike;
	onEvent: (event: StreamEvent) => void;
	onState: (state: StreamState) => void;
	/** The server refused: is the viewer still signed in? Nothing else can tell a 401 from a 502. */
	onRefused: () => void;
	random?: Random;
}

export class EventStream {
	readonly #options: StreamOptions;
	readonly #random: Random;
	#source: EventSourceLike | null = null;
	#state: StreamState = 'closed';
	#failures = 0;
	#openedAt = 0;
	#heardAt = 0;
	#silence: ReturnType<typeof setTimeout> | undefined;
	#retry: ReturnType<typeof setTimeout> | undefined;

	constructor(options: StreamOptions) {
		this.#options = options;
		this.#random = options.random ?? Math.random;
	}

	open(): void {
		if (this.#state === 'closed') this.#connect();
	}

	close(): void {
		this.#drop();
		clearTimeout(this.#retry);
		this.#enter('closed');
	}

	/** The network is said to be back, or somebody looks at the page again. */
	wake(): void {
		if (this.#state === 'waiting') this.#connect();
		// The timers of a sleeping machine sleep too.
		else if (this.#source && Date.now() - this.#heardAt >= SILENCE_MS) this.#fail();
	}

	/** The network is said to be gone. It may be wrong (a server on this machine), so try at once. */
	distrust(): void {
		if (this.#source) this.#fail();
	}

	#connect(): void {
		this.#drop();
		clearTimeout(this.#retry);
		this.#enter('connecting');
		const source = this.#options.connect();
		this.#source = source;
		source.onmessage = ({ data }) => {
			if (this.#source === source) this.#hear(JSON.parse(data) as StreamEvent);
		};
		// The browser would try again on its own, in step with everybody else's: we do it instead.
		source.onerror = () => {
			if (this.#source !== source) return;
			const refused = source.readyState === CLOSED;
			this.#fail();
			if (refused) this.#options.onRefused();
		};
		this.#listenFor();
	}

	#hear(event: StreamEvent): void {
		this.#listenFor();
		if (event.type === 'stream.opened') {
			this.#openedAt = Date.now();
			this.#enter('open');
		}
		if (event.type === 'server.stopping') this.#comeBackIn(this.#random() * event.withinMs);
		this.#options.onEvent(event);
	}

	#listenFor(): void {
		this.#heardAt = Date.now();
		clearTimeout(this.#silence);
		this.#silence = setTimeout(() => this.#fail(), SILENCE_MS);
	}

	#fail(): void {
		if (this.#state === 'open' && Date.now() - this.#openedAt >= STEADY_MS) this.#failures = 0;
		this.#failures++;
		this.#comeBackIn(backoff(this.#failures, this.#random));
	}

	#comeBackIn(ms: number): void {
		this.#drop();
		this.#enter('waiting');
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => this.#connect(), ms);
	}

	#drop(): void {
		clearTimeout(this.#silence);
		this.#source?.close();
		this.#source = null;
	}

	#enter(state: StreamState): void {
		if (this.#state === state) return;
		this.#state = state;
		this.#options.onState(state);
	}
}
