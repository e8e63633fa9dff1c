/**
 * A tab with the browser's own client in it: `Session`, with its engine, streams, polling, replica on
 * the device and outbox, as the app's pages run it. It crashes, is opened again with what the browser
 * kept, and loses its network. What it asks and is told is noted on the way.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createTRPCClient, type TRPCLink } from '@trpc/client';
import { httpBatchLink } from '@trpc/client/links/httpBatchLink';
import { observable } from '@trpc/server/observable';
import type { Random } from '../../scripts/seed/random.ts';
import type { OutgoingMessage } from '../../src/lib/client/messages/outbox-storage.ts';
import { DELAYS } from '../../src/lib/client/messages/outbox.svelte.ts';
import { Session } from '../../src/lib/client/session.svelte.ts';
import type { AppRouter } from '../../src/lib/server/trpc/router.ts';
import type { ViewerView } from '../../src/lib/shared/accounts.ts';
import type { ConversationOpening } from '../../src/lib/shared/conversations.ts';
import type { ConversationDelta, StreamEvent } from '../../src/lib/shared/events.ts';
import type {
	DeleteInput,
	EditInput,
	MessagePage,
	SendInput,
	SendOutcome,
	TextMessage
} from '../../src/lib/shared/messages.ts';
import type { ReactInput } from '../../src/lib/shared/reactions.ts';
import {
	emptyReplica,
	type ConversationState,
	type Replica
} from '../../src/lib/shared/replica.ts';
import { DELTA_MAX, type SyncAnswer } from '../../src/lib/shared/sync.ts';
import { Browser, outside, Page, type Network } from './browser.ts';
import { Device, type Jar, type World } from './device.ts';

/** Of what came since it was opened, a tab has at least so many of the newest: it forgets the rest. */
const SURE = 150;
/** Changes of a conversation within which a message that is missing has to come. */
const SOON = 20;
const CRASH = 0.012;
const TUNNEL = 0.01;
const TIDY = 0.01;
const TUNNEL_MAX_MS = 6000;
const CLOSED_MAX_MS = 3000;

export type Way =
	/** Streams, as most. */
	| 'streams'
	/** A network that swallows streams, so that it polls. */
	| 'polls'
	/** Streams, and now and then so long away that it has to start afresh. */
	| 'travels';

/** What the tabs of one browser share, and what was done in any of them. */
interface Profile extends Jar {
	browser: Browser;
	tried: Set<string>;
	discarded: Set<string>;
	/** Refused for good at some time: their order says nothing any more. */
	refused: Set<string>;
}

export class Tab extends Device {
	readonly #network: Network;
	readonly #profile: Profile;
	readonly #way: Way;
	#viewer: ViewerView | undefined;
	#life: { page: Page; session: Session } | null = null;
	/** Conversations that were looked at in this life. */
	readonly #looked = new Set<string>();
	/** Messages that were missing, and the version at which that was first seen in this life. */
	readonly #missing = new Map<string, number>();
	#stays: number;

	constructor(
		world: World,
		name: string,
		random: Random,
		way: Way,
		profile: Profile = {
			cookie: '',
			browser: new Browser(),
			tried: new Set(),
			discarded: new Set(),
			refused: new Set()
		}
	) {
		super(world, name, random, profile);
		this.#way = way;
		this.#profile = profile;
		this.#network = {
			isOff: false,
			swallowsStreams: way === 'polls',
			door: () => this.random.pick(this.world.doors),
			cookie: () => this.jar.cookie,
			fetch: (path, options) => this.#fetchForPage(path, options),
			opened: () => this.world.tally.streams++,
			heard: (data) => this.#hearText(data),
			threw: (error) => this.complaints.push(`threw ${String(error)}`)
		};
		this.#stays = this.#nextStay();
	}

	/** Another tab of the same browser. */
	another(name: string, random: Random): Tab {
		const tab = new Tab(this.world, name, random, this.#way, this.#profile);
		tab.is(this.personId);
		return tab;
	}

	override get replica(): Replica {
		return this.#life?.session.replica ?? emptyReplica(this.personId);
	}

	override get waiting(): number {
		return this.#outgoing('pending').length;
	}

	override get isListening(): boolean {
		return this.#life?.session.connection.state === 'live';
	}

	override settle(): Promise<void> {
		return Promise.resolve();
	}

	override isGivenUp(id: string): boolean {
		return this.#profile.discarded.has(id) || this.#outgoing('failed').some((one) => one.id === id);
	}

	override hasPlace(id: string): boolean {
		return !this.#profile.refused.has(id);
	}

	override shownFrom({ conversation, lastSeq }: ConversationState): number {
		return Math.max(this.knownFrom.get(conversation.id) ?? lastSeq, lastSeq - SURE) + 1;
	}

	override async amiss(): Promise<string[]> {
		const { page, session } = this.#life ?? {};
		if (!page || !session) return ['is closed'];
		const found: string[] = [];
		for (const id of new Set(this.written.map(({ conversationId }) => conversationId))) {
			const pending = session.outbox.of(id).filter(({ state }) => state === 'pending');
			if (pending.length > 0) found.push(`shows ${pending.length} as unsent in ${id}`);
		}
		for (const id of this.#looked) {
			const state = this.replica.conversations.get(id);
			if (!state || state.lastSeq === 0) continue;
			const timeline = session.timeline(id);
			await page.run(() => timeline.toNewest());
			if (timeline.state !== 'ready' || timeline.messages.at(-1)?.seq !== state.lastSeq) {
				found.push(`does not show the end of ${id} (${timeline.state})`);
			}
		}
		this.#look();
		return found;
	}

	override close(): void {
		super.close();
		this.#crash();
	}

	// The page

	override begin(): Promise<void> {
		return this.#load();
	}

	protected override async reload(): Promise<void> {
		const { page } = this.#life ?? {};
		page?.run(() => page.window.dispatchEvent(new Event('pagehide')));
		this.#crash();
		await this.#load();
	}

	/** Opens the page, however long that takes. */
	async #load(): Promise<void> {
		while (this.busy && !this.#life) {
			try {
				this.#viewer ??= await this.call.accounts.viewer.query();
				// What the server renders the page from.
				const bootstrap = await this.call.sync.since.mutate({ conversations: {} });
				this.hearSync(bootstrap);
				this.#open(this.#viewer, bootstrap);
			} catch (error) {
				this.refused(error);
				await pause(this.later());
			}
		}
	}

	#open(viewer: ViewerView, bootstrap: SyncAnswer): void {
		const page = new Page(this.#profile.browser, this.#network);
		const session = page.run(() => {
			const made = new Session({ viewer, bootstrap, opening: null }, { api: this.#apiOf(page) });
			made.start();
			return made;
		});
		if (session) this.#life = { page, session };
		this.#look();
	}

	/** Nothing is said or stored any more, and all that the page knew is gone. */
	#crash(): void {
		this.#life?.page.crash();
		this.#life = null;
		this.knownFrom.clear();
		this.#looked.clear();
		this.#missing.clear();
	}

	/** Runs something of the session, in its page. */
	#with<Result>(work: (session: Session) => Result): Result {
		if (!this.#life) throw new Error('There is no page.');
		const { page, session } = this.#life;
		return page.run(() => work(session)) as Result;
	}

	// What befalls it

	protected override async act(stop: AbortSignal): Promise<void> {
		this.#look();
		const dice = this.random.next();
		if (this.#way === 'travels' && --this.#stays === 0) return this.#travel(stop);
		if (dice < CRASH) return this.#crashNow();
		if (dice < CRASH + TUNNEL) return this.#enterTunnel();
		if (dice < CRASH + TUNNEL + TIDY) return this.#tidy();
		await super.act(stop);
	}

	async #crashNow(): Promise<void> {
		const { random, world } = this;
		const ids = [...this.replica.conversations.keys()];
		// Half of them right after Enter.
		const last = ids.length > 0 && random.chance(0.5) ? random.whole(1, 3) : 0;
		for (let n = 0; n < last; n++) this.write(random.pick(ids));
		world.tally.crashes++;
		world.tally.leftBehind += this.waiting;
		this.#crash();
		await pause(random.next() * CLOSED_MAX_MS);
		await this.#load();
	}

	/** A while without a network, in which the person goes on. */
	#enterTunnel(): void {
		if (this.#network.isOff) return;
		this.#goOff();
		setTimeout(() => this.#goOn(), this.random.next() * TUNNEL_MAX_MS);
	}

	/** Away until more was said than a delta holds. */
	async #travel(stop: AbortSignal): Promise<void> {
		const { world } = this;
		this.#stays = this.#nextStay();
		const known = this.replica.conversations.get(world.busiest)?.version;
		if (known === undefined || this.#network.isOff) return;
		this.#goOff();
		while (!stop.aborted && world.busiestVersion - known <= DELTA_MAX + 1) {
			await pause(100, undefined, { signal: stop }).catch(() => 0);
		}
		this.#goOn();
	}

	#nextStay(): number {
		return this.random.whole(20, 80);
	}

	#goOff(): void {
		this.world.tally.tunnels++;
		this.#network.isOff = true;
		this.#life?.page.cut();
		// Not every device notices.
		if (this.random.chance(0.5)) this.#dispatch('offline');
	}

	#goOn(): void {
		this.#network.isOff = false;
		this.#dispatch('online');
	}

	#dispatch(type: string): void {
		const { page } = this.#life ?? {};
		page?.run(() => page.window.dispatchEvent(new Event(type)));
	}

	/** What was refused is discarded, or tried once more. */
	#tidy(): void {
		for (const { id } of this.#outgoing('failed')) {
			if (this.random.chance(0.3)) {
				this.#with(({ outbox }) => outbox.retry(id));
			} else {
				this.#profile.discarded.add(id);
				this.#with(({ outbox }) => outbox.discard(id));
			}
		}
	}

	// What the person does, with the app's own hands

	protected override send(conversationId: string, body: string): string {
		return this.#with(({ outbox }) => outbox.send(conversationId, body));
	}

	protected override start(personIds: string[], name: string | null): Promise<unknown> {
		return this.#with(({ conversations }) =>
			name === null
				? conversations.startDirect(personIds[0] ?? '')
				: conversations.createGroup(name, personIds)
		);
	}

	protected override markRead(conversationId: string, seq: number, unread: boolean): Promise<void> {
		this.#with(({ conversations }) => {
			if (unread) conversations.markUnread(conversationId);
			else conversations.markRead(conversationId, seq);
		});
		return Promise.resolve();
	}

	protected override read({ conversation, lastSeq }: ConversationState): Promise<void> {
		if (lastSeq === 0) return Promise.resolve();
		this.#looked.add(conversation.id);
		const seq = this.random.whole(1, lastSeq);
		const what = this.random.pick([
			'open',
			'newest',
			'around',
			'older',
			'newer',
			'members'
		] as const);
		return this.#with((session) => {
			if (what === 'members') return session.conversations.loadMembers(conversation.id);
			const timeline = session.timeline(conversation.id);
			if (what === 'open') return timeline.open();
			if (what === 'newest') return timeline.toNewest();
			if (what === 'around') return timeline.around(seq);
			return what === 'older' ? timeline.loadOlder() : timeline.loadNewer();
		});
	}

	protected override edit(message: TextMessage, body: string): Promise<void> {
		return this.#with(({ messages }) => messages.edit(message, body));
	}

	protected override delete(message: TextMessage): Promise<void> {
		return this.#with(({ messages }) => messages.delete(message));
	}

	protected override react(message: TextMessage, emoji: string, on: boolean): Promise<void> {
		return this.#with(({ reactions }) => reactions.set(message, emoji, on));
	}

	protected override rename(conversationId: string, name: string): Promise<void> {
		return this.#with(({ conversations }) => conversations.rename(conversationId, name));
	}

	protected override addPerson(conversationId: string, personId: string): Promise<void> {
		return this.#with(({ conversations }) => conversations.addPeople(conversationId, [personId]));
	}

	protected override removePerson(conversationId: string, personId: string): Promise<void> {
		return this.#with(({ conversations }) => conversations.removePerson(conversationId, personId));
	}

	protected override leave(conversationId: string): Promise<void> {
		return this.#with(({ conversations }) => conversations.leave(conversationId));
	}

	// The way to the server

	protected override fetch(to: RequestInfo | URL, options?: RequestInit): Promise<Response> {
		if (this.#network.isOff) return Promise.reject(new TypeError('fetch failed'));
		return outside(() => super.fetch(to, options));
	}

	async #fetchForPage(path: string, options: RequestInit): Promise<Response> {
		const answer = await this.fetch(path, options);
		if (!path.startsWith('/events/poll') || !answer.ok) return answer;
		this.world.tally.polls++;
		const text = await answer.text();
		for (const [, data] of text.matchAll(/^data: (.*)$/gm)) this.#hearText(data ?? '');
		return new Response(text, { status: answer.status });
	}

	/** As `client/trpc.ts`, for this page alone. */
	#apiOf(page: Page): ReturnType<typeof createTRPCClient<AppRouter>> {
		const witness: TRPCLink<AppRouter> =
			() =>
			({ op, next }) =>
				observable((observer) => {
					this.#asks(op.path, op.input);
					return next(op).subscribe({
						next: (value) => {
							if (page.gone) return;
							if ('data' in value.result) this.#isAnswered(op.path, op.input, value.result.data);
							observer.next(value);
						},
						error: (error) => {
							if (page.gone) return;
							const { reason } = this.refused(error);
							if (op.path === 'messages.send') this.#noteRefusal(op.input as SendInput, reason);
							if (op.path === 'reactions.set') this.isNotReacted(op.input as ReactInput, reason);
							observer.error(error);
						},
						complete: () => page.gone || observer.complete()
					});
				});
		return createTRPCClient<AppRouter>({
			links: [
				witness,
				httpBatchLink({
					url: 'http://tertulia.test/trpc',
					maxURLLength: 4000,
					headers: { 'x-tertulia-person': this.personId },
					fetch: (to, options) => page.lasting(this.fetch(to, options))
				})
			]
		});
	}

	// The evidence

	/** The witness has counted it. */
	protected override async attempt(what: () => Promise<unknown>): Promise<void> {
		await what().catch(() => undefined);
	}

	#asks(path: string, input: unknown): void {
		const sends =
			path === 'messages.send'
				? [input as SendInput]
				: path === 'messages.sendMany'
					? (input as SendInput[])
					: [];
		for (const { id } of sends) {
			this.world.tally.tries++;
			if (this.#profile.tried.has(id)) this.world.tally.retries++;
			this.#profile.tried.add(id);
		}
		if (path === 'reactions.set') this.asksToReact(input as ReactInput);
		if (path === 'messages.delete') this.world.deletions.add((input as DeleteInput).id);
		if (path === 'conversations.createGroup') {
			const { id, personIds } = input as { id: string; personIds: string[] };
			this.wants(id, personIds);
		}
	}

	#isAnswered(path: string, input: unknown, data: unknown): void {
		switch (path) {
			case 'messages.send':
				return this.acknowledged(input as SendInput, data as ConversationDelta);
			case 'messages.sendMany':
				(data as SendOutcome[]).forEach((outcome, place) => {
					const sent = (input as SendInput[])[place];
					if (!sent) return;
					if ('delta' in outcome) return this.acknowledged(sent, outcome.delta);
					this.countRefusal(outcome.error.reason);
					this.#noteRefusal(sent, outcome.error.reason);
				});
				return;
			case 'sync.since':
				return this.#isSynced(data as SyncAnswer);
			case 'messages.page': {
				const { version, messages } = data as MessagePage;
				const { conversationId } = input as { conversationId: string };
				if (messages.length > 0) this.hear('page', conversationId, version, messages);
				return;
			}
			case 'messages.edit':
				return this.isEdited(input as EditInput, data as ConversationDelta);
			case 'messages.delete':
				return this.isDeleted((input as DeleteInput).id, data as ConversationDelta);
			case 'reactions.set':
				return this.isReacted(input as ReactInput, data as ConversationDelta);
			case 'conversations.startDirect':
			case 'conversations.createGroup':
				return this.has((data as ConversationOpening).snapshot.conversation.id);
			case 'conversations.rename':
			case 'conversations.addPeople':
			case 'conversations.removePerson':
				this.changed.push(data as ConversationDelta);
				return;
			case 'conversations.markRead': {
				const { conversationId, seq } = input as { conversationId: string; seq: number };
				this.marked.set(conversationId, Math.max(seq, this.marked.get(conversationId) ?? 0));
				return;
			}
			case 'conversations.leave':
			case 'conversations.members':
			case 'receipts.received':
			case 'receipts.of':
			case 'accounts.viewer':
				return;
			default:
				this.complaints.push(`was answered ${path}, of which the torture knows nothing`);
		}
	}

	#noteRefusal({ id }: SendInput, reason: string): void {
		if (!DELAYS.has(reason)) this.#profile.refused.add(id);
	}

	#isSynced(answer: SyncAnswer): void {
		this.hearSync(answer);
		// What is known of them begins anew.
		for (const { conversation } of answer.snapshots) this.knownFrom.delete(conversation.id);
	}

	#hearText(data: string): void {
		try {
			this.hearEvent(JSON.parse(data) as StreamEvent);
		} catch {
			// Bytes were lost on the way.
		}
	}

	#outgoing(state: OutgoingMessage['state']): OutgoingMessage[] {
		const prefix = `tertulia.outbox.${this.personId}.`;
		return [...this.#profile.browser.items]
			.filter(([key]) => key.startsWith(prefix))
			.map(([, value]) => JSON.parse(value) as OutgoingMessage)
			.filter((message) => message.state === state);
	}

	/** What has to hold at every moment, not only in the end. */
	#look(): void {
		const session = this.#life?.session;
		if (!session) return;
		for (const [id, state] of session.replica.conversations) {
			// Everything up to the known version is here; what is newer may have come ahead.
			let newest = 0;
			for (const { seq, version } of state.messages.values()) {
				if (version <= state.version && seq > newest) newest = seq;
			}
			// A single old one may be here because it was changed; what is known begins at an end.
			if (newest === 0 || (!this.knownFrom.has(id) && newest < state.lastSeq)) continue;
			const from = this.knownFrom.get(id) ?? newest;
			this.knownFrom.set(id, from);
			for (let seq = Math.max(from, newest - SURE); seq <= newest; seq++) {
				if (!state.messages.has(seq)) this.#misses(state, seq);
			}
		}
		for (const id of this.#looked) {
			const { messages } = session.timeline(id);
			const outgoing = new Set(session.outbox.of(id).map((one) => one.id));
			messages.forEach((message, index) => {
				if (message.seq !== (messages[0]?.seq ?? 0) + index) {
					this.#complain(`shows a hole before ${message.seq} of ${id}`);
				}
				if (outgoing.has(message.id)) this.#complain(`shows ${message.id} twice`);
			});
		}
	}

	/**
	 * What was changed again right after it was sent is not told with those that came after it, but
	 * with the change; until then it is missing.
	 */
	#misses({ conversation: { id }, version }: ConversationState, seq: number): void {
		const key = `${id} ${seq}`;
		const since = this.#missing.get(key) ?? version;
		this.#missing.set(key, since);
		if (version > since + SOON) this.#complain(`has no ${seq} of ${id} at version ${version}`);
	}

	#complain(what: string): void {
		if (!this.complaints.includes(what)) this.complaints.push(what);
	}
}
