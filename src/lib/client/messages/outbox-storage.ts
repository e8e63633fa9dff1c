import type { ErrorCode } from '#lib/shared/errors.ts';

/** A message on its way to the server. */
export interface OutgoingMessage {
	/** The id that the message will have (UUIDv7): it repeats on every try, and it sorts by time. */
	readonly id: string;
	readonly conversationId: string;
	readonly body: string;
	/** Milliseconds since the epoch, by this device's clock. */
	readonly createdAt: number;
	readonly state: 'pending' | 'failed';
	/** Why the server refused it; without one it could not be reached for too long. */
	readonly reason?: ErrorCode;
}

/**
 * Where the outbox outlives the page: one key per message, so that tabs do not overwrite each
 * other's, written before anything else happens, so that a crash right after Enter loses nothing.
 * Without storage (full, or forbidden) the messages live as long as the page.
 */
export class OutboxStorage {
	readonly #prefix: string;
	readonly #storage: Storage | null;
	/** What this page knows to be stored: what then is missing, another tab has removed. */
	readonly #stored = new Set<string>();

	constructor(personId: string, storage: Storage | null) {
		this.#prefix = `tertulia.outbox.${personId}.`;
		this.#storage = storage;
	}

	/** Whether it outlives the page now. */
	save(message: OutgoingMessage): boolean {
		try {
			this.#storage?.setItem(this.#prefix + message.id, JSON.stringify(message));
			if (this.#storage) this.#stored.add(message.id);
			return this.#storage !== null;
		} catch {
			this.#stored.delete(message.id);
			return false;
		}
	}

	remove(id: string): void {
		this.#stored.delete(id);
		this.#storage?.removeItem(this.#prefix + id);
	}

	/** Whether another tab has sent or discarded it. */
	isTakenElsewhere(id: string): boolean {
		return this.#stored.has(id) && this.#storage?.getItem(this.#prefix + id) === null;
	}

	load(): OutgoingMessage[] {
		const found: OutgoingMessage[] = [];
		for (let i = 0; i < (this.#storage?.length ?? 0); i++) {
			const key = this.#storage?.key(i);
			const message = key ? this.#parse(key, this.#storage?.getItem(key) ?? null) : null;
			if (message) found.push(message);
		}
		for (const { id } of found) this.#stored.add(id);
		return found;
	}

	/** The message that another tab has just written; null for what is not ours. */
	learn(key: string, value: string | null): OutgoingMessage | null {
		const message = this.#parse(key, value);
		if (message) this.#stored.add(message.id);
		return message;
	}

	/** The id of a message of this person, from its key. */
	idOf(key: string | null): string | null {
		return key?.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : null;
	}

	#parse(key: string, value: string | null): OutgoingMessage | null {
		const id = this.idOf(key);
		if (id === null || value === null) return null;
		try {
			const message = JSON.parse(value) as OutgoingMessage;
			return message.id === id && typeof message.body === 'string' ? message : null;
		} catch {
			return null;
		}
	}
}
