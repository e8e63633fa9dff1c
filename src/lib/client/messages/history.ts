import type { MessagePage, PageInput } from '#lib/shared/messages.ts';
import {
	isCached,
	mergePage,
	newestSpan,
	openingPage,
	withPeople,
	type ConversationState,
	type Span
} from '#lib/shared/replica.ts';
import type { Api } from '#lib/client/sync/api.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';

/** A page can only be outrun by what was forgotten meanwhile; more than this is a fault. */
const TRIES = 3;
/** Conversations whose page is fetched before anybody opens them. */
const PREFETCHED = 8;

/** Fetches pages of history into the replica. */
export class History {
	readonly #page: (input: PageInput) => Promise<MessagePage>;
	readonly #store: ReplicaStore;
	/** Takes in what the device has of a conversation; done at once where there is nothing to take. */
	readonly recall: (conversationId: string) => Promise<void>;

	constructor(
		api: Api['messages'],
		store: ReplicaStore,
		recall: (conversationId: string) => Promise<void> = () => Promise.resolve()
	) {
		this.#page = (input) => api.page.query(input);
		this.#store = store;
		this.recall = recall;
	}

	/** The span that came, now cached; null when there was nothing. */
	async fetch(input: PageInput): Promise<Span | null> {
		for (let tries = 0; tries < TRIES; tries++) {
			const page = await this.#page(input);
			const [first, last] = [page.messages.at(0), page.messages.at(-1)];
			if (!first || !last) return null;
			this.adopt(input.conversationId, page);
			const span = { from: first.seq, to: last.seq };
			const state = this.#store.get(input.conversationId);
			if (!state || isCached(state, span)) return span;
		}
		throw new Error('The history changes faster than it can be read.');
	}

	adopt(conversationId: string, page: MessagePage): void {
		const { viewerId } = this.#store.replica;
		this.#store.commit(withPeople(this.#store.replica, page.people));
		this.#store.update(conversationId, (state) => mergePage(state, page, viewerId), page.messages);
	}

	/** Makes the conversations at the top open at once. Stops at the first failure. */
	async prefetch(conversations: readonly ConversationState[], idle: () => Promise<void>) {
		for (const { conversation } of conversations.slice(0, PREFETCHED)) {
			await idle();
			await this.recall(conversation.id);
			const state = this.#store.get(conversation.id);
			if (!state || isCached(state, openingSpan(state))) continue;
			try {
				await this.fetch(openingPage(state));
			} catch {
				return;
			}
		}
	}
}

/** What a conversation opens with: the span that the server's `openingPage` would give. */
export function openingSpan(
	state: Pick<ConversationState, 'conversation' | 'lastSeq' | 'readSeq'>
): Span {
	const { around } = openingPage(state);
	return around === undefined ? newestSpan(state) : spanAround(state, around);
}

/** The page around a place, as the server cuts it. */
export function spanAround({ lastSeq }: Pick<ConversationState, 'lastSeq'>, seq: number): Span {
	const newest = newestSpan({ lastSeq });
	const half = 25;
	const to = Math.min(lastSeq, Math.max(seq + half, 2 * half));
	return { from: Math.min(newest.from, Math.max(1, to - 2 * half + 1)), to };
}
