/**
 * Tabs that nothing looks into but what is asked here: the driver of the tests puts a script context
 * of its own into every page, which on a slow processor takes tens of milliseconds of its opening.
 * By the Chrome DevTools Protocol, 1.3.
 */
import { once } from 'node:events';
import type { Browser } from 'playwright';
import { anyFreePort } from '../../scripts/lib/ports.ts';
import { launchBrowser } from '../../tests/setup/browser.ts';

/** CSS pixels. */
const WINDOW = { width: 1280, height: 720 };

interface Answer {
	id?: number;
	result?: unknown;
	error?: { message: string };
}

type Waiting = PromiseWithResolvers<unknown>;

/** A Chromium, and the one connection to all that is in it. */
export class BareBrowser {
	readonly #browser: Browser;
	readonly #socket: WebSocket;
	readonly #waiting = new Map<number, Waiting>();
	#asked = 0;

	private constructor(browser: Browser, socket: WebSocket) {
		this.#browser = browser;
		this.#socket = socket;
		socket.addEventListener('message', ({ data }) =>
			this.#hear(JSON.parse(String(data)) as Answer)
		);
	}

	static async launch(): Promise<BareBrowser> {
		const port = await anyFreePort();
		const browser = await launchBrowser([`--remote-debugging-port=${port}`]);
		const answer = await fetch(`http://127.0.0.1:${port}/json/version`);
		const { webSocketDebuggerUrl } = (await answer.json()) as { webSocketDebuggerUrl: string };
		const socket = new WebSocket(webSocketDebuggerUrl);
		await once(socket, 'open');
		return new BareBrowser(browser, socket);
	}

	/** Somebody who was never here, with these cookies. */
	async visitor(url: string, cookies: Map<string, string>): Promise<Visitor> {
		const { browserContextId } = await this.send<{ browserContextId: string }>(
			'Target.createBrowserContext'
		);
		await this.send('Storage.setCookies', {
			browserContextId,
			cookies: [...cookies].map(([name, value]) => ({ name, value, url }))
		});
		return new Visitor(this, url, browserContextId);
	}

	async send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
		const id = ++this.#asked;
		const waiting = Promise.withResolvers<unknown>();
		this.#waiting.set(id, waiting);
		this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
		return (await waiting.promise) as T;
	}

	async close(): Promise<void> {
		this.#socket.close();
		await this.#browser.close();
	}

	#hear({ id = 0, result, error }: Answer): void {
		const waiting = this.#waiting.get(id);
		this.#waiting.delete(id);
		if (error) waiting?.reject(new Error(error.message));
		else waiting?.resolve(result);
	}
}

/** A browser's own cookies, storage and cache. */
export class Visitor {
	readonly #browser: BareBrowser;
	readonly #url: string;
	readonly #browserContextId: string;

	constructor(browser: BareBrowser, url: string, browserContextId: string) {
		this.#browser = browser;
		this.#url = url;
		this.#browserContextId = browserContextId;
	}

	/** An empty one; `script` runs first in each of its documents. */
	async tab(script = ''): Promise<Tab> {
		const { targetId } = await this.#browser.send<{ targetId: string }>('Target.createTarget', {
			url: 'about:blank',
			browserContextId: this.#browserContextId,
			newWindow: true
		});
		const { sessionId } = await this.#browser.send<{ sessionId: string }>('Target.attachToTarget', {
			targetId,
			flatten: true
		});
		const tab = new Tab(this.#browser, this.#url, targetId, sessionId);
		await tab.prepare(script);
		return tab;
	}

	async leave(): Promise<void> {
		await this.#browser.send('Target.disposeBrowserContext', {
			browserContextId: this.#browserContextId
		});
	}
}

export class Tab {
	readonly #browser: BareBrowser;
	readonly #url: string;
	readonly #targetId: string;
	readonly #sessionId: string;

	constructor(browser: BareBrowser, url: string, targetId: string, sessionId: string) {
		this.#browser = browser;
		this.#url = url;
		this.#targetId = targetId;
		this.#sessionId = sessionId;
	}

	async prepare(script: string): Promise<void> {
		await this.#send('Emulation.setDeviceMetricsOverride', {
			...WINDOW,
			deviceScaleFactor: 1,
			mobile: false
		});
		await this.#send('Page.enable');
		await this.#send('Page.addScriptToEvaluateOnNewDocument', { source: script });
	}

	/** Lets the page compute at that part of the machine's speed: 4 is a quarter. */
	async slowDown(rate: number): Promise<void> {
		await this.#send('Emulation.setCPUThrottlingRate', { rate });
	}

	/** Resolves when the page has begun. */
	async navigate(path: string): Promise<void> {
		await this.#send('Page.navigate', { url: this.#url + path });
	}

	/** What an expression in the page comes to, if it is a promise, what that comes to; as JSON. */
	async evaluate<T>(expression: string): Promise<T> {
		const { result, exceptionDetails } = await this.#send<{
			result: { value: T };
			exceptionDetails?: { text: string };
		}>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
		if (exceptionDetails) throw new Error(`${exceptionDetails.text}: ${expression}`);
		return result.value;
	}

	async close(): Promise<void> {
		await this.#browser.send('Target.closeTarget', { targetId: this.#targetId });
	}

	#send<T>(method: string, params?: object): Promise<T> {
		return this.#browser.send<T>(method, params, this.#sessionId);
	}
}
