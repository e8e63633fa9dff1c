/**
 * How far the others have received and read the conversation that is open. It is asked for when it
 * opens and after each loss of the connection, and told by the stream in between. A position only
 * rises, so what came late or twice does no harm, and what got lost is a tick that comes later.
 */
import { untrack } from 'svelte';
import type { StreamEvent } from '#lib/shared/events.ts';
import type { MessageView } from '#lib/shared/messages.ts';
import type { Receipt } from '#lib/shared/receipts.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';

/** After a restart of the server everybody comes back at once; what matters more goes first. */
const RETURN_WITHIN_MS = 3000;
const RETRY_MS = 5000;

/** What has become of a message that the server has. */
export type ReceiptState = 'sent' | 'delivered' | 'read';

export interface ReceiptsOptions {
	viewerId: string;
	store: ReplicaStore;
	ask: (conversationId: string) => Promise<readonly Receipt[]>;
	random?: () => number;
}

/** Those who tell, by person. */
type Positions = ReadonlyMap<string, Receipt>;

const NOBODY: Positions = new Map();

export class Receipts {
	readonly #viewerId: string;
	readonly #store: ReplicaStore;
	readonly #ask: (conversationId: string) => Promise<readonly Receipt[]>;
	readonly #random: () => number;
	#open = $state<string | null>(null);
	/** By conversation; of those that were open too, so that they open with what was known. */
	#held = $state.raw<ReadonlyMap<string, Positions>>(new Map());
	/** What was told while a question was under way, whose answer may be older. */
	#told = new Set<string>();
	/** Rises with every question: the answer to an earlier one is worth nothing. */
	#question = 0;
	#connected = false;
	#returning = false;
	/** How many are present in the open conversation, where that is known. */
	#present: number | null = null;
	#next: ReturnType<typeof setTimeout> | undefined;
	#unwatch: (() => void) | undefined;

	readonly #receivedTo = $derived.by(() => this.#lowest(({ receivedSeq }) => receivedSeq));
	readonly #readTo = $derived.by(() => this.#lowest(({ readSeq }) => readSeq));

	constructor({ viewerId, store, ask, random = Math.random }: ReceiptsOptions) {
		this.#viewerId = viewerId;
		this.#store = store;
		this.#ask = ask;
		this.#random = random;
	}

	/** Of an own message in the conversation that is open: what all have done who tell it. */
	stateOf({ conversationId, seq }: Pick<MessageView, 'conversationId' | 'seq'>): ReceiptState {
		if (conversationId !== this.#open) return 'sent';
		if (seq <= this.#readTo) return 'read';
		return seq <= this.#receivedTo ? 'delivered' : 'sent';
	}

	/** A conversation is on the screen; returns what says that it is no more. */
	open(conversationId: string): () => void {
		// Whoever says so in an effect does not say it again with each message.
		untrack(() => {
			this.#open = conversationId;
			this.#present = this.#countPresent();
			this.#askWithin(0);
		});
		return () => {
			if (this.#open !== conversationId) return;
			this.#open = null;
			this.#question++;
			clearTimeout(this.#next);
		};
	}

	/** The connection is live. */
	connected(): void {
		if (this.#connected) return;
		this.#connected = true;
		this.#unwatch ??= this.#store.watch({ changed: () => this.#watchMembers() });
		this.#askWithin(this.#returning ? this.#random() * RETURN_WITHIN_MS : 0);
		this.#returning = true;
	}

	lost(): void {
		this.#connected = false;
		this.#question++;
		clearTimeout(this.#next);
	}

	receive({ conversationId, receipts }: Extract<StreamEvent, { type: 'receipts.changed' }>): void {
		const held = this.#held.get(conversationId);
		if (!held && conversationId !== this.#open) return;
		if (conversationId === this.#open) {
			for (const { personId } of receipts) this.#told.add(personId);
		}
		const others = receipts.filter(({ personId }) => personId !== this.#viewerId);
		this.#hold(conversationId, raised(held ?? NOBODY, others));
	}

	/** The viewer begins or ceases to tell; what they may see follows from it. */
	changed(): void {
		this.#held = new Map();
		this.#askWithin(0);
	}

	stop(): void {
		this.lost();
		this.#unwatch?.();
		this.#unwatch = undefined;
	}

	#askWithin(ms: number): void {
		clearTimeout(this.#next);
		this.#question++;
		if (!this.#connected || this.#open === null) return;
		const conversationId = this.#open;
		if (ms === 0) return void this.#askFor(conversationId);
		this.#next = setTimeout(() => void this.#askFor(conversationId), ms);
	}

	async #askFor(conversationId: string): Promise<void> {
		const question = ++this.#question;
		this.#told = new Set();
		try {
			const answer = await this.#ask(conversationId);
			if (question !== this.#question) return;
			// Who is not in it tells nothing any more, unless they were heard of since.
			const held = this.#held.get(conversationId) ?? NOBODY;
			const tell = new Set([...answer.map(({ personId }) => personId), ...this.#told]);
			const known = [...held].filter(([personId]) => tell.has(personId));
			this.#hold(conversationId, raised(new Map(known), answer));
		} catch {
			if (question === this.#question) this.#askWithin(RETRY_MS);
		}
	}

	#hold(conversationId: string, positions: Positions): void {
		this.#held = new Map(this.#held).set(conversationId, positions);
	}

	/** Who joins tells from now on, and who has left no longer. */
	#watchMembers(): void {
		const before = this.#present;
		this.#present = this.#countPresent();
		if (before !== null && this.#present !== null && before !== this.#present) this.#askWithin(0);
	}

	#countPresent(): number | null {
		const state = this.#open === null ? undefined : this.#store.get(this.#open);
		if (!state?.membersLoaded) return null;
		let count = 0;
		for (const { left } of state.members.values()) if (!left) count++;
		return count;
	}

	/** Up to where all are who tell; 0 where nobody does. */
	#lowest(position: (receipt: Receipt) => number): number {
		const id = this.#open;
		const positions = id === null ? undefined : this.#held.get(id);
		if (id === null || !positions || positions.size === 0) return 0;
		// Whoever has written has read up to there.
		const written = new Map<string, number>();
		for (const { senderId, seq } of this.#store.get(id)?.messages.values() ?? []) {
			if (seq > (written.get(senderId) ?? 0)) written.set(senderId, seq);
		}
		let lowest = Infinity;
		for (const [personId, receipt] of positions) {
			lowest = Math.min(lowest, Math.max(position(receipt), written.get(personId) ?? 0));
		}
		return lowest;
	}
}

/** Positions only rise. */
function raised(positions: Positions, by: readonly Receipt[]): Positions {
	const next = new Map(positions);
	for (const { personId, receivedSeq, readSeq } of by) {
		const held = next.get(personId);
		next.set(personId, {
			personId,
			receivedSeq: Math.max(receivedSeq, held?.receivedSeq ?? 0),
			readSeq: Math.max(readSeq, held?.readSeq ?? 0)
		});
	}
	return next;
}
