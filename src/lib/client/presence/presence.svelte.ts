/**
 * Who of those on the screen is online. What shows a person says so (`look`, `inSight`); all of a
 * tab are asked for together, and told of by the stream until the lease runs out. Nothing is shown
 * that might be out of date: without a connection nobody is online.
 */
import type { Attachment } from 'svelte/attachments';
import { uuidv7 } from 'uuidv7';
import type { StreamEvent } from '#lib/shared/events.ts';
import type * as shared from '#lib/shared/presence.ts';
import type { LookAnswer, LookInput } from '#lib/shared/presence.ts';
import { errorSeconds } from '#lib/client/trpc.ts';

/** Only their types are imported, which are the numbers: zod stays out of the bundle. */
const LOOK_MAX: typeof shared.LOOK_MAX = 100;
const LOOK_LEASE_MS: typeof shared.LOOK_LEASE_MS = 60_000;
/** So long the screen may go on changing before it is asked for what it shows. */
const GATHER_MS = 300;
/** After a restart of the server everybody comes back at once; what matters more goes first. */
const RETURN_WITHIN_MS = 3000;
const RETRY_MS = 5000;
/** What is about to be scrolled into sight is asked for too. */
const MARGIN = '160px';

export interface PresenceOptions {
	ask: (input: LookInput) => Promise<LookAnswer>;
	random?: () => number;
}

export class Presence {
	readonly #ask: (input: LookInput) => Promise<LookAnswer>;
	readonly #random: () => number;
	readonly #tab = uuidv7();
	#online: ReadonlySet<string> = $state.raw(new Set<string>());
	/** Who is shown, and in how many places; whoever was shown last comes last. */
	readonly #shown = new Map<string, number>();
	/** What shows people and may be out of sight, and what ends its being looked at. */
	readonly #elements = new Map<Element, { personId: string; leave?: () => void }>();
	#observer: IntersectionObserver | undefined;
	/** Of whom the server tells, as far as we know. */
	#asked: ReadonlySet<string> = new Set<string>();
	/** What was told while a question was under way, whose answer may be older. */
	readonly #told = new Map<string, boolean>();
	#asking = false;
	#connected = false;
	#returning = false;
	/** Rises with every loss of what was known: an answer to a question from before is worth nothing. */
	#connection = 0;
	#leasedUntil = 0;
	/** From when on the same is asked again. */
	#renewAt = 0;
	#next: ReturnType<typeof setTimeout> | undefined;
	#nextAt = Infinity;
	#expiry: ReturnType<typeof setTimeout> | undefined;

	constructor({ ask, random = Math.random }: PresenceOptions) {
		this.#ask = ask;
		this.#random = random;
	}

	isOnline(personId: string): boolean {
		return this.#online.has(personId);
	}

	/** Somebody is shown; returns what says that they are no more. */
	look(personId: string): () => void {
		const places = this.#shown.get(personId) ?? 0;
		this.#shown.delete(personId);
		this.#shown.set(personId, places + 1);
		if (places === 0) this.#askWithin(GATHER_MS);
		let shown = true;
		return () => {
			if (!shown) return;
			shown = false;
			const left = (this.#shown.get(personId) ?? 1) - 1;
			if (left > 0) return void this.#shown.set(personId, left);
			this.#shown.delete(personId);
			this.#askWithin(GATHER_MS);
		};
	}

	/** The same for as long as an element is in sight. */
	inSight(personId: string | null): Attachment | undefined {
		if (personId === null) return undefined;
		return (element) => {
			this.#elements.set(element, { personId });
			this.#observer?.observe(element);
			return () => {
				this.#observer?.unobserve(element);
				this.#elements.get(element)?.leave?.();
				this.#elements.delete(element);
			};
		};
	}

	/** The connection is live. */
	connected(): void {
		if (this.#connected) return;
		this.#connected = true;
		this.#watch();
		this.#askWithin(GATHER_MS + (this.#returning ? this.#random() * RETURN_WITHIN_MS : 0));
		this.#returning = true;
	}

	/** The connection is gone, and with it whatever was known. */
	lost(): void {
		this.#connected = false;
		this.#connection++;
		this.#forget();
		this.#asked = new Set();
		this.#renewAt = 0;
		clearTimeout(this.#next);
		this.#nextAt = Infinity;
	}

	/** Somebody looks at the page (again), or nobody does. */
	pageShown(visible: boolean): void {
		if (!visible) {
			clearTimeout(this.#next);
			this.#nextAt = Infinity;
			return;
		}
		// The system may have stopped the clock of a page that nobody looked at.
		if (Date.now() >= this.#leasedUntil) this.#forget();
		this.#renewAt = 0;
		this.#askWithin(GATHER_MS);
	}

	/** Told to this browser, for whichever of its tabs. */
	receive({ personId, online }: Extract<StreamEvent, { type: 'presence.changed' }>): void {
		if (!this.#connected || !this.#asked.has(personId)) return;
		if (this.#asking) this.#told.set(personId, online);
		this.#set(new Map([[personId, online]]), this.#online);
	}

	/** The viewer begins or ceases to hide; what they may see follows from it. */
	changed(): void {
		this.#forget();
		this.#connection++;
		this.#renewAt = 0;
		this.#askWithin(0);
	}

	stop(): void {
		this.lost();
		this.#observer?.disconnect();
		this.#observer = undefined;
	}

	#watch(): void {
		if (this.#observer || typeof IntersectionObserver === 'undefined') return;
		this.#observer = new IntersectionObserver((entries) => this.#see(entries), {
			rootMargin: MARGIN
		});
		for (const element of this.#elements.keys()) this.#observer.observe(element);
	}

	#see(entries: IntersectionObserverEntry[]): void {
		for (const { target, isIntersecting } of entries) {
			const seen = this.#elements.get(target);
			if (!seen || isIntersecting === (seen.leave !== undefined)) continue;
			const { personId, leave } = seen;
			leave?.();
			this.#elements.set(
				target,
				isIntersecting ? { personId, leave: this.look(personId) } : { personId }
			);
		}
	}

	#askWithin(ms: number): void {
		if (!this.#connected || document.visibilityState === 'hidden') return;
		const at = Date.now() + ms;
		if (at >= this.#nextAt) return;
		clearTimeout(this.#next);
		this.#nextAt = at;
		this.#next = setTimeout(() => {
			this.#nextAt = Infinity;
			void this.#look();
		}, ms);
	}

	async #look(): Promise<void> {
		// Its answer looks again.
		if (this.#asking) return;
		const personIds = this.#wanted();
		const isAsked =
			personIds.length === this.#asked.size && personIds.every((id) => this.#asked.has(id));
		if (isAsked && personIds.length === 0) return;
		if (isAsked && Date.now() < this.#renewAt) return this.#askWithin(this.#renewAt - Date.now());
		const connection = this.#connection;
		const askedAt = Date.now();
		this.#asking = true;
		this.#asked = new Set(personIds);
		this.#renewAt = askedAt + LOOK_LEASE_MS / 2;
		this.#told.clear();
		let wait = GATHER_MS;
		try {
			const { online } = await this.#ask({ tab: this.#tab, personIds });
			if (connection === this.#connection) {
				this.#set(this.#told, online);
				this.#lease(askedAt + LOOK_LEASE_MS);
			}
		} catch (error) {
			// Until the lease runs out, what was told holds.
			this.#renewAt = 0;
			wait = (errorSeconds(error) ?? 0) * 1000 || RETRY_MS;
		}
		this.#asking = false;
		this.#askWithin(wait);
	}

	/** Of more than the server tells of, those who were shown last. */
	#wanted(): string[] {
		return [...this.#shown.keys()].slice(-LOOK_MAX);
	}

	#lease(until: number): void {
		this.#leasedUntil = until;
		clearTimeout(this.#expiry);
		// By a timer of its own: the clock of the device may be put back.
		this.#expiry = setTimeout(() => {
			this.#forget();
			this.#renewAt = 0;
			this.#askWithin(0);
		}, until - Date.now());
	}

	#set(told: ReadonlyMap<string, boolean>, online: Iterable<string>): void {
		const next = new Set(online);
		for (const [id, isOnline] of told) {
			if (isOnline) next.add(id);
			else next.delete(id);
		}
		this.#online = next;
	}

	#forget(): void {
		clearTimeout(this.#expiry);
		this.#leasedUntil = 0;
		if (this.#online.size > 0) this.#online = new Set();
	}
}
