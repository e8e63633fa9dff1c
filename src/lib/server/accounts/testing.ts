/** For tests: accounts on a database of their own, and browsers that hold cookies. */
import { readEnv } from '#env';
import type { ViewerView } from '#lib/shared/accounts.ts';
import { freshDatabase } from '../../../../tests/setup/database.ts';
import { MessageWriter } from '../messages/messages.ts';
import { openDatabase } from '../platform/db.ts';
import { openLimiter } from '../platform/limits.ts';
import { openLog } from '../platform/log.ts';
import { Presence } from '../presence/presence.ts';
import { Receipts } from '../receipts/receipts.ts';
import { Realtime } from '../realtime/realtime.ts';
import type { Services } from '../services.ts';
import { changeSource } from '../sync/sync.ts';
import { createCallerFactory } from '../trpc/procedures.ts';
import { accountsRouter } from './router.ts';
import { findSession } from './sessions.ts';

export const PASSWORD = 'correct horse battery';

const createCaller = createCallerFactory(accountsRouter);

export class House {
	readonly services: Services;
	/** Milliseconds since the epoch, as the limits see it. */
	now = Date.now();
	/** Sessions whose streams were cut, in this order. */
	readonly cut: string[] = [];
	readonly #drop: () => Promise<void>;
	#newcomers = 0;

	constructor(url: string, drop: () => Promise<void>, settings: Record<string, string>) {
		this.#drop = drop;
		const env = readEnv({ NODE_ENV: 'test', DATABASE_URL: url, ...settings });
		const log = openLog('silent');
		const db = openDatabase(url, 5);
		const realtime = new Realtime(db, changeSource(db), log, async () => ({
			notify: async () => {},
			stop: async () => {}
		}));
		const publish = realtime.publish.bind(realtime);
		realtime.publish = (advance) => {
			this.cut.push(...advance.sessions);
			publish(advance);
		};
		const limits = openLimiter(undefined, log, () => this.now);
		this.services = {
			env,
			db,
			log,
			metrics: realtime.metrics,
			limits,
			realtime,
			writer: new MessageWriter([db.sql], realtime, log),
			presence: new Presence({ db, log, limits, realtime, redisUrl: undefined }),
			receipts: new Receipts({ db, log, limits, realtime })
		};
	}

	static async open(settings: Record<string, string> = {}): Promise<House> {
		const { url, drop } = await freshDatabase();
		return new House(url, drop, settings);
	}

	browser(address?: string): Browser {
		return new Browser(this, address ?? `192.0.2.${this.#newcomers++ % 256}`);
	}

	/** Somebody new, signed in; the name is the username with a capital. */
	async person(username: string, name = username.replace(/^./, (c) => c.toUpperCase())) {
		const browser = this.browser();
		const viewer = await browser.signUp({ username, name });
		return { browser, viewer };
	}

	async close(): Promise<void> {
		await this.services.realtime.close();
		await this.services.presence.close();
		await this.services.limits.close();
		await this.services.db.close();
		await this.#drop();
	}
}

/** Holds a cookie and asks with it. */
export class Browser {
	readonly house: House;
	readonly address: string;
	token: string | null = null;

	constructor(house: House, address: string) {
		this.house = house;
		this.address = address;
	}

	async session() {
		return this.token === null ? null : findSession(this.house.services, this.token);
	}

	/** The procedures as this browser may call them now. */
	async ask() {
		return createCaller({
			services: this.house.services,
			session: await this.session(),
			address: this.address,
			userAgent: 'Browser/1.0',
			setSessionCookie: (token) => {
				this.token = token;
			}
		});
	}

	async signUp(given: { username: string; name?: string; email?: string }): Promise<ViewerView> {
		const { username, name = 'Somebody', email = `${username}@example.org` } = given;
		return (await this.ask()).signUp({ username, name, email, password: PASSWORD });
	}

	async signIn(login: string, password = PASSWORD): Promise<ViewerView> {
		return (await this.ask()).signIn({ login, password });
	}
}

/** What a refused call says: its code, and beside it where the fault lies or how long to wait. */
export async function refusal(call: Promise<unknown>): Promise<Record<string, unknown>> {
	try {
		await call;
	} catch (error) {
		const cause = error instanceof Error ? error.cause : undefined;
		if (cause && typeof cause === 'object' && 'code' in cause && 'details' in cause) {
			return { reason: cause.code, ...(cause.details as object) };
		}
		if (error instanceof Error && 'code' in error) return { trpc: error.code };
		throw error;
	}
	return { reason: 'none' };
}
