/**
 * One stream for all tabs of a browser: over HTTP/1.1 it may hold six connections to a host, and the
 * server need not say everything twice.
 *
 * Whoever holds a lock leads: it keeps the stream and passes on what it hears. The others wait for
 * the lock, which the browser hands on when the leader is closed or crashes; the next one then opens
 * a stream of its own, and `stream.opened` makes every tab ask for what was said in between. A leader
 * that the system has put to sleep keeps the lock and says nothing: its silence is noticed, and the
 * lock is taken from it. Where there are no locks or channels each tab has its own stream.
 */
import { HEARTBEAT_PATIENCE_MS, type StreamState } from './stream.ts';
import type { StreamEvent } from '#lib/shared/events.ts';

/** How long a tab that somebody looks at waits for the leader to give a sign of life. */
const SIGN_OF_LIFE_MS = 2000;

/** What `EventStream` is to this. */
export interface OwnStream {
	open(): void;
	close(): void;
	wake(): void;
	distrust(): void;
}

export interface Hearing {
	onEvent: (event: StreamEvent) => void;
	onState: (state: StreamState) => void;
	onRefused: () => void;
}

/** The part of `BroadcastChannel` that is used. */
export interface ChannelLike {
	onmessage: ((event: MessageEvent<Word>) => unknown) | null;
	postMessage(word: Word): void;
	close(): void;
}

/** What tabs say to each other. */
export type Word =
	| { say: 'who leads?' }
	| { say: 'I lead'; state: StreamState }
	| { say: 'state'; state: StreamState }
	| { say: 'event'; event: StreamEvent }
	| { say: 'refused' };

export interface SharedStreamOptions extends Hearing {
	/** The same in all tabs that may share: it names the person. */
	name: string;
	/** Makes the stream of a leader. */
	own: (hearing: Hearing) => OwnStream;
	locks: Pick<LockManager, 'request'> | null;
	channel: ((name: string) => ChannelLike) | null;
}

export class SharedStream implements OwnStream {
	readonly #options: SharedStreamOptions;
	readonly #own: OwnStream;
	#channel: ChannelLike | null = null;
	#leading = false;
	#state: StreamState = 'closed';
	/** Ends the turn as leader, or the waiting for it. */
	#resign: (() => void) | null = null;
	#silence: ReturnType<typeof setTimeout> | undefined;

	constructor(options: SharedStreamOptions) {
		this.#options = options;
		this.#own = options.own({
			onEvent: (event) => {
				if (!this.#leading) return;
				this.#tell({ say: 'event', event });
				options.onEvent(event);
			},
			onState: (state) => {
				if (!this.#leading) return;
				this.#tell({ say: 'state', state });
				this.#enter(state);
			},
			onRefused: () => {
				this.#tell({ say: 'refused' });
				options.onRefused();
			}
		});
	}

	/** Whether this tab has the stream, for all of the browser. */
	get leads(): boolean {
		return this.#leading;
	}

	open(): void {
		if (this.#resign) return;
		const { channel, locks, name } = this.#options;
		if (!channel || !locks) {
			this.#resign = () => {};
			return this.#lead();
		}
		this.#channel = channel(name);
		this.#channel.onmessage = ({ data }) => this.#hear(data);
		this.#enter('connecting');
		this.#tell({ say: 'who leads?' });
		this.#stand('wait');
	}

	close(): void {
		this.#follow();
		this.#resign?.();
		this.#resign = null;
		clearTimeout(this.#silence);
		this.#channel?.close();
		this.#channel = null;
		this.#enter('closed');
	}

	wake(): void {
		if (this.#leading) return this.#own.wake();
		if (!this.#channel) return;
		this.#tell({ say: 'who leads?' });
		this.#expectWithin(SIGN_OF_LIFE_MS);
	}

	distrust(): void {
		if (this.#leading) this.#own.distrust();
	}

	/** Stands in line for the lock, or takes it from whoever has it. */
	#stand(how: 'wait' | 'steal'): void {
		const { locks, name } = this.#options;
		const waiting = new AbortController();
		let done = () => {};
		const turn = new Promise<void>((resolve) => (done = resolve));
		const resign = () => {
			waiting.abort();
			done();
		};
		this.#resign = resign;
		const lead = () => {
			if (this.#resign !== resign) return undefined;
			this.#lead();
			return turn;
		};
		// A lock cannot be both stolen and no longer wanted.
		const options = how === 'steal' ? { steal: true } : { signal: waiting.signal };
		void Promise.resolve(locks?.request(name, options, lead)).catch(() => {
			// Given up, or taken from us.
			if (this.#resign !== resign) return;
			this.#follow();
			this.#enter('connecting');
			this.#tell({ say: 'who leads?' });
			this.#stand('wait');
		});
		if (how === 'wait') this.#expectWithin(HEARTBEAT_PATIENCE_MS);
	}

	#lead(): void {
		clearTimeout(this.#silence);
		this.#leading = true;
		this.#own.open();
	}

	#follow(): void {
		if (!this.#leading) return;
		this.#leading = false;
		this.#own.close();
	}

	#hear(word: Word): void {
		if (word.say === 'who leads?') {
			if (this.#leading) this.#tell({ say: 'I lead', state: this.#state });
			return;
		}
		// Two lead for a moment while a lock changes hands: each hears its own stream.
		if (this.#leading) return;
		this.#expectWithin(HEARTBEAT_PATIENCE_MS);
		if (word.say === 'event') this.#options.onEvent(word.event);
		else if (word.say === 'refused') this.#options.onRefused();
		else if (word.state !== this.#state) {
			this.#enter(word.state);
			// It has been open for a while: from here on we hear everything, as of an opening.
			if (word.say === 'I lead' && word.state === 'open') {
				this.#options.onEvent({ type: 'stream.opened' });
			}
		}
	}

	/** Nothing from the leader for so long, and it is taken for asleep. */
	#expectWithin(ms: number): void {
		clearTimeout(this.#silence);
		const from = Date.now();
		this.#silence = setTimeout(() => {
			// We have slept ourselves, and what was said meanwhile is still to be heard.
			if (Date.now() - from > 2 * ms) return this.wake();
			const waiting = this.#resign;
			this.#stand('steal');
			waiting?.();
		}, ms);
	}

	#tell(word: Word): void {
		this.#channel?.postMessage(word);
	}

	#enter(state: StreamState): void {
		if (this.#state === state) return;
		this.#state = state;
		this.#options.onState(state);
	}
}
