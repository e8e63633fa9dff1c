import type { ConversationDelta } from '#lib/shared/events.ts';
import type { MessageTexts, TextMessage } from '#lib/shared/messages.ts';
import type { Api } from '#lib/client/sync/api.ts';

/** What the viewer does to messages that were sent. The verbs reject with what the server said. */
export class MessageChanges {
	readonly #api: Api['messages'];
	readonly #absorb: (delta: ConversationDelta) => void;

	constructor(api: Api['messages'], absorb: (delta: ConversationDelta) => void) {
		this.#api = api;
		this.#absorb = absorb;
	}

	/** Resolves when it is stored. `changed_meanwhile`: another device was faster than `message`. */
	async edit(message: TextMessage, body: string): Promise<void> {
		const { id, conversationId, edits = 0 } = message;
		this.#absorb(await this.#api.edit.mutate({ id, conversationId, body, edit: edits + 1 }));
	}

	/** For everyone. */
	async delete({ id, conversationId }: TextMessage): Promise<void> {
		this.#absorb(await this.#api.delete.mutate({ id, conversationId }));
	}

	/** What it said, the first text first. */
	texts({ id, conversationId }: TextMessage): Promise<MessageTexts> {
		return this.#api.texts.query({ id, conversationId });
	}
}
