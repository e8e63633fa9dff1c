/**
 * One device of a person, by the same HTTP procedures, the same stream and the same reducers as a
 * browser, and with an outbox that repeats a message under its id until it knows. It keeps what the
 * server has acknowledged and all that it was told, for the verdict.
 */
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { createTRPCClient, httpLink } from '@trpc/client';
import { uuidv7 } from 'uuidv7';
import { refusalOf } from '../../scripts/lib/http-person.ts';
import type { Random } from '../../scripts/seed/random.ts';
import type { AppRouter } from '../../src/lib/server/trpc/router.ts';
import type { ConversationDelta, StreamEvent } from '../../src/lib/shared/events.ts';
import type { MessageView } from '../../src/lib/shared/messages.ts';
import {
	adoptOpening,
	applyEvent,
	applySync,
	emptyReplica,
	knownVersions,
	mergePage,
	mergeRows,
	withConversation,
	type Replica
} from '../../src/lib/shared/replica.ts';
import { ORIGIN } from './house.ts';

/** No answer for so long is none. */
const PATIENCE_MS = 8000;
const AGAIN_MIN_MS = 100;
const AGAIN_MAX_MS = 1500;

/** What all clients share: where to knock, and what was ever made. */
export interface World {
	doors: number[];
	/** Groups by id, with those whom their creator named. Some were never made. */
	groups: Map<string, string[]>;
	conversations: Set<string>;
	/** Who may be drawn into something; outsiders are not among them. */
	people: string[];
	/** The group in which most of the talk is. */
	busiest: string;
	tally: Tally;
}

export interface Tally {
	tries: number;
	retries: number;
	streams: number;
	syncs: number;
	resets: number;
	gaps: number;
	refusals: Map<string, number>;
}

export interface Sent {
	id: string;
	conversationId: string;
	body: string;
	/** As acknowledged; null where the server refused it for good. */
	message: MessageView | null;
}

/** A frame of a stream or an answer: what it told, and up to which version. */
export interface Heard {
	conversationId: string;
	version: number;
	rows: number[];
	by: 'stream' | 'sync' | 'page';
}

interface Outgoing {
	id: string;
	conversationId: string;
	body: string;
	tries: number;
}

export class Client {
	readonly name: string;
	personId = '';
	replica: Replica = emptyReplica('');
	/** In the order in which they were acknowledged or refused. */
	readonly sent: Sent[] = [];
	/** Deltas that answered this device's other changes. */
	readonly changed: ConversationDelta[] = [];
	readonly marked = new Map<string, number>();
	readonly opened: string[] = [];
	readonly heard: Heard[] = [];
	readonly heardMessages = new Map<string, MessageView>();
	readonly followed = new Set<string>();
	/** The place from which on this device has to have every message. */
	readonly knownFrom = new Map<string, number>();
	/** What cannot be, seen by this device. */
	readonly complaints: string[] = [];
	readonly #world: World;
	readonly #random: Random;
	#cookie: string;
	readonly #outbox = new Map<string, Outgoing[]>();
	#stream: IncomingMessage | null = null;
	#streaming = false;
	#asking: Promise<void> | null = null;
	#again = false;
	#busy = true;
	#written = 0;
	/** How often the page was loaded anew. */
	#life = 0;

	readonly #call = createTRPCClient<AppRouter>({
		links: [
			httpLink({
				url: 'http://tertulia.test/trpc',
				headers: () => ({ origin: ORIGIN, cookie: this.#cookie, 'user-agent': 'Torture' }),
				fetch: (input, options) => this.#fetch(input, options)
			})
		]
	});

	constructor(world: World, name: string, random: Random, cookie = '') {
		this.#world = world;
		this.name = name;
		this.#random = random;
		this.#cookie = cookie;
	}

	async signUp(): Promise<void> {
		const { id } = await this.#call.accounts.signUp.mutate({
			name: this.name,
			username: this.name,
			email: `${this.name}@example.test`,
			password: uuidv7()
		});
		this.#is(id);
	}

	/** Makes a group, in the quiet before everything. */
	async found(id: string, name: string, personIds: string[]): Promise<void> {
		this.#world.groups.set(id, [this.personId, ...personIds]);
		await this.#call.conversations.createGroup.mutate({ id, name, personIds });
	}

	/** Another tab of the same person. */
	another(name: string, random: Random): Client {
		const client = new Client(this.#world, name, random, this.#cookie);
		client.#is(this.personId);
		return client;
	}

	/** Lives until it is told to stop; resolves when its outbox is empty. */
	async live(everyMs: number, stop: AbortSignal): Promise<void> {
		void this.#listen();
		while (!stop.aborted) {
			await pause(this.#random.exponential(everyMs) + 5, undefined, { signal: stop }).catch(
				() => 0
			);
			if (!stop.aborted) await this.#act();
		}
	}

	/** Messages without an answer. */
	get waiting(): number {
		return [...this.#outbox.values()].reduce((count, entries) => count + entries.length, 0);
	}

	async settle(): Promise<void> {
		await this.#asking;
	}

	get isListening(): boolean {
		return this.#streaming;
	}

	/** What a device that knows nothing is told. */
	async fresh(): Promise<Replica> {
		const empty = emptyReplica(this.personId);
		const answer = await this.#call.sync.since.mutate({ conversations: {} });
		return applySync(empty, answer, empty).replica;
	}

	close(): void {
		this.#busy = false;
		this.#stream?.destroy();
	}

	#is(personId: string): void {
		this.personId = personId;
		this.replica = emptyReplica(personId);
	}

	/** No stickiness: each request goes to any process. */
	async #fetch(input: unknown, options: RequestInit = {}): Promise<Response> {
		const { pathname, search } = new URL(String(input));
		const door = this.#random.pick(this.#world.doors);
		const answer = await fetch(`http://127.0.0.1:${door}${pathname}${search}`, {
			...options,
			signal: AbortSignal.timeout(PATIENCE_MS)
		});
		for (const cookie of answer.headers.getSetCookie()) {
			this.#cookie = cookie.split(';', 1)[0] ?? '';
		}
		return answer;
	}

	// What a person does

	async #act(): Promise<void> {
		const random = this.#random;
		const own = [...this.replica.conversations.values()];
		const dice = random.next();
		if (own.length === 0 || dice < 0.01) return this.#attempt(() => this.#start());
		const { busiest } = this.#world;
		const busy = random.chance(0.3) ? this.replica.conversations.get(busiest) : undefined;
		const state = busy ?? random.pick(own);
		const conversationId = state.conversation.id;
		const isGroup = state.conversation.kind === 'group';
		const someone = random.pick(this.#world.people);
		if (dice < 0.7) return this.#write(conversationId);
		if (dice < 0.82) return this.#attempt(() => this.#markRead(conversationId, state.lastSeq));
		if (dice < 0.86) return this.#attempt(() => this.#page(conversationId, state.lastSeq));
		if (dice < 0.88) return this.#attempt(() => this.#knockElsewhere());
		if (dice < 0.885) return this.#reload();
		if (!isGroup) return this.#write(conversationId);
		const { rename, addPeople, removePerson, leave } = this.#call.conversations;
		if (dice < 0.92) {
			const name = `${this.name} ${++this.#written}`;
			return this.#attempt(async () =>
				this.#absorb(await rename.mutate({ conversationId, name }), false)
			);
		}
		if (dice < 0.96) {
			return this.#attempt(async () =>
				this.#absorb(await addPeople.mutate({ conversationId, personIds: [someone] }), false)
			);
		}
		if (dice < 0.99) {
			return this.#attempt(async () =>
				this.#absorb(await removePerson.mutate({ conversationId, personId: someone }), false)
			);
		}
		if (conversationId !== busiest) await this.#attempt(() => leave.mutate({ conversationId }));
	}

	/** One try: without an answer nobody knows whether it happened, and both are right. */
	async #attempt(what: () => Promise<unknown>): Promise<void> {
		try {
			await what();
		} catch (error) {
			this.#refused(error);
		}
	}

	async #start(): Promise<void> {
		const { people, groups, conversations } = this.#world;
		const personIds = [this.#random.pick(people), this.#random.pick(people)];
		let opening;
		if (this.#random.chance(0.5)) {
			opening = await this.#call.conversations.startDirect.mutate({ personId: personIds[0] ?? '' });
		} else {
			const id = uuidv7();
			groups.set(id, [this.personId, ...personIds]);
			conversations.add(id);
			const name = `${this.name} ${++this.#written}`;
			opening = await this.#call.conversations.createGroup.mutate({ id, name, personIds });
		}
		const { id } = opening.snapshot.conversation;
		conversations.add(id);
		this.opened.push(id);
		this.#become(adoptOpening(this.replica, opening));
		this.#ask();
	}

	async #markRead(conversationId: string, seq: number): Promise<void> {
		await this.#call.conversations.markRead.mutate({ conversationId, seq });
		this.marked.set(conversationId, Math.max(seq, this.marked.get(conversationId) ?? 0));
	}

	async #page(conversationId: string, lastSeq: number): Promise<void> {
		const before = this.#random.whole(1, lastSeq + 1);
		const page = await this.#call.messages.page.query({ conversationId, before });
		const state = this.replica.conversations.get(conversationId);
		if (page.messages.length > 0) {
			this.#hear('page', conversationId, page.version, page.messages);
		}
		if (!state) return;
		this.#become(withConversation(this.replica, mergePage(state, page, this.personId)));
	}

	/** Tries to get at what is not theirs; the verdict knows whether an answer was right. */
	async #knockElsewhere(): Promise<void> {
		const foreign = [...this.#world.conversations].filter(
			(id) => !this.replica.conversations.has(id)
		);
		if (foreign.length === 0) return;
		const conversationId = this.#random.pick(foreign);
		if (this.#random.chance(0.5)) {
			const page = await this.#call.messages.page.query({ conversationId });
			this.#hear('page', conversationId, page.version, page.messages);
		} else {
			this.#write(conversationId);
		}
	}

	/** The page is loaded anew: only the outbox is left of it. */
	#reload(): void {
		this.#life++;
		this.replica = emptyReplica(this.personId);
		this.knownFrom.clear();
		this.#stream?.destroy();
	}

	// The outbox

	#write(conversationId: string): void {
		if (this.waiting > 30) return;
		const more = this.#random.chance(0.05) ? ` ${'ñ🫖 '.repeat(500)}` : '';
		const entry = {
			id: uuidv7(),
			conversationId,
			body: `${this.name} ${++this.#written}${more}`,
			tries: 0
		};
		const entries = this.#outbox.get(conversationId);
		if (entries) entries.push(entry);
		else {
			this.#outbox.set(conversationId, [entry]);
			void this.#sendAll(conversationId);
		}
	}

	async #sendAll(conversationId: string): Promise<void> {
		const entries = this.#outbox.get(conversationId) ?? [];
		for (let entry = entries[0]; entry && this.#busy; entry = entries[0]) {
			const wait = await this.#send(entry);
			if (wait === 0) entries.shift();
			else await pause(wait);
		}
		this.#outbox.delete(conversationId);
	}

	/** 0 when it is settled, or the milliseconds until another try. */
	async #send(entry: Outgoing): Promise<number> {
		const { id, conversationId, body } = entry;
		this.#world.tally.tries++;
		if (entry.tries++ > 0) this.#world.tally.retries++;
		try {
			const delta = await this.#call.messages.send.mutate({ id, conversationId, body });
			const message = delta.changes.flatMap((change) =>
				change.type === 'message.changed' ? change.message : []
			)[0];
			if (message?.id !== id) this.complaints.push(`${id} was answered with something else.`);
			this.sent.push({ id, conversationId, body, message: message ?? null });
			this.#absorb(delta, true);
			return 0;
		} catch (error) {
			const { reason, retryAfter } = this.#refused(error);
			if (reason === 'sending_too_fast') return retryAfter * 1000;
			if (reason === 'network' || reason === 'internal' || reason === 'server_busy') {
				return this.#later();
			}
			this.sent.push({ id, conversationId, body, message: null });
			return 0;
		}
	}

	#refused(error: unknown): ReturnType<typeof refusalOf> {
		const refusal = refusalOf(error);
		const { refusals } = this.#world.tally;
		refusals.set(refusal.reason, (refusals.get(refusal.reason) ?? 0) + 1);
		if (refusal.reason === 'not_signed_in') this.complaints.push('was signed out');
		return refusal;
	}

	#later(): number {
		return AGAIN_MIN_MS + this.#random.next() * (AGAIN_MAX_MS - AGAIN_MIN_MS);
	}

	// The replica

	/** An answer to an own call: ahead of the stream it is merged as far as it leaves no hole. */
	#absorb(delta: ConversationDelta, isSend: boolean): void {
		if (!isSend) this.changed.push(delta);
		const event = { type: 'conversation.advanced' as const, delta };
		const { replica, needsSync } = applyEvent(this.replica, event);
		this.#become(replica);
		if (!needsSync) return;
		const state = this.replica.conversations.get(delta.conversationId);
		const rows = delta.changes.filter(({ type }) => type !== 'message.changed');
		if (state) {
			this.#become(withConversation(this.replica, mergeRows(state, rows, this.personId)));
		}
	}

	async #listen(): Promise<void> {
		while (this.#busy) {
			await this.#listenOnce();
			this.#streaming = false;
			if (this.#busy) await pause(this.#later());
		}
	}

	/** Resolves when the stream has ended, however it did. */
	#listenOnce(): Promise<void> {
		return new Promise((resolve) => {
			const port = this.#random.pick(this.#world.doors);
			const headers = { cookie: this.#cookie };
			const request = get({ host: '127.0.0.1', port, path: '/events', headers, agent: false });
			// A process that is frozen takes connections and says nothing.
			request.setTimeout(PATIENCE_MS, () => {
				if (!this.#streaming) request.destroy();
			});
			request.on('error', () => resolve());
			request.on('close', () => resolve());
			request.on('response', (response) => {
				if (response.statusCode !== 200) {
					if (response.statusCode === 401) this.complaints.push('was signed out of the stream');
					response.destroy();
					return;
				}
				this.#world.tally.streams++;
				this.#stream = response;
				this.#read(response);
			});
		});
	}

	#read(response: IncomingMessage): void {
		let text = '';
		response.on('error', () => undefined);
		response.setEncoding('utf8').on('data', (more: string) => {
			text += more;
			const parts = text.split('\n\n');
			text = parts.pop() ?? '';
			for (const part of parts) {
				let event: StreamEvent;
				try {
					event = JSON.parse(part.slice('data: '.length)) as StreamEvent;
				} catch {
					// Bytes were lost on the way.
					response.destroy();
					return;
				}
				if (this.#stream === response) this.#receive(event);
			}
		});
	}

	#receive(event: StreamEvent): void {
		if (event.type === 'stream.opened') this.#streaming = true;
		if (event.type === 'conversation.advanced') this.#hearDelta('stream', event.delta);
		if (event.type === 'conversation.followed') this.followed.add(event.conversationId);
		if (event.type === 'session.ended') this.complaints.push('was cut off');
		const { replica, needsSync } = applyEvent(this.replica, event);
		this.#become(replica);
		if (!needsSync) return;
		if (event.type === 'conversation.advanced') this.#world.tally.gaps++;
		this.#ask();
	}

	#ask(): void {
		this.#again = true;
		this.#asking ??= this.#askUntilDone().finally(() => (this.#asking = null));
	}

	async #askUntilDone(): Promise<void> {
		while (this.#again && this.#busy) {
			this.#again = false;
			const asked = this.replica;
			const life = this.#life;
			try {
				const known = knownVersions(asked);
				const answer = await this.#call.sync.since.mutate({ conversations: known });
				this.#world.tally.syncs++;
				this.#world.tally.resets += answer.reset.length;
				for (const delta of answer.deltas) this.#hearDelta('sync', delta);
				for (const { conversation, version, lastMessage } of answer.snapshots) {
					this.#hear('sync', conversation.id, version, lastMessage ? [lastMessage] : []);
				}
				if (life !== this.#life) {
					// It answers what nobody asks any more.
					this.#again = true;
					continue;
				}
				for (const id of answer.reset) this.knownFrom.delete(id);
				const { replica, needsSync } = applySync(this.replica, answer, asked);
				this.#become(replica);
				if (needsSync) this.#again = true;
			} catch (error) {
				this.#refused(error);
				this.#again = true;
				await pause(this.#later());
			}
		}
	}

	#hearDelta(by: Heard['by'], { conversationId, version, changes }: ConversationDelta): void {
		const rows: number[] = [];
		for (const change of changes) {
			if (change.type === 'message.changed') rows.push(this.#remember(change.message));
			else if (change.type === 'member.changed') rows.push(change.member.version);
			else rows.push(change.conversation.changed);
		}
		this.heard.push({ conversationId, version, rows, by });
	}

	#hear(by: Heard['by'], conversationId: string, version: number, messages: MessageView[]): void {
		const rows = messages.map((message) => this.#remember(message));
		this.heard.push({ conversationId, version, rows, by });
	}

	#remember(message: MessageView): number {
		this.heardMessages.set(message.id, message);
		return message.version;
	}

	#become(replica: Replica): void {
		this.replica = replica;
		for (const [id, { lastSeq }] of replica.conversations) {
			if (!this.knownFrom.has(id)) this.knownFrom.set(id, lastSeq);
		}
		for (const id of this.knownFrom.keys()) {
			if (!replica.conversations.has(id)) this.knownFrom.delete(id);
		}
	}
}
