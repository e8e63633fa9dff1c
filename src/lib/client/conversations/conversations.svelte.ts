import { uuidv7 } from 'uuidv7';
import type { ConversationDelta } from '#lib/shared/events.ts';
import {
	adoptOpening,
	isUnread,
	mergeMembers,
	unreadCount,
	withConversation,
	withMark,
	withoutConversation,
	withPeople,
	withReadSeq,
	type ConversationState
} from '#lib/shared/replica.ts';
import type { Api } from '#lib/client/sync/api.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';
import { ReadMarks } from './read-marks.ts';

/** The viewer's conversations. The verbs reject with what the server said (`errorReason`). */
export class Conversations {
	readonly #api: Api['conversations'];
	readonly #store: ReplicaStore;
	readonly #absorb: (delta: ConversationDelta) => void;
	readonly #readMarks: ReadMarks;
	readonly #membersLoading = new Map<string, Promise<void>>();
	/** The last attempt at a group: trying the same again makes no second one. */
	#attempt: { wish: string; id: string } | null = null;

	readonly #list = $derived.by(() =>
		[...this.#store.replica.conversations.values()].sort(byActivity)
	);
	readonly #unreadTotal = $derived.by(() =>
		this.#list.reduce(
			(total, state) => total + (isUnread(state) ? Math.max(1, unreadCount(state)) : 0),
			0
		)
	);

	constructor(
		viewerId: string,
		api: Api['conversations'],
		store: ReplicaStore,
		absorb: (delta: ConversationDelta) => void
	) {
		this.#api = api;
		this.#store = store;
		this.#absorb = absorb;
		this.#readMarks = new ReadMarks(viewerId, (input) => api.markRead.mutate(input));
	}

	/** The latest active first. */
	get list(): readonly ConversationState[] {
		return this.#list;
	}

	get unreadTotal(): number {
		return this.#unreadTotal;
	}

	get(id: string): ConversationState | undefined {
		return this.#store.get(id);
	}

	/** The direct conversation with a person, started where there is none; resolves to its id. */
	async startDirect(personId: string): Promise<string> {
		for (const state of this.#store.replica.conversations.values()) {
			if (state.peerId === personId) return state.conversation.id;
		}
		const opening = await this.#api.startDirect.mutate({ personId });
		this.#store.commit(adoptOpening(this.#store.replica, opening));
		return opening.snapshot.conversation.id;
	}

	/** Resolves to the id of the new group. */
	async createGroup(name: string, personIds: readonly string[]): Promise<string> {
		const wish = JSON.stringify([name, personIds]);
		if (this.#attempt?.wish !== wish) this.#attempt = { wish, id: uuidv7() };
		const { id } = this.#attempt;
		const opening = await this.#api.createGroup.mutate({ id, name, personIds: [...personIds] });
		this.#attempt = null;
		this.#store.commit(adoptOpening(this.#store.replica, opening));
		return opening.snapshot.conversation.id;
	}

	async rename(conversationId: string, name: string): Promise<void> {
		this.#absorb(await this.#api.rename.mutate({ conversationId, name }));
	}

	async addPeople(conversationId: string, personIds: readonly string[]): Promise<void> {
		const input = { conversationId, personIds: [...personIds] };
		this.#absorb(await this.#api.addPeople.mutate(input));
	}

	async removePerson(conversationId: string, personId: string): Promise<void> {
		this.#absorb(await this.#api.removePerson.mutate({ conversationId, personId }));
	}

	async leave(conversationId: string): Promise<void> {
		await this.#api.leave.mutate({ conversationId });
		this.#store.commit(withoutConversation(this.#store.replica, conversationId));
	}

	/** Fills `members` of the conversation. Nothing to do when they are there. */
	loadMembers(conversationId: string): Promise<void> {
		if (this.get(conversationId)?.membersLoaded) return Promise.resolve();
		let loading = this.#membersLoading.get(conversationId);
		if (!loading) {
			loading = this.#fetchMembers(conversationId).finally(() =>
				this.#membersLoading.delete(conversationId)
			);
			this.#membersLoading.set(conversationId, loading);
		}
		return loading;
	}

	/** Everything up to and with `seq` has been seen. Shows at once, and is told to the server. */
	markRead(conversationId: string, seq: number): void {
		const state = this.get(conversationId);
		if (!state) return;
		const read = withMark(withReadSeq(state, Math.min(seq, state.lastSeq)), false);
		if (read === state) return;
		this.#store.commit(withConversation(this.#store.replica, read));
		this.#readMarks.mark(conversationId, read.readSeq);
	}

	/** Until something is read there again, on all devices: to come back to it. */
	markUnread(conversationId: string): void {
		const state = this.get(conversationId);
		if (!state) return;
		this.#store.commit(withConversation(this.#store.replica, withMark(state, true)));
		this.#readMarks.mark(conversationId, state.readSeq, true);
	}

	/** Brings back what an earlier page could not tell the server. */
	load(): void {
		this.#readMarks.load();
	}

	wipe(): void {
		this.#readMarks.wipe();
	}

	/** Tells the server what it could not be told while there was no connection. */
	flush(): void {
		this.#readMarks.flush();
	}

	async #fetchMembers(conversationId: string): Promise<void> {
		const list = await this.#api.members.query({ conversationId });
		const people = list.members.map(({ person }) => person);
		this.#store.commit(withPeople(this.#store.replica, people));
		this.#store.update(conversationId, (state) => mergeMembers(state, list));
	}
}

function byActivity(a: ConversationState, b: ConversationState): number {
	return b.activeAt - a.activeAt || (a.conversation.id < b.conversation.id ? 1 : -1);
}
