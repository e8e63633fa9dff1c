import type { ConversationDelta } from '#lib/shared/events.ts';
import type { TextMessage } from '#lib/shared/messages.ts';
import type { Reaction } from '#lib/shared/reactions.ts';
import { withReaction } from '#lib/shared/with-reaction.ts';
import type { Api } from '#lib/client/sync/api.ts';

interface Wish {
	messageId: string;
	emoji: string;
	on: boolean;
}

/** The viewer's reactions: they show at once, and until the server has them they are wishes. */
export class Reactions {
	readonly #viewerId: string;
	readonly #api: Api['reactions'];
	readonly #absorb: (delta: ConversationDelta) => void;
	/** By message and emoji. */
	#wishes = $state.raw<ReadonlyMap<string, Wish>>(new Map());
	readonly #telling = new Map<string, Promise<void>>();

	constructor(viewerId: string, api: Api['reactions'], absorb: (delta: ConversationDelta) => void) {
		this.#viewerId = viewerId;
		this.#api = api;
		this.#absorb = absorb;
	}

	/** As they shall be when all is told. */
	of({ id, reactions = [] }: Pick<TextMessage, 'id' | 'reactions'>): readonly Reaction[] {
		let shown: readonly Reaction[] = reactions;
		for (const wish of this.#wishes.values()) {
			if (wish.messageId === id) shown = withReaction(shown, this.#viewerId, wish);
		}
		return shown;
	}

	/**
	 * Reacts, or takes it back. Whoever changes their mind faster than the server answers is asked
	 * once more then, so that the last word counts. Rejects with what the server said; then nothing
	 * of it shows any more.
	 */
	set({ id: messageId, conversationId }: TextMessage, emoji: string, on: boolean): Promise<void> {
		const key = `${messageId} ${emoji}`;
		this.#wish(key, { messageId, emoji, on });
		let telling = this.#telling.get(key);
		if (!telling) {
			telling = this.#tell(key, conversationId).finally(() => {
				this.#telling.delete(key);
				this.#wish(key, null);
			});
			this.#telling.set(key, telling);
		}
		return telling;
	}

	async #tell(key: string, conversationId: string): Promise<void> {
		for (let told: Wish | undefined; ;) {
			const wish = this.#wishes.get(key);
			if (!wish || wish === told) return;
			const { messageId, emoji, on } = wish;
			this.#absorb(await this.#api.set.mutate({ conversationId, messageId, emoji, on }));
			told = wish;
		}
	}

	#wish(key: string, wish: Wish | null): void {
		const wishes = new Map(this.#wishes);
		if (wish) wishes.set(key, wish);
		else wishes.delete(key);
		this.#wishes = wishes;
	}
}
