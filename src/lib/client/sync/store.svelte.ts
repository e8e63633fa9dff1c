import type { MessageView } from '#lib/shared/messages.ts';
import {
	trimMessages,
	withConversation,
	type ConversationState,
	type Replica,
	type Span
} from '#lib/shared/replica.ts';

export interface ReplicaWatcher {
	/** Messages that came from the server, before the screen is told of them. */
	arrived?(messages: readonly MessageView[]): void;
	/** The replica has changed; told in the same turn, so that all of it shows in one frame. */
	changed?(): void;
}

/** The one place that holds what this client knows. Everything else reads from here. */
export class ReplicaStore {
	#replica: Replica;
	readonly #watchers = new Set<ReplicaWatcher>();
	/** What is on the screen of a conversation, and so stays cached. */
	windowOf: (conversationId: string) => Span | null = () => null;

	constructor(replica: Replica) {
		this.#replica = $state.raw(replica);
	}

	get replica(): Replica {
		return this.#replica;
	}

	get(conversationId: string): ConversationState | undefined {
		return this.#replica.conversations.get(conversationId);
	}

	watch(watcher: ReplicaWatcher): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	/** Replaces the replica; `messages` are those that came with it. */
	commit(replica: Replica, messages: readonly MessageView[] = []): void {
		if (messages.length > 0) for (const watcher of this.#watchers) watcher.arrived?.(messages);
		if (replica === this.#replica) return;
		this.#replica = replica;
		for (const watcher of this.#watchers) watcher.changed?.();
	}

	/** Changes one conversation, if it is still known. */
	update(
		conversationId: string,
		change: (state: ConversationState) => ConversationState,
		messages: readonly MessageView[] = []
	): void {
		const state = this.get(conversationId);
		if (!state) return;
		this.commit(withConversation(this.#replica, change(state)), messages);
	}

	/** Keeps the cache of a conversation small, when what is on the screen is known to be. */
	trim(conversationId: string): void {
		this.update(conversationId, (state) => trimMessages(state, this.windowOf(conversationId)));
	}
}
