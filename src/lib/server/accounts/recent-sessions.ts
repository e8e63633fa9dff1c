import type { Services } from '../services.ts';
import type { ViewerSession } from '../trpc/context.ts';
import { findSession, sessionName } from './sessions.ts';

/**
 * How long a session is believed without asking the database again. It is forgotten at once when it
 * ends, by the same notification that cuts its streams; the times are for one that got lost.
 */
const BELIEVED_MS = 6000;
/** After so long the next request has it asked about, and does not wait for the answer. */
const FRESH_MS = 3000;
/** Remembered at most; past that the one found longest ago is forgotten. */
const REMEMBERED_MAX = 20_000;

interface Found {
	session: ViewerSession;
	at: number;
	/** Whether it is being asked about again. */
	asked: boolean;
}

/** Who holds a token, for requests that come one after the other. */
export class RecentSessions {
	readonly #services: Services;
	readonly #now: () => number;
	readonly #found = new Map<string, Found>();
	/** Counts the ends heard of: an answer that was under way meanwhile is not kept. */
	#ends = 0;

	/** `now`: milliseconds since any moment. */
	constructor(services: Services, now = () => performance.now()) {
		this.#services = services;
		this.#now = now;
		services.realtime.onSessionsEnd((ids) => this.#forget(ids));
	}

	/** As `findSession`. */
	async find(token: string): Promise<ViewerSession | null> {
		// Who does not hear of ends has to ask.
		if (!this.#services.realtime.isListening) return findSession(this.#services, token);
		const name = sessionName(token);
		const known = this.#found.get(name);
		const age = known ? this.#now() - known.at : Infinity;
		if (!known || age >= BELIEVED_MS) return this.#ask(token, name);
		if (age >= FRESH_MS && !known.asked) {
			known.asked = true;
			// Should it fail, whoever comes when this is not believed any more is told.
			this.#ask(token, name).catch(() => undefined);
		}
		return known.session;
	}

	async #ask(token: string, name: string): Promise<ViewerSession | null> {
		const ends = this.#ends;
		const session = await findSession(this.#services, token);
		this.#found.delete(name);
		if (session && ends === this.#ends) this.#remember(name, session);
		return session;
	}

	#remember(name: string, session: ViewerSession): void {
		this.#found.set(name, { session, at: this.#now(), asked: false });
		if (this.#found.size <= REMEMBERED_MAX) return;
		for (const oldest of this.#found.keys()) {
			this.#found.delete(oldest);
			break;
		}
	}

	#forget(ids: string[] | 'any'): void {
		this.#ends++;
		if (ids === 'any') this.#found.clear();
		else for (const id of ids) this.#found.delete(id);
	}
}
