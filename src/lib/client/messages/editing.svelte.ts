import type { MessageView, TextMessage } from '#lib/shared/messages.ts';
import type { ConversationState } from '#lib/shared/replica.ts';
import { errorReason } from '#lib/client/trpc.ts';
import type { MessageChanges } from './changes.ts';

/**
 * The message of a conversation to which the viewer is giving another text. What was being written
 * there waits as its draft.
 */
export class Editing {
	readonly #changes: Pick<MessageChanges, 'edit'>;
	readonly #stateOf: () => ConversationState | undefined;
	/** As it was when the editing began, or when it was told that it had changed since. */
	#message = $state.raw<TextMessage | null>(null);
	#text = $state('');
	#isSaving = $state(false);
	#error: unknown = $state.raw();
	/** The server does not know it any more, whatever we have heard. */
	#isLost = $state(false);
	/** The text that the server may have although it did not answer. */
	#tried: string | null = null;

	constructor(changes: Pick<MessageChanges, 'edit'>, stateOf: () => ConversationState | undefined) {
		this.#changes = changes;
		this.#stateOf = stateOf;
	}

	get message(): TextMessage | null {
		return this.#message;
	}

	get text(): string {
		return this.#text;
	}

	get isSaving(): boolean {
		return this.#isSaving;
	}

	/** Why it could not be saved; undefined when nothing went wrong. */
	get error(): unknown {
		return this.#error;
	}

	/** It was deleted meanwhile: there is nothing to edit any more. */
	get isGone(): boolean {
		return this.#message !== null && (this.#isLost || this.#now()?.kind === 'deleted');
	}

	start(message: TextMessage): void {
		if (this.#isSaving) return;
		this.end();
		this.#message = message;
		this.#text = message.body;
	}

	write(text: string): void {
		if (!this.#message || this.#isSaving) return;
		this.#text = text;
		this.#error = undefined;
	}

	/** What is on its way cannot be called back. */
	cancel(): void {
		if (!this.#isSaving) this.end();
	}

	end(): void {
		this.#message = null;
		this.#text = '';
		this.#isSaving = false;
		this.#error = undefined;
		this.#isLost = false;
		this.#tried = null;
	}

	/** Ends it when the text is stored; otherwise the text stays, and `error` says why. */
	async save(): Promise<void> {
		const text = this.#text.trim();
		if (!this.#message || this.#isSaving || text === '') return;
		// An answer was lost, but not the edit: what follows is the next one.
		const now = this.#now();
		if (this.#tried !== null && now?.kind === 'text' && now.body === this.#tried) {
			this.#message = now;
		}
		const message = this.#message;
		if (text === message.body) return this.end();
		this.#isSaving = true;
		this.#error = undefined;
		this.#tried = text;
		try {
			await this.#changes.edit(message, text);
			if (this.#message === message) this.end();
		} catch (error) {
			if (this.#message === message) this.#failed(error);
		}
	}

	#failed(error: unknown): void {
		this.#isSaving = false;
		this.#error = error;
		const reason = errorReason(error);
		if (reason === 'not_found') this.#isLost = true;
		if (reason !== 'changed_meanwhile') return;
		// Whoever saves again, having been told, means it.
		const now = this.#now();
		if (now?.kind === 'text') this.#message = now;
		this.#tried = null;
	}

	#now(): MessageView | undefined {
		return this.#message ? this.#stateOf()?.messages.get(this.#message.seq) : undefined;
	}
}

/** The last message that the viewer has sent, as far back as nothing is missing here. */
export function lastOwnText(
	{ lastSeq, messages }: Pick<ConversationState, 'lastSeq' | 'messages'>,
	viewerId: string
): TextMessage | undefined {
	for (let seq = lastSeq; ; seq--) {
		const message = messages.get(seq);
		if (!message) return undefined;
		if (message.kind === 'text' && message.senderId === viewerId) return message;
	}
}
