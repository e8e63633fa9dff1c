/**
 * What every end-to-end test stands on: a browser, the built app on a database of its own, and a
 * watch over every page for what nobody asked for (errors, violations of the security policy).
 */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTRPCClient, httpLink } from '@trpc/client';
import postgres, { type Sql } from 'postgres';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, expect, test as anyTest, type TestContext } from 'vitest';
import type { AppRouter } from '#lib/server/trpc/router.ts';
import { searchable } from '#lib/shared/text.ts';
import { findChromium } from '../../scripts/lib/chromium.ts';
import { launchBrowser } from '../setup/browser.ts';
import { freshDatabase, type FreshDatabase } from '../setup/database.ts';
import { startServer, type RunningServer } from '../setup/server.ts';
import { Network, steadyPort } from './network.ts';
import { POLL, Screen, type Account } from './people.ts';

/** Without a Chromium each test is skipped, by its name. */
export const test = anyTest.skipIf(!findChromium());

/** Waits until what is asked for becomes true: `await eventually(() => …).toBe(…)`. */
export const eventually = <T>(ask: () => T | Promise<T>) => expect.poll(ask, POLL);

export type Api = ReturnType<typeof createTRPCClient<AppRouter>>;

/** What a browser says of a connection that breaks, or is not there. */
export const BROKEN =
	/ERR_(CONNECTION|EMPTY|INTERNET|NETWORK|SOCKET|INCOMPLETE|FAILED)|status of 50[23]/;

interface StageOptions {
	env?: Record<string, string>;
	/** Between the browsers and the server lies a network that can be cut. */
	withNetwork?: boolean;
}

/** Generous limits: only a test about limits meets them. */
const ENV = {
	SEND_LIMIT_PER_MINUTE: '100000',
	SEND_BURST: '100000',
	SIGN_IN_LIMIT_PER_ADDRESS: '1000',
	SIGN_IN_LIMIT_PER_ACCOUNT: '1000'
};

/** Call it at the top of a file; the stage is there from the first test on. */
export function useStage(options: StageOptions = {}): Stage {
	const stage = new Stage(options);
	beforeAll(() => stage.open());
	afterEach((context) => stage.clear(context));
	afterAll(() => stage.close());
	return stage;
}

export class Stage {
	/** The address that people open. */
	url = '';
	/** Only where `withNetwork` was asked for. */
	network!: Network;
	server!: RunningServer;
	/** Past the app, for what would take too long to do by hand. */
	sql!: Sql;
	readonly #options: StageOptions;
	#browser!: Browser;
	#database!: FreshDatabase;
	#serverPort = 0;
	#contexts: BrowserContext[] = [];
	/** What went wrong in a page, with where; emptied after each test. */
	#faults: string[] = [];

	constructor(options: StageOptions) {
		this.#options = options;
	}

	async open(): Promise<void> {
		this.#database = await freshDatabase();
		this.sql = postgres(this.#database.url, { max: 2, onnotice: () => undefined });
		this.#serverPort = await steadyPort();
		this.url = `http://localhost:${this.#serverPort}`;
		if (this.#options.withNetwork) {
			this.network = await Network.before(this.#serverPort);
			this.url = `http://localhost:${this.network.port}`;
		}
		await this.startServer();
		this.#browser = await launchBrowser();
	}

	/** Again, in the same place, after `server.kill()`. */
	async startServer(): Promise<void> {
		this.server = await startServer({
			databaseUrl: this.#database.url,
			port: this.#serverPort,
			env: { ...ENV, ORIGIN: this.url, ...this.#options.env }
		});
	}

	/** After each test: its pages go, and it fails if one of them complained. */
	async clear({ task }: TestContext): Promise<void> {
		if (task.result?.state === 'fail') await this.#photograph(task.name);
		await Promise.all(this.#contexts.map((context) => context.close()));
		this.#contexts = [];
		const faults = this.#faults;
		this.#faults = [];
		expect(faults, 'errors in the pages').toEqual([]);
	}

	async close(): Promise<void> {
		await this.#browser.close();
		await this.server.stop();
		await this.network?.close();
		await this.sql.end();
		await this.#database.drop();
	}

	/** A browser of its own. */
	async browse(options: BrowserContextOptions = {}): Promise<BrowserContext> {
		const context = await this.#browser.newContext({
			baseURL: this.url,
			locale: 'en-GB',
			timezoneId: 'Europe/Madrid',
			...options
		});
		context.setDefaultTimeout(POLL.timeout);
		context.setDefaultNavigationTimeout(POLL.timeout);
		this.#contexts.push(context);
		return context;
	}

	get databaseUrl(): string {
		return this.#database.url;
	}

	/** Somebody who has never been here, with an empty page. */
	async visitor(name: string, options?: BrowserContextOptions): Promise<Screen> {
		return this.#screen(accountOf(name), await this.browse(options));
	}

	/** Somebody who has an account and is signed in, before the list of conversations. */
	async person(name: string, options?: BrowserContextOptions): Promise<Screen> {
		const screen = await this.visitor(name, options);
		await apiOf(this.url, screen.context).accounts.signUp.mutate(screen.account);
		await screen.goto('/chats');
		return screen;
	}

	/** The same person, signed in on another device. */
	async anotherDevice(of: Screen, options?: BrowserContextOptions): Promise<Screen> {
		const screen = await this.signedIn(of.account, options);
		await screen.goto('/chats');
		return screen;
	}

	/** Two people in a conversation that has begun, on connections that may break. */
	async pair(name: string): Promise<[Screen, Screen]> {
		const ana = await this.person(`${name} Ana`);
		const bruno = await this.person(`${name} Bruno`);
		await ana.startDirect(bruno.name);
		await ana.say('Before.');
		await bruno.open(ana.name);
		await bruno.sees('Before.');
		for (const screen of [ana, bruno]) screen.expectErrors(BROKEN);
		return [ana, bruno];
	}

	/** Signed in, with an empty page. */
	async signedIn(account: Account, options?: BrowserContextOptions): Promise<Screen> {
		const screen = await this.#screen(account, await this.browse(options));
		const { username: login, password } = account;
		await apiOf(this.url, screen.context).accounts.signIn.mutate({ login, password });
		return screen;
	}

	/** Another tab beside this one. */
	anotherTab(of: Screen): Promise<Screen> {
		return this.#screen(of.account, of.context);
	}

	/** The procedures, called past the screen with the session of this browser. */
	api(of: Screen): Api {
		return apiOf(this.url, of.context);
	}

	async #screen(account: Account, context: BrowserContext): Promise<Screen> {
		const screen = new Screen(account, context, await context.newPage());
		this.#watch(screen);
		return screen;
	}

	#watch(screen: Screen): void {
		const report = (what: string) => {
			if (!screen.expected.some((pattern) => pattern.test(what))) {
				this.#faults.push(`${screen.account.name}: ${what}`);
			}
		};
		screen.page.on('pageerror', (error) => report(`${error.message} ${error.stack ?? ''}`));
		screen.page.on('console', (message) => {
			if (message.type() !== 'error' && message.type() !== 'warning') return;
			report(`${message.text()} (${message.location().url})`);
		});
	}

	async #photograph(test: string): Promise<void> {
		const folder = path.join(tmpdir(), 'tertulia-e2e');
		mkdirSync(folder, { recursive: true });
		const name = test.replace(/[^a-z0-9]+/gi, '-').slice(0, 60);
		const pages: Page[] = this.#contexts.flatMap((context) => context.pages());
		for (const [index, page] of pages.entries()) {
			const file = path.join(folder, `${name}-${index + 1}.png`);
			// A page that cannot be photographed is no further fault.
			const taken = await page.screenshot({ path: file, timeout: 5000 }).catch(() => undefined);
			if (taken) console.error(`What the page showed: ${file}`);
		}
	}
}

function accountOf(name: string): Account {
	const username = searchable(name).replace(/[^a-z0-9]+/g, '.');
	return {
		name,
		username,
		email: `${username}@example.test`,
		password: `${username} at the table`
	};
}

function apiOf(url: string, context: BrowserContext): Api {
	return createTRPCClient<AppRouter>({
		links: [
			httpLink({
				url: `${url}/trpc`,
				// Through the browser's own jar: it keeps the cookies that come back.
				fetch: async (target, init) => {
					const answer = await context.request.fetch(String(target as string | URL), {
						method: init?.method ?? 'GET',
						headers: { ...(init?.headers as Record<string, string>), origin: url },
						...(typeof init?.body === 'string' && { data: init.body })
					});
					return new Response(await answer.text(), { status: answer.status() });
				}
			})
		]
	});
}
