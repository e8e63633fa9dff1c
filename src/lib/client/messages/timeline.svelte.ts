/**
 * What is on the screen of a conversation: a window [from..to] of places over the cache. Places are
 * dense, so what is missing is known without asking, and the window never has a hole.
 */
import type { MessageView, PageInput } from '#lib/shared/messages.ts';
import {
	isCached,
	newestSpan,
	openingPage,
	unreadCount,
	type ConversationState,
	type Span
} from '#lib/shared/replica.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';
import { openingSpan, spanAround, type History } from './history.ts';

/** Messages in the window, and so in the page, at most. */
export const WINDOW_MAX = 150;
/** How many more at a time. */
const STEP = 50;
const NOTHING: Span = { from: 1, to: 0 };

export class Timeline {
	readonly conversationId: string;
	readonly #store: ReplicaStore;
	readonly #history: History;

	#messages: readonly MessageView[];
	#span: Span;
	#state: 'loading' | 'ready' | 'failed';
	#firstUnreadSeq: number | null;
	#loadingOlder = $state(false);
	#loadingNewer = $state(false);

	/** New messages extend the window: it ends, or ended a moment ago, at the newest. */
	#following: boolean;
	/** Somebody is looking at the end, so that the beginning may go when the window is full. */
	#readerAtEnd = true;
	#seen: ConversationState | undefined;
	/** Each jump takes a turn; what an earlier one asked for no longer moves the window. */
	#turn = 0;
	#jump: { key: string; done: Promise<void> } | null = null;
	#older: Promise<void> | null = null;
	#newer: Promise<void> | null = null;
	#again: () => Promise<void> = () => this.open();

	constructor(conversationId: string, store: ReplicaStore, history: History) {
		this.conversationId = conversationId;
		this.#store = store;
		this.#history = history;

		// What is cached shows at once, in the page that the server renders too.
		const state = store.get(conversationId);
		const span = state && openingSpan(state);
		const ready = state !== undefined && span !== undefined && isCached(state, span);
		this.#seen = state;
		this.#span = $state.raw(ready ? span : NOTHING);
		this.#messages = $state.raw(ready ? messagesOf(state, span) : []);
		this.#state = $state(ready ? 'ready' : 'loading');
		this.#firstUnreadSeq = $state(state ? firstUnreadOf(state) : null);
		this.#following = ready && span.to === state.lastSeq;
		store.watch({ changed: () => this.#follow() });
	}

	/** Contiguous, ascending by `seq`, at most 150. */
	get messages(): readonly MessageView[] {
		return this.#messages;
	}

	get span(): Span {
		return this.#span;
	}

	/** `failed`: the last loading did; what was there stays, and `retry` tries again. */
	get state(): 'loading' | 'ready' | 'failed' {
		return this.#state;
	}

	get hasOlder(): boolean {
		return this.#span.from > 1;
	}

	get hasNewer(): boolean {
		return this.#span.to < (this.#store.get(this.conversationId)?.lastSeq ?? 0);
	}

	get loadingOlder(): boolean {
		return this.#loadingOlder;
	}

	get loadingNewer(): boolean {
		return this.#loadingNewer;
	}

	/** Where the unread line is: fixed by `open`, until the conversation is opened anew. */
	get firstUnreadSeq(): number | null {
		return this.#firstUnreadSeq;
	}

	/** Goes to the first unread message, or to the newest. */
	open(): Promise<void> {
		const state = this.#store.get(this.conversationId);
		this.#firstUnreadSeq = state ? firstUnreadOf(state) : null;
		const around = state && openingPage(state).around;
		return around === undefined ? this.toNewest() : this.around(around);
	}

	/**
	 * It was opened from what the device had kept, and now everything is here: whoever still sees the
	 * end as it was goes to what is unread after all.
	 */
	caughtUp(): Promise<void> {
		const state = this.#store.get(this.conversationId);
		const isUnread = state !== undefined && unreadCount(state) > 0;
		if (!isUnread || this.#firstUnreadSeq !== null || !this.#readerAtEnd) return Promise.resolve();
		return this.open();
	}

	toNewest(): Promise<void> {
		return this.#jumpTo({ conversationId: this.conversationId }, newestSpan);
	}

	around(seq: number): Promise<void> {
		return this.#jumpTo({ conversationId: this.conversationId, around: seq }, (state) =>
			spanAround(state, seq)
		);
	}

	loadOlder(): Promise<void> {
		return (this.#older ??= this.#loadOlder().finally(() => (this.#older = null)));
	}

	loadNewer(): Promise<void> {
		return (this.#newer ??= this.#loadNewer().finally(() => (this.#newer = null)));
	}

	/** Tries again what failed. */
	retry(): Promise<void> {
		return this.#state === 'failed' ? this.#again() : Promise.resolve();
	}

	/**
	 * Whether the newest message is in view. While it is not, a full window does not take away the
	 * beginning for what is new, since that is what somebody is reading: it stops following.
	 */
	stayAtEnd(atEnd: boolean): void {
		this.#readerAtEnd = atEnd;
	}

	#jumpTo(input: PageInput, spanOf: (state: ConversationState) => Span): Promise<void> {
		const key = JSON.stringify(input);
		if (this.#jump?.key === key) return this.#jump.done;
		const turn = ++this.#turn;
		const done = this.#load(turn, input, spanOf).finally(() => {
			if (this.#jump?.done === done) this.#jump = null;
		});
		this.#jump = { key, done };
		this.#again = () => this.#jumpTo(input, spanOf);
		return done;
	}

	async #load(turn: number, input: PageInput, spanOf: (state: ConversationState) => Span) {
		const state = this.#store.get(this.conversationId);
		const span = state && spanOf(state);
		if (span && isCached(state, span)) return this.#show(span);
		this.#state = 'loading';
		try {
			await this.#history.recall(this.conversationId);
			if (turn !== this.#turn) return;
			const recalled = this.#store.get(this.conversationId);
			const kept = recalled && spanOf(recalled);
			if (kept && isCached(recalled, kept)) return this.#show(kept);
			const came = await this.#history.fetch(input);
			if (turn !== this.#turn) return;
			// The end may have moved on, and what is new be here already.
			const now = this.#store.get(this.conversationId);
			const moved = now && spanOf(now);
			this.#show((moved && isCached(now, moved) ? moved : came) ?? NOTHING);
		} catch {
			if (turn === this.#turn) this.#state = 'failed';
		}
	}

	async #loadOlder(): Promise<void> {
		const { conversationId } = this;
		const { from } = this.#span;
		if (!this.hasOlder || this.#jump) return;
		this.#loadingOlder = true;
		await this.#extend(
			{ from: Math.max(1, from - STEP), to: from - 1 },
			{ conversationId, before: from, limit: STEP },
			// The far end goes.
			(span, now) => ({ from: span.from, to: Math.min(now.to, span.from + WINDOW_MAX - 1) }),
			() => this.loadOlder()
		);
		this.#loadingOlder = false;
	}

	async #loadNewer(): Promise<void> {
		const { conversationId } = this;
		const { to } = this.#span;
		const lastSeq = this.#store.get(conversationId)?.lastSeq ?? 0;
		if (!this.hasNewer || this.#jump) return;
		this.#loadingNewer = true;
		await this.#extend(
			{ from: to + 1, to: Math.min(lastSeq, to + STEP) },
			{ conversationId, after: to, limit: STEP },
			(span, now) => {
				const to = span.to < lastSeq ? span.to : this.#endPast(span.to);
				return { from: Math.max(now.from, to - WINDOW_MAX + 1), to };
			},
			() => this.loadNewer()
		);
		this.#loadingNewer = false;
	}

	async #extend(
		wanted: Span,
		input: PageInput,
		join: (span: Span, now: Span) => Span,
		again: () => Promise<void>
	): Promise<void> {
		const turn = this.#turn;
		await this.#history.recall(this.conversationId);
		const state = this.#store.get(this.conversationId);
		let span: Span | null = wanted;
		if (!state || !isCached(state, wanted)) {
			try {
				span = await this.#history.fetch(input);
			} catch {
				if (turn !== this.#turn) return;
				this.#again = again;
				this.#state = 'failed';
				return;
			}
		}
		if (turn !== this.#turn || !span) return;
		const joined = join(span, this.#span);
		const now = this.#store.get(this.conversationId);
		if (now && isCached(now, joined)) this.#show(joined);
	}

	/** What came after the newest while it was fetched belongs to it. */
	#endPast(to: number): number {
		const state = this.#store.get(this.conversationId);
		const limit = to + STEP;
		while (to < limit && state?.messages.has(to + 1)) to++;
		return to;
	}

	/** The window from here on; every place of it is cached. */
	#show(span: Span): void {
		const state = this.#store.get(this.conversationId);
		this.#state = 'ready';
		this.#span = span;
		this.#seen = state;
		this.#messages = state ? messagesOf(state, span) : [];
		this.#following = span.to >= (state?.lastSeq ?? 0);
		this.#store.trim(this.conversationId);
	}

	/** The replica has changed. */
	#follow(): void {
		const state = this.#store.get(this.conversationId);
		if (state === this.#seen || !state) return;
		this.#seen = state;
		// Nothing shows yet. An empty conversation is ready, for its first message.
		if (this.#state !== 'ready' && (this.#jump || this.#span === NOTHING)) return;
		if (!isCached(state, this.#span)) return this.#startAfresh();
		if (this.#following) this.#span = this.#extended(state);
		const messages = messagesOf(state, this.#span);
		const same =
			messages.length === this.#messages.length &&
			messages.every((message, i) => message === this.#messages[i]);
		if (!same) this.#messages = messages;
	}

	#extended(state: ConversationState): Span {
		let { from, to } = this.#span;
		while (state.messages.has(to + 1)) to++;
		if (to - from < WINDOW_MAX) return { from, to };
		if (this.#readerAtEnd && !this.#older) {
			from = to - WINDOW_MAX + 1;
		} else {
			to = from + WINDOW_MAX - 1;
			this.#following = false;
		}
		return { from, to };
	}

	/** The cache was dropped (`reset`): loads what was on the screen, which stays until then. */
	#startAfresh(): void {
		if (this.#jump || this.#state === 'failed') return;
		const middle = Math.floor((this.#span.from + this.#span.to) / 2);
		void (this.#following ? this.toNewest() : this.around(middle));
	}
}

function messagesOf({ messages }: ConversationState, { from, to }: Span): MessageView[] {
	const found: MessageView[] = [];
	for (let seq = from; seq <= to; seq++) {
		const message = messages.get(seq);
		if (message) found.push(message);
	}
	return found;
}

const firstUnreadOf = (state: ConversationState): number | null =>
	unreadCount(state) > 0 ? state.readSeq + 1 : null;
