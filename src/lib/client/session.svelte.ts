/** The root of what the client knows about one signed-in person; made by the `(app)` layout. */
import { createContext, untrack } from 'svelte';
import type { ViewerView } from '#lib/shared/accounts.ts';
import type { MemberList } from '#lib/shared/conversations.ts';
import type { ConversationDelta } from '#lib/shared/events.ts';
import type { MessagePage } from '#lib/shared/messages.ts';
import {
	applySync,
	emptyReplica,
	mergeMembers,
	withConversation,
	withPeople,
	type Replica
} from '#lib/shared/replica.ts';
import type { SyncAnswer } from '#lib/shared/sync.ts';
import { People } from './accounts/people.svelte.ts';
import { Conversations } from './conversations/conversations.svelte.ts';
import { MessageChanges } from './messages/changes.ts';
import { Drafts } from './messages/drafts.svelte.ts';
import { Editing } from './messages/editing.svelte.ts';
import { History } from './messages/history.ts';
import { Outbox } from './messages/outbox.svelte.ts';
import { Timeline } from './messages/timeline.svelte.ts';
import { Presence } from './presence/presence.svelte.ts';
import { Received } from './receipts/received.ts';
import { Receipts } from './receipts/receipts.svelte.ts';
import { Reactions } from './reactions/reactions.svelte.ts';
import { wipeScreen, wipeScreens } from './shell/last-screen.ts';
import type { Api } from './sync/api.ts';
import { Connection } from './sync/connection.svelte.ts';
import { SyncEngine } from './sync/engine.ts';
import { browserDevice, type DeviceReplica, type KeptOpening } from './sync/device.ts';
import { Memory } from './sync/memory.svelte.ts';
import { askServer, PollSource } from './sync/poll.ts';
import { SharedStream, type ChannelLike } from './sync/shared-stream.ts';
import { ReplicaStore } from './sync/store.svelte.ts';
import { EventStream, type EventSourceLike, type StreamState } from './sync/stream.ts';
import { browserChannel, browserLocks } from './sync/tabs.ts';
import { idle } from './ui/idle.ts';
import { api as serverApi, onSignedOut, speakFor } from './trpc.ts';

/** What the server renders a page from, or who asks it for the same from the browser. */
export interface ServerOpening {
	viewer: ViewerView;
	bootstrap: SyncAnswer;
	/** The conversation that the page was opened at. */
	opening: { conversationId: string; page: MessagePage; members: MemberList } | null;
}

/** A page begins with what the server says, or else with what this device kept. */
export type SessionData = ServerOpening | KeptOpening;

/** Where the session meets the world; tests bring their own. */
export interface SessionEdges {
	api?: Api;
	connect?: () => EventSourceLike;
	poll?: () => EventSourceLike;
	/** Null where the browser has none: then each tab has a stream of its own. */
	locks?: Pick<LockManager, 'request'> | null;
	channel?: ((name: string) => ChannelLike) | null;
	/** Null where the browser has none, or forbids it. */
	device?: IDBFactory | null;
}

export class Session {
	readonly viewer: ViewerView;
	readonly people: People;
	readonly conversations: Conversations;
	readonly connection = new Connection();
	readonly outbox: Outbox;
	readonly drafts: Drafts;
	readonly memory: Memory;
	readonly presence: Presence;
	readonly receipts: Receipts;
	readonly messages: MessageChanges;
	readonly reactions: Reactions;

	readonly #api: Api;
	readonly #store: ReplicaStore;
	readonly #history: History;
	readonly #engine: SyncEngine;
	readonly #stream: SharedStream;
	readonly #received: Received;
	/** Where the page was drawn from what the device kept. */
	readonly #kept: DeviceReplica | null;
	readonly #timelines = new Map<string, Timeline>();
	readonly #editings = new Map<string, Editing>();
	#ended = $state(false);
	#prefetched = false;
	#stop: (() => void) | null = null;

	constructor(data: SessionData, edges: SessionEdges = {}) {
		const { viewer } = data;
		const api = edges.api ?? serverApi;
		this.viewer = viewer;
		this.#api = api;
		const self = { id: viewer.id, name: viewer.name, username: viewer.username };
		this.#store = new ReplicaStore(withPeople(replicaOf(data), [self]));
		this.#store.windowOf = (id) => this.#timelines.get(id)?.span ?? null;
		const device = edges.device === undefined ? browserDevice() : edges.device;
		this.memory = new Memory(viewer, this.#store, device);
		this.#history = new History(api.messages, this.#store, (id) => this.memory.recallOf(id));
		this.#kept = 'device' in data ? data.device : null;
		if ('opening' in data && data.opening) this.#adopt(data.opening);

		this.#engine = new SyncEngine({
			store: this.#store,
			since: (input) => api.sync.since.mutate(input),
			onCaughtUp: () => this.#caughtUp()
		});
		this.#stream = new SharedStream({
			name: `tertulia.stream.${viewer.id}`,
			own: (hearing) =>
				new EventStream({
					connect: edges.connect ?? (() => new EventSource(`/events?person=${viewer.id}`)),
					poll:
						edges.poll ??
						(() => new PollSource({ ask: askServer(viewer.id), known: () => this.#store.replica })),
					...hearing
				}),
			locks: edges.locks === undefined ? browserLocks() : edges.locks,
			channel: edges.channel === undefined ? browserChannel() : edges.channel,
			onEvent: (event) => {
				if (event.type === 'session.ended') this.#confirmEnd();
				else if (event.type === 'presence.changed') this.presence.receive(event);
				else if (event.type === 'receipts.changed') this.receipts.receive(event);
				else this.#engine.receive(event);
			},
			onState: (state) => this.#streamBecame(state),
			// Only a call tells why; it ends the session when that is the reason.
			onRefused: () => void api.accounts.viewer.query().catch(() => {})
		});
		this.people = new People(this.#store);
		const absorb = (delta: ConversationDelta) => this.#engine.absorb(delta);
		this.conversations = new Conversations(viewer.id, api.conversations, this.#store, absorb);
		this.messages = new MessageChanges(api.messages, absorb);
		this.reactions = new Reactions(viewer.id, api.reactions, absorb);
		this.outbox = new Outbox({
			personId: viewer.id,
			store: this.#store,
			send: (input) => api.messages.send.mutate(input),
			sendMany: (inputs) => api.messages.sendMany.mutate(inputs),
			absorb
		});
		this.drafts = new Drafts(viewer.id);
		this.presence = new Presence({ ask: (input) => api.presence.look.mutate(input) });
		this.receipts = new Receipts({
			viewerId: viewer.id,
			store: this.#store,
			ask: (conversationId) => api.receipts.of.query({ conversationId })
		});
		this.#received = new Received({
			store: this.#store,
			tell: (input) => api.receipts.received.mutate(input),
			speaks: () => this.#stream.leads
		});
	}

	/** Ended elsewhere, or run out: nothing here is kept up to date any more. */
	get ended(): boolean {
		return this.#ended;
	}

	/** All that is known, as of now. */
	get replica(): Replica {
		return this.#store.replica;
	}

	/** The timeline of a conversation, always the same one. */
	timeline(conversationId: string): Timeline {
		let timeline = this.#timelines.get(conversationId);
		if (!timeline) {
			timeline = untrack(() => new Timeline(conversationId, this.#store, this.#history));
			this.#timelines.set(conversationId, timeline);
		}
		return timeline;
	}

	/** What is being edited in a conversation; it is still there when one comes back to it. */
	editing(conversationId: string): Editing {
		let editing = this.#editings.get(conversationId);
		if (!editing) {
			const stateOf = () => this.#store.get(conversationId);
			editing = untrack(() => new Editing(this.messages, stateOf));
			this.#editings.set(conversationId, editing);
		}
		return editing;
	}

	/** Connects. Called once in the browser; returns what stops it. */
	start(): () => void {
		this.#stop ??= this.#begin();
		return () => this.#halt();
	}

	#adopt(opening: NonNullable<ServerOpening['opening']>): void {
		const { conversationId, page, members } = opening;
		this.#history.adopt(conversationId, page);
		const state = this.#store.get(conversationId);
		if (!state) return;
		const people = members.members.map(({ person }) => person);
		this.#store.commit(
			withPeople(withConversation(this.#store.replica, mergeMembers(state, members)), people)
		);
	}

	#begin(): () => void {
		const undo: (() => void)[] = [];
		const on = (target: EventTarget, type: string, listener: () => void) => {
			target.addEventListener(type, listener);
			undo.push(() => target.removeEventListener(type, listener));
		};
		on(window, 'online', () => {
			this.#stream.wake();
			this.outbox.kick();
		});
		on(window, 'offline', () => this.#stream.distrust());
		on(document, 'visibilitychange', () => {
			const visible = document.visibilityState === 'visible';
			this.presence.pageShown(visible);
			if (visible) this.#stream.wake();
			else this.memory.flush();
		});
		on(window, 'pagehide', () => this.memory.leave());
		speakFor(this.viewer.id);
		wipeScreens(this.viewer.id);
		undo.push(onSignedOut(() => this.#end()));
		this.drafts.load();
		this.conversations.load();
		undo.push(this.outbox.start());
		let stopped = false;
		const connect = () => {
			if (!stopped) this.#stream.open();
		};
		// The first sync asks for what has changed since what was kept.
		if (this.#kept) {
			this.memory.goOn(this.#kept);
			connect();
			void this.memory.recallRest(idle);
		} else {
			const recalled = this.memory.recall();
			if (this.memory.exists) void recalled.then(connect);
			else connect();
		}
		return () => {
			stopped = true;
			for (const step of undo) step();
			this.memory.stop();
			this.presence.stop();
			this.receipts.stop();
			this.#received.stop();
			this.#stream.close();
			this.#engine.stop();
			this.connection.rest();
		};
	}

	#halt(): void {
		this.#stop?.();
		this.#stop = null;
	}

	/**
	 * A new password renews the cookie too, and ends the streams of the old one: this browser may
	 * have the new one already. Without a clear yes, everything private goes.
	 */
	#confirmEnd(): void {
		this.#api.accounts.viewer.query().catch(() => this.#end());
	}

	/**
	 * The viewer has signed out here, and knew what would be lost. What another tab has put into the
	 * outbox since is not discarded: it waits for the same person to come back.
	 */
	forget(): void {
		this.#halt();
		this.outbox.discardAll();
		this.#wipe();
	}

	#end(): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#halt();
		this.#wipe();
	}

	#wipe(): void {
		this.drafts.wipe();
		this.conversations.wipe();
		this.memory.wipe();
		wipeScreen(this.viewer.id);
	}

	#streamBecame(state: StreamState): void {
		if (state === 'waiting' || state === 'closed') this.#engine.stop();
		// Open is not live yet: first comes what happened before.
		if (state === 'open') return;
		this.presence.lost();
		this.receipts.lost();
		this.#received.lost();
		if (state === 'closed') return;
		this.connection.report(navigator.onLine ? 'connecting' : 'offline');
	}

	/** What is asked for last, so that it delays nothing of what the app opens with. */
	async #lookAround(): Promise<void> {
		await idle();
		if (this.connection.state !== 'live' || !this.#stop) return;
		this.receipts.connected();
		this.presence.connected();
		this.#received.connected();
	}

	#caughtUp(): void {
		this.connection.report('live');
		void this.#lookAround();
		this.outbox.kick();
		this.conversations.flush();
		for (const timeline of this.#timelines.values()) void timeline.retry();
		if (this.#prefetched) return;
		this.#prefetched = true;
		for (const timeline of this.#timelines.values()) void timeline.caughtUp();
		void this.#history.prefetch(this.conversations.list, idle);
	}
}

function replicaOf(data: SessionData): Replica {
	if ('replica' in data) return data.replica;
	const empty = emptyReplica(data.viewer.id);
	return applySync(empty, data.bootstrap, empty).replica;
}

const [useSession, setSession] = createContext<Session>();

export { useSession };

/** Called once, by the layout of the signed-in pages. */
export function createSession(data: SessionData): Session {
	return setSession(new Session(data));
}
