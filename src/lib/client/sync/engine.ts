/**
 * Brings the replica from what it knows to what is true, and keeps it there.
 *
 * 1. Backfill: the stream has opened and from now on hears everything, so whatever happened before
 *    is in the answer to one `sync.since` for all conversations, asked for only now.
 * 2. Cutover: events come in before that answer does. Those that continue what is known are applied;
 *    the others are held. The answer, however late, takes nothing back (`shared/replica.ts`), and
 *    then those held are tried again: what still does not fit asks for one more sync.
 * 3. Live: each event continues the last. One that does not leaves a gap: back to 2.
 *
 * Answers to own calls come in beside the stream and may overtake it. What is then missing is most
 * likely on its way, so they are held too, with a moment of grace before a sync.
 */
import type { ConversationChange, ConversationDelta, StreamEvent } from '#lib/shared/events.ts';
import type { MessageView } from '#lib/shared/messages.ts';
import {
	applyConversationDelta,
	applyEvent,
	applySync,
	knownVersions,
	mergeRows,
	type Replica
} from '#lib/shared/replica.ts';
import type { SinceInput, SyncAnswer } from '#lib/shared/sync.ts';
import { backoff, type Random } from './backoff.ts';
import type { ReplicaStore } from './store.svelte.ts';

/** How long an answer may be ahead of the stream before that is taken for a gap. */
const GRACE_MS = 1000;
/** Deltas held per conversation; past it, another sync is cheaper than remembering. */
const HELD_MAX = 100;
/** Rounds at once, before an answer that never satisfies is taken for a failure. */
const ROUNDS_MAX = 3;

export interface SyncOptions {
	store: ReplicaStore;
	since: (input: SinceInput) => Promise<SyncAnswer>;
	/** Everything up to the opening of the stream, or the last gap, is known. */
	onCaughtUp: () => void;
	random?: Random;
}

export class SyncEngine {
	readonly #options: SyncOptions;
	readonly #store: ReplicaStore;
	readonly #held = new Map<string, ConversationDelta[]>();
	#asking = false;
	#again = false;
	#stopped = true;
	#failures = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;
	#grace: ReturnType<typeof setTimeout> | undefined;

	constructor(options: SyncOptions) {
		this.#options = options;
		this.#store = options.store;
	}

	/** Something came through the stream. */
	receive(event: StreamEvent): void {
		if (event.type === 'stream.opened') {
			this.#stopped = false;
			this.#forgetRetry();
		}
		if (event.type === 'conversation.advanced') {
			// While a question is under way, its answer may be all that is missing.
			if (!this.#take(event.delta) && !this.#asking) this.request();
			return;
		}
		const { replica, needsSync } = applyEvent(this.#store.replica, event);
		this.#store.commit(replica);
		if (needsSync) this.request();
	}

	/** An own call was answered. */
	absorb(delta: ConversationDelta): void {
		if (this.#take(delta)) return;
		// A new message without those before it would tear a hole into the timeline; the rest may show.
		const lastSeq = this.#store.get(delta.conversationId)?.lastSeq ?? 0;
		const rows = delta.changes.filter(
			(change) => change.type !== 'message.changed' || change.message.seq <= lastSeq
		);
		const { viewerId } = this.#store.replica;
		this.#store.update(
			delta.conversationId,
			(state) => mergeRows(state, rows, viewerId),
			messagesIn(rows)
		);
		this.#grace ??= setTimeout(() => {
			this.#grace = undefined;
			if (this.#held.size > 0) this.request();
		}, GRACE_MS);
	}

	/** Asks for what is missing: once, however often it is called meanwhile. */
	request(): void {
		if (this.#stopped) return;
		this.#again = true;
		if (!this.#asking && this.#retry === undefined) void this.#ask();
	}

	/** The stream is gone: the next one begins with a sync, and until then there is no use in one. */
	stop(): void {
		this.#stopped = true;
		this.#failures = 0;
		this.#forgetRetry();
		clearTimeout(this.#grace);
		this.#grace = undefined;
	}

	async #ask(): Promise<void> {
		this.#asking = true;
		const caughtUp = await this.#askUntilCaughtUp();
		this.#asking = false;
		if (this.#stopped) return;
		if (caughtUp) {
			this.#failures = 0;
			this.#options.onCaughtUp();
		} else {
			this.#again = true;
			this.#failures++;
			const wait = backoff(this.#failures, this.#options.random ?? Math.random);
			this.#retry = setTimeout(() => {
				this.#retry = undefined;
				this.request();
			}, wait);
		}
	}

	async #askUntilCaughtUp(): Promise<boolean> {
		for (let round = 1; this.#again && !this.#stopped; round++) {
			if (round > ROUNDS_MAX) return false;
			this.#again = false;
			// Committed before the question, so the answer covers them.
			const covered = new Set([...this.#held.values()].flat());
			const asked = this.#store.replica;
			try {
				const { personVersion } = asked;
				const answer = await this.#options.since({
					conversations: knownVersions(asked),
					personVersion
				});
				this.#apply(answer, asked, covered);
			} catch {
				// Whatever it was, only asking again can help; the end of the session stops us.
				return false;
			}
		}
		return true;
	}

	#forgetRetry(): void {
		clearTimeout(this.#retry);
		this.#retry = undefined;
	}

	#apply(answer: SyncAnswer, asked: Replica, covered: ReadonlySet<ConversationDelta>): void {
		const { replica, needsSync } = applySync(this.#store.replica, answer, asked);
		this.#store.commit(replica, [
			...answer.deltas.flatMap(({ changes }) => messagesIn(changes)),
			...answer.snapshots.flatMap(({ lastMessage }) => lastMessage ?? [])
		]);
		for (const { conversationId } of answer.deltas) this.#store.trim(conversationId);
		if (needsSync) this.#again = true;

		for (const [id, deltas] of [...this.#held]) {
			this.#held.delete(id);
			for (const delta of deltas) {
				if (!this.#take(delta) && !covered.has(delta)) this.#again = true;
			}
			// Nothing that the answer covers can be of use any more: the conversation is not ours.
			const left = this.#held.get(id)?.filter((delta) => !covered.has(delta)) ?? [];
			if (left.length === 0) this.#held.delete(id);
			else this.#held.set(id, left);
		}
	}

	/** Applies a delta and those that waited for it; holds it, and says false, when it leaves a gap. */
	#take(delta: ConversationDelta): boolean {
		const { conversationId } = delta;
		const { replica, outcome } = applyConversationDelta(this.#store.replica, delta);
		if (outcome === 'gap') {
			const held = this.#held.get(conversationId) ?? [];
			this.#held.set(conversationId, [...held.slice(1 - HELD_MAX), delta]);
			return false;
		}
		this.#store.commit(replica, messagesIn(delta.changes));
		this.#store.trim(conversationId);
		const waiting = this.#held.get(conversationId);
		this.#held.delete(conversationId);
		for (const next of waiting ?? []) this.#take(next);
		return true;
	}
}

function messagesIn(changes: readonly ConversationChange[]): MessageView[] {
	return changes.flatMap((change) => (change.type === 'message.changed' ? [change.message] : []));
}
