/**
 * The event stream, kept open. A stream may lose anything at any time: whoever uses it asks for
 * what is missing each time it opens.
 *
 * Some networks swallow streams: a proxy gathers them until they end, or breaks them. After a few
 * that were never heard it polls, if that gets through, and tries a stream again now and then.
 */
import type { HEARTBEAT_MS, StreamEvent } from '#lib/shared/events.ts';
import { backoff, type Random } from './backoff.ts';

const HEARTBEAT: typeof HEARTBEAT_MS = 20_000;
/** Not a word for so long, and the connection is dead, whatever the browser says. */
export const HEARTBEAT_PATIENCE_MS = 2 * HEARTBEAT;
/** A stream that opens and dies at once is a failure too; one that lived so long was none. */
const STEADY_MS = 5000;
/** The first word comes with the opening; a stream without one by then is being swallowed. */
const OPENING_MS = 8000;
/** So many streams in a row, and polling is tried. */
const UNHEARD_MAX = 2;
/** How long polling goes on before a stream is tried again; twice as long after each vain try. */
const POLLING_MS = 5 * 60_000;
const POLLING_MAX_MS = 60 * 60_000;

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
	/** The same by long polling, where there is such a way. */
	poll?: () => EventSourceLike;
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
	/** Streams in a row that were opened in vain. */
	#unheard = 0;
	#polling = false;
	#pollFor = POLLING_MS;
	#openedAt = 0;
	#heardAt = 0;
	#silence: ReturnType<typeof setTimeout> | undefined;
	#retry: ReturnType<typeof setTimeout> | undefined;
	#streamAgain: ReturnType<typeof setTimeout> | undefined;

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
		else if (this.#source && Date.now() - this.#heardAt >= HEARTBEAT_PATIENCE_MS) this.#fail();
	}

	/** The network is said to be gone. It may be wrong (a server on this machine), so try at once. */
	distrust(): void {
		if (this.#source) this.#fail();
	}

	#connect(): void {
		this.#drop();
		clearTimeout(this.#retry);
		this.#enter('connecting');
		const { connect, poll } = this.#options;
		this.#polling = poll !== undefined && this.#unheard >= UNHEARD_MAX;
		const source = this.#polling && poll ? poll() : connect();
		this.#source = source;
		source.onmessage = ({ data }) => {
			if (this.#source === source) this.#hear(JSON.parse(data) as StreamEvent);
		};
		// The browser would try again on its own, in step with everybody else's: we do it instead.
		source.onerror = () => {
			if (this.#source !== source) return;
			const refused = source.readyState === CLOSED;
			// Where nothing gets through, it is not the stream that is swallowed.
			if (this.#state === 'connecting') this.#unheard = this.#polling ? 0 : this.#unheard + 1;
			this.#fail();
			if (refused) this.#options.onRefused();
		};
		this.#listenFor(this.#options.poll && !this.#polling ? OPENING_MS : HEARTBEAT_PATIENCE_MS);
	}

	#hear(event: StreamEvent): void {
		this.#listenFor(HEARTBEAT_PATIENCE_MS);
		if (event.type === 'stream.opened' && this.#state !== 'open') this.#opened();
		else if (!this.#polling && this.#isSteady) this.#streams();
		if (event.type === 'server.stopping') this.#comeBackIn(this.#random() * event.withinMs);
		this.#options.onEvent(event);
	}

	#opened(): void {
		this.#openedAt = Date.now();
		this.#enter('open');
		if (!this.#polling) return;
		this.#streamAgain = setTimeout(() => {
			// One try: if it is in vain too, polling goes on.
			this.#unheard = UNHEARD_MAX - 1;
			this.#pollFor = Math.min(2 * this.#pollFor, POLLING_MAX_MS);
			this.#connect();
		}, this.#pollFor);
	}

	/** Heard for a while: this network lets streams through. */
	#streams(): void {
		this.#unheard = 0;
		this.#pollFor = POLLING_MS;
	}

	get #isSteady(): boolean {
		return this.#state === 'open' && this.#heardAt - this.#openedAt >= STEADY_MS;
	}

	#listenFor(ms: number): void {
		this.#heardAt = Date.now();
		clearTimeout(this.#silence);
		this.#silence = setTimeout(() => {
			if (!this.#polling) this.#unheard++;
			this.#fail();
		}, ms);
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
		clearTimeout(this.#streamAgain);
		this.#source?.close();
		this.#source = null;
	}

	#enter(state: StreamState): void {
		if (this.#state === state) return;
		this.#state = state;
		this.#options.onState(state);
	}
}
