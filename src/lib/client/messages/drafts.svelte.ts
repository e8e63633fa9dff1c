import { DRAFT_PREFIX } from '#lib/shared/shell.ts';
import { browserStorage, keysOf } from './storage.ts';

/** Nobody is signed in: no draft of anybody stays on the device. */
export function wipeDrafts(storage = browserStorage()): void {
	for (const key of keysOf(storage, DRAFT_PREFIX)) storage?.removeItem(key);
}

/** What was typed and not sent, per conversation; survives a reload. */
export class Drafts {
	readonly #prefix: string;
	readonly #storage: Storage | null;
	#drafts: ReadonlyMap<string, string> = $state.raw(new Map());

	constructor(personId: string, storage: Storage | null = browserStorage()) {
		this.#prefix = `${DRAFT_PREFIX}${personId}.`;
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
		for (const key of keysOf(this.#storage, this.#prefix)) {
			drafts.set(key.slice(this.#prefix.length), this.#storage?.getItem(key) ?? '');
		}
		this.#drafts = drafts;
	}

	wipe(): void {
		for (const key of keysOf(this.#storage, this.#prefix)) this.#storage?.removeItem(key);
		this.#drafts = new Map();
	}
}
