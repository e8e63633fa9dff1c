/**
 * As much of a browser as the client's code asks for. What outlives a page is the `Browser`'s; a
 * `Page` is where the code runs, with globals of its own, and from the moment of its crash nothing of
 * it happens any more: no timer, no answer, no byte stored, and its locks are free.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { get, type ClientRequest, type IncomingMessage } from 'node:http';
import { IDBFactory as FakeIndexedDb, IDBKeyRange } from 'fake-indexeddb';

/** What a page may reach of the network, which may be away. */
export interface Network {
	isOff: boolean;
	/** Streams never come through; calls do. */
	swallowsStreams: boolean;
	door(): number;
	cookie(): string;
	fetch(path: string, options: RequestInit): Promise<Response>;
	/** A stream has opened, and what comes through it. */
	opened(): void;
	heard(data: string): void;
	/** The page threw up. */
	threw(error: unknown): void;
}

const GLOBALS = [
	'window',
	'document',
	'navigator',
	'indexedDB',
	'IDBKeyRange',
	'EventSource',
	'BroadcastChannel',
	'fetch',
	'setTimeout'
] as const;
type Globals = Record<(typeof GLOBALS)[number], unknown>;

const here = new AsyncLocalStorage<Page>();
for (const name of GLOBALS) {
	const ofNode: unknown = Reflect.get(globalThis, name);
	Object.defineProperty(globalThis, name, {
		configurable: true,
		get: () => (here.getStore()?.globals ?? { [name]: ofNode })[name]
	});
}
const { setTimeout: setRealTimeout } = globalThis;

/** Where there is no page: Node's own code would take its globals for Node's. */
export const outside = <Result>(work: () => Result): Result => here.exit(work);

/** One profile of a browser on one device. */
export class Browser {
	/** `localStorage`. */
	readonly items = new Map<string, string>();
	readonly databases = new FakeIndexedDb();
	readonly locks = new Locks();
	readonly pages = new Set<Page>();
	readonly channels = new Set<Channel>();
}

export class Page {
	readonly browser: Browser;
	readonly network: Network;
	readonly window: EventTarget;
	readonly globals: Globals;
	readonly sources = new Set<Source>();
	readonly #open = new Set<IDBDatabase>();
	readonly #writing = new Set<IDBTransaction>();
	#aborter = new AbortController();
	#gone = false;

	constructor(browser: Browser, network: Network) {
		this.browser = browser;
		this.network = network;
		browser.pages.add(this);
		this.window = Object.assign(new EventTarget(), { localStorage: new PageStorage(this) });
		this.globals = {
			window: this.window,
			document: Object.assign(new EventTarget(), { visibilityState: 'visible' }),
			navigator: { onLine: true, locks: browser.locks.of(this) },
			indexedDB: this.#databases(),
			IDBKeyRange,
			EventSource: Source.bind(null, this),
			BroadcastChannel: Channel.bind(null, this),
			fetch: (path: unknown, options?: RequestInit) => this.#fetch(String(path), options),
			setTimeout: (work: () => void, ms?: number) =>
				setRealTimeout(() => {
					if (!this.#gone) work();
				}, ms)
		};
	}

	get gone(): boolean {
		return this.#gone;
	}

	/** Runs something here, if there still is a here. */
	run<Result>(work: () => Result): Result | undefined {
		return this.#gone ? undefined : here.run(this, work);
	}

	/** As promised, unless the page is gone by then. */
	async lasting<Value>(promise: Promise<Value>): Promise<Value> {
		return new Promise((resolve, reject) => {
			promise.then(
				(value) => this.#gone || resolve(value),
				(error: unknown) => this.#gone || reject(error as Error)
			);
		});
	}

	/** The network is gone from under it. */
	cut(): void {
		this.#aborter.abort(new TypeError('fetch failed'));
		this.#aborter = new AbortController();
		for (const source of this.sources) source.fail();
	}

	crash(): void {
		this.#gone = true;
		this.browser.pages.delete(this);
		this.#aborter.abort();
		for (const source of this.sources) source.close();
		for (const channel of this.browser.channels) if (channel.page === this) channel.close();
		for (const transaction of this.#writing) {
			try {
				transaction.abort();
			} catch {
				// It has ended already, and its event is on its way.
			}
		}
		for (const database of this.#open) database.close();
		this.browser.locks.crash(this);
	}

	#fetch(path: string, options: RequestInit = {}): Promise<Response> {
		const signals = [this.#aborter.signal, options.signal ?? []].flat();
		const { network } = this;
		return this.lasting(network.fetch(path, { ...options, signal: AbortSignal.any(signals) }));
	}

	#databases(): Pick<IDBFactory, 'open' | 'deleteDatabase' | 'databases'> {
		const { databases } = this.browser;
		return {
			open: (name, version) => {
				const request = databases.open(name, version);
				request.addEventListener('success', () => this.#keep(request.result));
				return request;
			},
			deleteDatabase: (name) => databases.deleteDatabase(name),
			databases: () => databases.databases()
		};
	}

	#keep(database: IDBDatabase): void {
		if (this.#gone) return database.close();
		this.#open.add(database);
		const begin = database.transaction.bind(database);
		database.transaction = (...given) => {
			const transaction = begin(...given);
			this.#writing.add(transaction);
			for (const end of ['complete', 'abort']) {
				transaction.addEventListener(end, () => this.#writing.delete(transaction));
			}
			// A browser goes on with what a page has asked it to commit.
			const commit = transaction.commit.bind(transaction);
			transaction.commit = () => {
				this.#writing.delete(transaction);
				commit();
			};
			return transaction;
		};
	}
}

class PageStorage implements Storage {
	[name: string]: unknown;
	readonly #page: Page;

	constructor(page: Page) {
		this.#page = page;
	}

	get length(): number {
		return this.#items.size;
	}
	key(index: number): string | null {
		return [...this.#items.keys()][index] ?? null;
	}
	getItem(key: string): string | null {
		return this.#items.get(key) ?? null;
	}
	setItem(key: string, value: string): void {
		if (this.#page.gone) return;
		this.#items.set(key, value);
		this.#tellOthers(key, value);
	}
	removeItem(key: string): void {
		if (!this.#page.gone && this.#items.delete(key)) this.#tellOthers(key, null);
	}
	clear(): void {
		for (const key of [...this.#items.keys()]) this.removeItem(key);
	}

	get #items(): Map<string, string> {
		return this.#page.browser.items;
	}

	#tellOthers(key: string, newValue: string | null): void {
		for (const page of this.#page.browser.pages) {
			if (page === this.#page) continue;
			const event = Object.assign(new Event('storage'), { key, newValue });
			setImmediate(() => page.run(() => page.window.dispatchEvent(event)));
		}
	}
}

/** Web Locks: first come, first served, by name; a page that is gone gives its own back. */
class Locks {
	readonly #held = new Map<string, LockWish>();
	readonly #waiting = new Map<string, LockWish[]>();

	of(page: Page): Pick<LockManager, 'request'> {
		const request = (
			name: string,
			first: LockOptions | LockGrantedCallback<unknown>,
			second?: LockGrantedCallback<unknown>
		): Promise<unknown> =>
			new Promise((resolve, reject) => {
				const options = typeof first === 'function' ? {} : first;
				const work = typeof first === 'function' ? first : second;
				const wish: LockWish = { page, name, work: () => work?.(null), resolve, reject };
				options.signal?.addEventListener('abort', () => {
					if (this.#forget(wish)) reject(new DOMException('Given up.', 'AbortError'));
				});
				if (options.steal) {
					this.#held.get(name)?.reject(new DOMException('Taken.', 'AbortError'));
					this.#grant(wish);
				} else if (this.#held.has(name)) {
					this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), wish]);
				} else this.#grant(wish);
			});
		return { request };
	}

	crash(page: Page): void {
		for (const wishes of [...this.#waiting.values()]) {
			for (const wish of wishes) if (wish.page === page) this.#forget(wish);
		}
		for (const wish of [...this.#held.values()]) if (wish.page === page) this.#release(wish);
	}

	#grant(wish: LockWish): void {
		this.#held.set(wish.name, wish);
		setImmediate(() => {
			const done = wish.page.run(async () => wish.work());
			done?.then(wish.resolve, wish.reject).finally(() => this.#release(wish));
		});
	}

	#release(wish: LockWish): void {
		const { name } = wish;
		if (this.#held.get(name) !== wish) return;
		this.#held.delete(name);
		const [next, ...others] = this.#waiting.get(name) ?? [];
		this.#waiting.set(name, others);
		if (next) this.#grant(next);
	}

	/** False when it was not waiting. */
	#forget(wish: LockWish): boolean {
		const wishes = this.#waiting.get(wish.name) ?? [];
		this.#waiting.set(
			wish.name,
			wishes.filter((one) => one !== wish)
		);
		return wishes.includes(wish);
	}
}

interface LockWish {
	page: Page;
	name: string;
	work: () => unknown;
	resolve: (value: unknown) => void;
	reject: (reason: Error) => void;
}

class Channel {
	onmessage: ((event: MessageEvent) => unknown) | null = null;
	readonly page: Page;
	readonly #name: string;

	constructor(page: Page, name: string) {
		this.page = page;
		this.#name = name;
		page.browser.channels.add(this);
	}

	postMessage(word: unknown): void {
		const { channels } = this.page.browser;
		if (!channels.has(this)) return;
		for (const other of channels) {
			if (other === this || other.#name !== this.#name) continue;
			const event = new MessageEvent('message', { data: structuredClone(word) });
			setImmediate(() => {
				if (channels.has(other)) other.page.run(() => other.onmessage?.(event));
			});
		}
	}

	close(): void {
		this.page.browser.channels.delete(this);
	}
}

/** `EventSource`, without trying again: the client does that itself. */
class Source {
	onmessage: ((event: MessageEvent<string>) => unknown) | null = null;
	onerror: ((event: Event) => unknown) | null = null;
	readyState = 0;
	readonly #page: Page;
	#request: ClientRequest | undefined;

	constructor(page: Page, path: string) {
		this.#page = page;
		page.sources.add(this);
		const { network } = page;
		if (network.isOff || network.swallowsStreams) {
			setImmediate(() => this.fail());
			return;
		}
		const headers = { cookie: network.cookie() };
		const request = get({ host: '127.0.0.1', port: network.door(), path, headers, agent: false });
		this.#request = request;
		request.on('error', () => this.fail());
		request.on('close', () => this.fail());
		request.on('response', (response) => {
			if (response.statusCode !== 200) return this.#fail(2);
			this.readyState = 1;
			network.opened();
			this.#read(response);
		});
	}

	/** A connection that breaks is to be made again, other than one that was refused. */
	fail(): void {
		this.#fail(0);
	}

	close(): void {
		this.readyState = 2;
		this.#page.sources.delete(this);
		this.#request?.destroy();
	}

	#fail(readyState: number): void {
		if (!this.#page.sources.has(this)) return;
		this.close();
		this.readyState = readyState;
		this.#page.run(() => this.onerror?.(new Event('error')));
	}

	#read(response: IncomingMessage): void {
		let text = '';
		response.on('error', () => undefined);
		response.setEncoding('utf8').on('data', (more: string) => {
			text += more;
			const parts = text.split('\n\n');
			text = parts.pop() ?? '';
			for (const part of parts) {
				const data = /^data: (.*)$/m.exec(part)?.[1];
				if (data !== undefined) this.#tell(data);
			}
		});
	}

	#tell(data: string): void {
		const page = this.#page;
		if (!page.sources.has(this)) return;
		page.network.heard(data);
		try {
			page.run(() => this.onmessage?.(new MessageEvent('message', { data })));
		} catch (error) {
			// Bytes were lost on the way: a browser says so on its console, and goes on.
			if (!(error instanceof SyntaxError)) page.network.threw(error);
		}
	}
}
