/**
 * What the viewer has sent and the server has not yet confirmed.
 *
 * An outgoing message is
 * - pending: stored on the device and shown. It is tried in order, again and again for a day: no
 *   network, a busy server and a limit on sending only delay it, and all after it in its conversation;
 * - failed: the server refuses it for good, or the day is over. It waits for `retry` or `discard`,
 *   and holds up none of those after it;
 * - gone from here: the message itself has arrived, by the answer or by the stream, whichever was
 *   first, and takes its place on the screen in the same frame.
 *
 * A conversation has one request under way at a time. What is new goes at once and alone; what has
 * come together meanwhile, or without a network, goes in the next one, each with its own outcome.
 *
 * The id makes any repetition harmless, so nothing here has to know whether a try that ended without
 * an answer had its effect. Tabs show each other's messages; a lock per conversation lets one of
 * them send, and passes on by itself when that one is closed or crashes.
 */
import { uuidv7 } from 'uuidv7';
import { errorDetails, errorReason } from '#lib/client/trpc.ts';
import { browserLocks } from '#lib/client/sync/tabs.ts';
import { backoff, type Random } from '#lib/client/sync/backoff.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';
import type { ErrorCode } from '#lib/shared/errors.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { MessageView, SEND_MANY_MAX, SendInput, SendOutcome } from '#lib/shared/messages.ts';
import { storable } from '#lib/shared/text.ts';
import { OutboxStorage, type OutgoingMessage } from './outbox-storage.ts';
import { browserStorage } from './storage.ts';

export type { OutgoingMessage } from './outbox-storage.ts';

/** How long a message is tried before somebody has to decide. */
const TRY_FOR_MS = 24 * 60 * 60 * 1000;
/** Messages in one request. */
const TOGETHER_MAX: typeof SEND_MANY_MAX = 50;
/** Their text in UTF-16 units, as the longest message alone may have: it comes through in that time. */
const TOGETHER_LENGTH_MAX = 16_000;
/** When the server says 'too fast' without saying for how long. */
const SLOW_DOWN_SECONDS = 5;
/** A message that another tab has sent is on its way here by the stream: shown so long meanwhile. */
const ARRIVES_WITHIN_MS = 3000;
const NONE: readonly OutgoingMessage[] = [];

interface Refusal {
	reason: ErrorCode | 'network';
	/** Seconds. */
	retryAfter?: number;
}
type Outcome = { delta: ConversationDelta } | { error: Refusal };
/** For which the server has not said what became of it. */
const NO_ANSWER: Outcome = { error: { reason: 'internal' } };
/** After these a message is tried again. */
export const DELAYS: ReadonlySet<string> = new Set<Refusal['reason']>([
	'network',
	'internal',
	'server_busy',
	'sending_too_fast',
	'too_many_attempts',
	'not_signed_in'
]);

export interface OutboxOptions {
	personId: string;
	store: ReplicaStore;
	send: (input: SendInput) => Promise<ConversationDelta>;
	/** Answers each in its place. */
	sendMany: (inputs: SendInput[]) => Promise<SendOutcome[]>;
	/** Takes the answer into the replica. */
	absorb: (delta: ConversationDelta) => void;
	storage?: Storage | null;
	/** Null where the browser has none: then tabs may send the same twice, which is harmless. */
	locks?: Pick<LockManager, 'request'> | null;
	/** Tells of the other tabs' `storage` events. */
	tabs?: EventTarget | null;
	random?: Random;
}

export class Outbox {
	readonly #options: OutboxOptions;
	readonly #storage: OutboxStorage;
	readonly #locks: Pick<LockManager, 'request'> | null;
	readonly #random: Random;
	#entries: ReadonlyMap<string, readonly OutgoingMessage[]> = $state.raw(new Map());
	/** Conversations that were told to slow down and have not got through since, and until when. */
	#slowed: ReadonlyMap<string, number> = $state.raw(new Map());
	#keeps = $state(true);

	#running = false;
	#togetherMax: number = TOGETHER_MAX;
	readonly #draining = new Set<string>();
	readonly #inFlight = new Set<string>();
	/** Confirmed, and shown until the message itself is: id → version of the answer. */
	readonly #confirmed = new Map<string, number>();
	readonly #failures = new Map<string, number>();
	readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

	constructor(options: OutboxOptions) {
		this.#options = options;
		const { storage, locks, random } = options;
		this.#storage = new OutboxStorage(
			options.personId,
			storage === undefined ? browserStorage() : storage
		);
		this.#locks = locks === undefined ? browserLocks() : locks;
		this.#random = random ?? Math.random;
		options.store.watch({
			arrived: (messages) => this.#settle(messages),
			changed: () => this.#dropConfirmed()
		});
	}

	/** In the order of sending. */
	of(conversationId: string): readonly OutgoingMessage[] {
		return this.#entries.get(conversationId) ?? NONE;
	}

	/** Messages that the server does not have yet, the failed ones too: worth a word before leaving. */
	get size(): number {
		return [...this.#entries.values()].reduce((count, entries) => count + entries.length, 0);
	}

	/**
	 * The server asked to slow down: until when (milliseconds since the epoch), or null. The one limit
	 * is for all conversations. It stays, although in the past, while the try after it is under way.
	 */
	get slowedUntil(): number | null {
		return this.#slowed.size > 0 ? Math.max(...this.#slowed.values()) : null;
	}

	/** Shows the message at once and sends it as soon as it can be. Returns its id. */
	send(conversationId: string, body: string): string {
		const id = uuidv7();
		const entry: OutgoingMessage = {
			id,
			conversationId,
			body: storable(body),
			createdAt: Date.now(),
			state: 'pending'
		};
		this.#keeps = this.#storage.save(entry);
		this.#put(entry);
		this.#drain(conversationId);
		return id;
	}

	/** Gives a failed message another day. */
	retry(id: string): void {
		const entry = this.#find(id);
		if (entry?.state !== 'failed') return;
		const { reason: _, ...rest } = entry;
		const again: OutgoingMessage = { ...rest, state: 'pending', createdAt: Date.now() };
		this.#storage.save(again);
		this.#put(again);
		this.#tryNow(entry.conversationId);
	}

	/** Forgets a message. One that is just being sent can no longer be held back. */
	discard(id: string): void {
		if (this.#inFlight.has(id) || this.#confirmed.has(id)) return;
		this.#storage.remove(id);
		this.#remove(id);
	}

	/** Forgets everything that this page shows as unsent. */
	discardAll(): void {
		for (const { id } of [...this.#entries.values()].flat()) {
			this.#storage.remove(id);
			this.#remove(id);
		}
	}

	/** False where storage is full or forbidden: then what is unsent is lost with the page. */
	get keeps(): boolean {
		return this.#keeps;
	}

	/** Brings back what an earlier page left and begins to send; returns what stops it. */
	start(): () => void {
		this.#running = true;
		for (const entry of this.#storage.load()) this.#put(entry);
		// Confirmed while no page was open to hear of it.
		for (const conversationId of this.#entries.keys()) {
			this.#settle([...(this.#options.store.get(conversationId)?.messages.values() ?? [])]);
		}
		const tabs = this.#options.tabs === undefined ? window : this.#options.tabs;
		const onStorage = (event: Event) => this.#hearTab(event as StorageEvent);
		tabs?.addEventListener('storage', onStorage);
		this.kick();
		return () => {
			this.#running = false;
			tabs?.removeEventListener('storage', onStorage);
			for (const timer of this.#timers.values()) clearTimeout(timer);
			this.#timers.clear();
			this.#slowed = new Map();
		};
	}

	/** The connection is back: no more waiting. */
	kick(): void {
		for (const conversationId of this.#entries.keys()) this.#tryNow(conversationId);
	}

	#tryNow(conversationId: string): void {
		this.#failures.delete(conversationId);
		clearTimeout(this.#timers.get(conversationId));
		this.#timers.delete(conversationId);
		this.#drain(conversationId);
	}

	/** Sends what is pending in a conversation, unless that is under way or has to wait. */
	#drain(conversationId: string): void {
		if (!this.#running || this.#draining.has(conversationId)) return;
		if (this.#timers.has(conversationId)) return;
		// Another tab may have sent what this one was told to wait with.
		if (!this.#hasWaiting(conversationId)) return this.#slowDown(conversationId, null);
		this.#draining.add(conversationId);
		const sendAll = () => this.#sendAll(conversationId);
		const name = `tertulia.outbox.${this.#options.personId}.${conversationId}`;
		const done = this.#locks ? this.#locks.request(name, sendAll) : sendAll();
		void Promise.resolve(done).finally(() => {
			this.#draining.delete(conversationId);
			// What was sent in the very moment in which the lock was given back.
			this.#drain(conversationId);
		});
	}

	async #sendAll(conversationId: string): Promise<void> {
		while (this.#running) {
			const batch = this.#nextOf(conversationId);
			if (batch.length === 0) return;
			const slowed = (this.slowedUntil ?? 0) - Date.now();
			if (slowed > 0) return this.#waitFor(conversationId, slowed);
			if (!(await this.#try(conversationId, batch))) return;
		}
	}

	/** Those that go in one request, in order. */
	#nextOf(conversationId: string): OutgoingMessage[] {
		const batch: OutgoingMessage[] = [];
		let length = 0;
		for (const entry of this.of(conversationId)) {
			if (!this.#isWaiting(entry)) continue;
			if (this.#storage.isTakenElsewhere(entry.id)) this.#takenElsewhere(entry.id);
			else if (Date.now() - entry.createdAt > TRY_FOR_MS) this.#fail(entry);
			else {
				length += entry.body.length;
				if (batch.length > 0 && length > TOGETHER_LENGTH_MAX) break;
				if (batch.push(entry) === this.#togetherMax) break;
			}
		}
		return batch;
	}

	/** False when there is no use in trying the next ones now. */
	async #try(conversationId: string, batch: OutgoingMessage[]): Promise<boolean> {
		for (const { id } of batch) this.#inFlight.add(id);
		try {
			const outcomes = await this.#ask(batch);
			if (outcomes === null) return true;
			const delay = this.#conclude(conversationId, batch, outcomes);
			this.#slowDown(conversationId, null);
			if (delay) this.#postpone(conversationId, delay);
			return delay === undefined;
		} finally {
			for (const { id } of batch) this.#inFlight.delete(id);
		}
	}

	/** Each one's outcome, in its place; null when the server has looked at none of them. */
	async #ask(batch: OutgoingMessage[]): Promise<Outcome[] | null> {
		const inputs = batch.map(({ id, conversationId, body }) => ({ id, conversationId, body }));
		const [first, ...others] = inputs;
		try {
			if (!first || others.length > 0) return await this.#options.sendMany(inputs);
			return [{ delta: await this.#options.send(first) }];
		} catch (cause) {
			const error: Refusal = { ...errorDetails(cause), reason: errorReason(cause) };
			if (others.length === 0 || !isFinal(error)) return inputs.map(() => ({ error }));
			// It is the request that is refused, which says nothing of any message: each goes alone now.
			this.#togetherMax = 1;
			return null;
		}
	}

	/** What holds up those that are not settled by it, if anything does. */
	#conclude(
		conversationId: string,
		batch: OutgoingMessage[],
		outcomes: Outcome[]
	): Refusal | undefined {
		let delay: Refusal | undefined;
		for (const [i, { id }] of batch.entries()) {
			const outcome = outcomes[i] ?? NO_ANSWER;
			if ('delta' in outcome) this.#confirm(id, outcome.delta);
			else if (isFinal(outcome.error)) {
				const entry = this.#find(id);
				if (entry) this.#fail(entry, outcome.error.reason);
			} else {
				delay ??= outcome.error;
				continue;
			}
			this.#failures.delete(conversationId);
		}
		return delay;
	}

	#confirm(id: string, delta: ConversationDelta): void {
		this.#confirmed.set(id, delta.version);
		this.#options.absorb(delta);
		this.#dropConfirmed();
		this.#storage.remove(id);
	}

	/** Comes back when it makes sense. */
	#postpone(conversationId: string, { reason, retryAfter = SLOW_DOWN_SECONDS }: Refusal): void {
		if (reason === 'sending_too_fast' || reason === 'too_many_attempts') {
			this.#slowDown(conversationId, Date.now() + retryAfter * 1000);
			return this.#waitFor(conversationId, retryAfter * 1000);
		}
		if (reason === 'not_signed_in') {
			// It waits, on the device, for the same person to come back.
			this.#running = false;
			return;
		}
		const failures = (this.#failures.get(conversationId) ?? 0) + 1;
		this.#failures.set(conversationId, failures);
		this.#waitFor(conversationId, backoff(failures, this.#random));
	}

	#slowDown(conversationId: string, until: number | null): void {
		if (until === null && !this.#slowed.has(conversationId)) return;
		const slowed = new Map(this.#slowed);
		if (until === null) slowed.delete(conversationId);
		else slowed.set(conversationId, until);
		this.#slowed = slowed;
	}

	#fail(entry: OutgoingMessage, reason?: ErrorCode): void {
		const failed: OutgoingMessage = { ...entry, state: 'failed', ...(reason && { reason }) };
		this.#storage.save(failed);
		this.#put(failed);
	}

	#waitFor(conversationId: string, ms: number): void {
		clearTimeout(this.#timers.get(conversationId));
		const timer = setTimeout(() => {
			this.#timers.delete(conversationId);
			this.#drain(conversationId);
		}, ms);
		this.#timers.set(conversationId, timer);
	}

	/** Messages have come from the server: those that were ours to send are done. */
	#settle(messages: readonly MessageView[]): void {
		for (const { id, conversationId, senderId } of messages) {
			if (senderId !== this.#options.personId) continue;
			if (!this.of(conversationId).some((entry) => entry.id === id)) continue;
			this.#storage.remove(id);
			this.#remove(id);
		}
	}

	/** An answer that overtook the stream shows when what was before it has come too. */
	#dropConfirmed(): void {
		for (const [id, version] of [...this.#confirmed]) {
			const entry = this.#find(id);
			const state = entry && this.#options.store.get(entry.conversationId);
			if (!state || state.version >= version) this.#remove(id);
		}
	}

	#hearTab({ key, newValue }: StorageEvent): void {
		const id = this.#storage.idOf(key);
		if (key === null || id === null) return;
		const entry = this.#storage.learn(key, newValue);
		if (entry && !this.#confirmed.has(id)) {
			this.#put(entry);
			if (this.#locks) this.#drain(entry.conversationId);
		} else if (!entry) {
			this.#takenElsewhere(id);
		}
	}

	/** Another tab has sent it, or discarded it; in the first case the message is about to arrive. */
	#takenElsewhere(id: string): void {
		const entry = this.#find(id);
		if (!entry || this.#inFlight.has(id)) return;
		if (entry.state === 'failed') return this.#remove(id);
		if (this.#confirmed.has(id)) return;
		this.#confirmed.set(id, Infinity);
		setTimeout(() => this.#remove(id), ARRIVES_WITHIN_MS);
	}

	#hasWaiting(conversationId: string): boolean {
		return this.of(conversationId).some((entry) => this.#isWaiting(entry));
	}

	#isWaiting({ id, state }: OutgoingMessage): boolean {
		return state === 'pending' && !this.#confirmed.has(id);
	}

	#find(id: string): OutgoingMessage | undefined {
		for (const entries of this.#entries.values()) {
			const entry = entries.find((one) => one.id === id);
			if (entry) return entry;
		}
		return undefined;
	}

	#put(entry: OutgoingMessage): void {
		const others = this.of(entry.conversationId).filter(({ id }) => id !== entry.id);
		const entries = [...others, entry].sort((a, b) => (a.id < b.id ? -1 : 1));
		this.#entries = new Map(this.#entries).set(entry.conversationId, entries);
	}

	#remove(id: string): void {
		this.#confirmed.delete(id);
		const entry = this.#find(id);
		if (!entry) return;
		const left = this.of(entry.conversationId).filter((one) => one.id !== id);
		const entries = new Map(this.#entries);
		if (left.length > 0) entries.set(entry.conversationId, left);
		else entries.delete(entry.conversationId);
		this.#entries = entries;
	}
}

/** Whatever does not only delay. */
const isFinal = (refusal: Refusal): refusal is Refusal & { reason: ErrorCode } =>
	!DELAYS.has(refusal.reason);
