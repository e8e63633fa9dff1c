import { browserStorage } from './storage.ts';

/** What was typed and not sent, per conversation; survives a reload. */
export class Drafts {
	readonly #prefix: string;
	readonly #storage: Storage | null;
	#drafts: ReadonlyMap<string, string> = $state.raw(new Map());

	constructor(personId: string, storage: Storage | null = browserStorage()) {
		this.#prefix = `tertulia.draft.${personId}.`;
		this.#storage = storage;
	}

	get(conversationId: string): string {
		return this.#drafts.get(conversationId) ?? '';
	}

	set(conversationId: string, text: string): void {
		if (text === this.get(conversationId)) return;
		const drafts = new Map(this.#drafts);
		const key = this.#prefix + conversationId;
		if (text === '') drafts.delete(conversationId);
		else drafts.set(conversationId, text);
		this.#drafts = drafts;
		try {
			if (text === '') this.#storage?.removeItem(key);
			else this.#storage?.setItem(key, text);
		} catch {
			// Full or forbidden: the draft lives as long as the page.
		}
	}

	/** Brings back what an earlier page left. */
	load(): void {
		const drafts = new Map(this.#drafts);
		for (let i = 0; i < (this.#storage?.length ?? 0); i++) {
			const key = this.#storage?.key(i);
			if (!key?.startsWith(this.#prefix)) continue;
			drafts.set(key.slice(this.#prefix.length), this.#storage?.getItem(key) ?? '');
		}
		this.#drafts = drafts;
	}
}
