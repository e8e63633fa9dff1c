/** Locks and channels as browsers have them, for tests with several tabs in one place. */
import type { ChannelLike, Word } from './shared-stream.ts';

interface Request {
	grant: () => void;
	reject: (reason: Error) => void;
}

/** Web Locks: first come, first served; can be taken away; a closed tab gives its own back. */
export class FakeLocks {
	#holder: Request | null = null;
	readonly #waiting: Request[] = [];

	/** As one tab sees them. `crash` is what the browser does when that tab is gone. */
	forTab(): Pick<LockManager, 'request'> & { crash(): void } {
		const own = new Set<Request>();
		let gone = false;
		const request = (_: string, options: LockOptions, callback: LockGrantedCallback<unknown>) =>
			new Promise<unknown>((resolve, reject) => {
				const mine: Request = {
					reject: (reason) => !gone && reject(reason),
					grant: () => {
						this.#holder = mine;
						void Promise.resolve(gone ? undefined : callback(null)).then((value) => {
							if (this.#holder === mine) this.#release();
							if (!gone) resolve(value);
						});
					}
				};
				own.add(mine);
				options.signal?.addEventListener('abort', () => {
					this.#forget(mine);
					mine.reject(new DOMException('Given up.', 'AbortError'));
				});
				if (options.steal) {
					const robbed = this.#holder;
					queueMicrotask(() => robbed?.reject(new DOMException('Taken.', 'AbortError')));
					mine.grant();
				} else if (this.#holder) this.#waiting.push(mine);
				else mine.grant();
			});
		return {
			request: request as LockManager['request'],
			crash: () => {
				gone = true;
				for (const one of own) this.#forget(one);
				if (this.#holder && own.has(this.#holder)) this.#release();
			}
		};
	}

	#forget(request: Request): void {
		const at = this.#waiting.indexOf(request);
		if (at >= 0) this.#waiting.splice(at, 1);
	}

	#release(): void {
		this.#holder = null;
		this.#waiting.shift()?.grant();
	}
}

/** A channel on which words wait, in order, until they are delivered to one tab or another. */
export class FakeChannels {
	readonly #open = new Set<FakeChannel>();

	/** As one tab sees them. */
	forTab(): { make: (name: string) => ChannelLike; crash(): void; deliver(): void } {
		const own: FakeChannel[] = [];
		return {
			make: () => {
				const channel = new FakeChannel(this.#open);
				own.push(channel);
				return channel;
			},
			crash: () => own.forEach((channel) => channel.close()),
			deliver: () => own.forEach((channel) => channel.deliver())
		};
	}

	deliverAll(): void {
		while ([...this.#open].some((channel) => channel.deliver()));
	}
}

class FakeChannel implements ChannelLike {
	onmessage: ((event: MessageEvent<Word>) => unknown) | null = null;
	readonly #open: Set<FakeChannel>;
	readonly #waiting: Word[] = [];

	constructor(open: Set<FakeChannel>) {
		this.#open = open;
		open.add(this);
	}

	postMessage(word: Word): void {
		if (!this.#open.has(this)) return;
		for (const other of this.#open) if (other !== this) other.#waiting.push(word);
	}

	/** Hands over the oldest word; false when there is none. */
	deliver(): boolean {
		const word = this.#waiting.shift();
		if (!word || !this.#open.has(this)) return false;
		this.onmessage?.(new MessageEvent('message', { data: structuredClone(word) }));
		return true;
	}

	close(): void {
		this.#open.delete(this);
		this.#waiting.length = 0;
	}
}
