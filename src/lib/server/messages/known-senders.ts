import type { ConversationDelta } from '#lib/shared/events.ts';

/** Where a conversation stands: its version, and the place of its newest message. */
export interface Place {
	version: number;
	seq: number;
}

interface Known extends Place {
	/** Who was found to be a member, and nothing has changed since that could have ended it. */
	senders: Set<string>;
}

const CONVERSATIONS_MAX = 10_000;
const SENDERS_MAX = 1000;

/**
 * Who is known to be a member of a conversation as of the version at which it is known to stand.
 * Every change of a membership takes the next version under the conversation's lock: whoever finds
 * that version there has found the membership, and need not look for it. What is known here may be
 * out of date at any time; it is worth nothing without that comparison.
 */
export class KnownSenders {
	/** Those that were used last come last. */
	readonly #conversations = new Map<string, Known>();

	/** Where the conversation stands if all of them are members there; undefined if it is not known. */
	placeFor(conversationId: string, senderIds: Iterable<string>): Place | undefined {
		const known = this.#conversations.get(conversationId);
		if (!known) return undefined;
		for (const id of senderIds) if (!known.senders.has(id)) return undefined;
		return { version: known.version, seq: known.seq };
	}

	/** They were members at `base`, and their messages brought the conversation to this place. */
	wrote(
		conversationId: string,
		base: number,
		{ version, seq }: Place,
		senderIds: Iterable<string>
	): void {
		const before = this.#conversations.get(conversationId);
		this.#conversations.delete(conversationId);
		const isContinued = before?.version === base && before.senders.size < SENDERS_MAX;
		const senders = isContinued ? before.senders : new Set<string>();
		for (const id of senderIds) senders.add(id);
		this.#conversations.set(conversationId, { version, seq, senders });
		if (this.#conversations.size > CONVERSATIONS_MAX) {
			for (const oldest of this.#conversations.keys()) return this.forget(oldest);
		}
	}

	/** What anybody changed, in whichever process, as the hub tells it. */
	changed({ conversationId, base, version, changes }: ConversationDelta): void {
		const known = this.#conversations.get(conversationId);
		if (!known || version <= known.version) return;
		if (base > known.version) return this.forget(conversationId);
		for (const change of changes) {
			if (change.type === 'member.changed') return this.forget(conversationId);
			if (change.type === 'message.changed') known.seq = Math.max(known.seq, change.message.seq);
		}
		known.version = version;
	}

	forget(conversationId: string): void {
		this.#conversations.delete(conversationId);
	}
}
