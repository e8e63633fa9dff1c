/**
 * What all clients have in common, whatever code they run: a person who does things at random, and
 * the evidence for the verdict: what they wrote, what the server acknowledged, all that they were told.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createTRPCClient, httpLink } from '@trpc/client';
import { uuidv7 } from 'uuidv7';
import { refusalOf } from '../../scripts/lib/http-person.ts';
import type { Random } from '../../scripts/seed/random.ts';
import type { AppRouter } from '../../src/lib/server/trpc/router.ts';
import type { ConversationDelta, StreamEvent } from '../../src/lib/shared/events.ts';
import type { EditInput, MessageView, TextMessage } from '../../src/lib/shared/messages.ts';
import type { ReactInput } from '../../src/lib/shared/reactions.ts';
import {
	applySync,
	emptyReplica,
	type ConversationState,
	type Replica
} from '../../src/lib/shared/replica.ts';
import type { SyncAnswer } from '../../src/lib/shared/sync.ts';
import { ORIGIN } from './house.ts';

/** No answer for so long is none. */
export const PATIENCE_MS = 8000;
const AGAIN_MIN_MS = 100;
const AGAIN_MAX_MS = 1500;
/** After these it may have been done all the same. */
const DOUBTFUL = new Set(['network', 'internal', 'server_busy']);
/** Nobody goes on writing with so much unsent. */
const WAITING_MAX = 30;

/** Whatever `fetch` is to the page that asks. */
const { fetch: fetchReally } = globalThis;

/** What all clients share: where to knock, and what was ever made. */
export interface World {
	doors: number[];
	/** Groups by id, with those whom their creator named. Some were never made. */
	groups: Map<string, string[]>;
	conversations: Set<string>;
	/** Some message of each conversation, for those who try at what is not theirs. */
	somewhere: Map<string, string>;
	/** Messages that somebody tried to delete. */
	deletions: Set<string>;
	/** Who may be drawn into something; outsiders are not among them. */
	people: string[];
	/** The group in which most of the talk is, and the newest version of it that anybody heard of. */
	busiest: string;
	busiestVersion: number;
	tally: Tally;
}

export interface Tally {
	tries: number;
	retries: number;
	streams: number;
	polls: number;
	syncs: number;
	resets: number;
	gaps: number;
	/** Pages that crashed, and the messages that were then on their way. */
	crashes: number;
	leftBehind: number;
	/** Times that a device was without a network. */
	tunnels: number;
	refusals: Map<string, number>;
}

export function newWorld(doors: number[]): World {
	return {
		doors,
		groups: new Map(),
		conversations: new Set(),
		somewhere: new Map(),
		deletions: new Set(),
		people: [],
		busiest: uuidv7(),
		busiestVersion: 0,
		tally: {
			tries: 0,
			retries: 0,
			streams: 0,
			polls: 0,
			syncs: 0,
			resets: 0,
			gaps: 0,
			crashes: 0,
			leftBehind: 0,
			tunnels: 0,
			refusals: new Map()
		}
	};
}

/** Something that was written here, in the order of writing. */
export interface Written {
	id: string;
	conversationId: string;
	body: string;
}

export interface Sent extends Written {
	/** As acknowledged; null where the server refused it for good. */
	message: MessageView | null;
}

/** A reaction that was asked for; each device has an emoji of its own. */
export interface Reacting extends ReactInput {
	/** `unknown` as long as there is no answer. */
	outcome: 'unknown' | 'acknowledged' | 'refused';
	/** Of the answer. */
	version: number;
}

/** An edit that was acknowledged, and the version that it took. */
export interface Edited extends EditInput {
	version: number;
}

/** A frame of a stream or an answer: what it told, and up to which version. */
export interface Heard {
	conversationId: string;
	version: number;
	rows: number[];
	by: 'stream' | 'sync' | 'page';
}

/** What the tabs of one browser share of a session. */
export interface Jar {
	cookie: string;
}

export abstract class Device {
	readonly name: string;
	personId = '';
	readonly written: Written[] = [];
	/** In the order in which they were acknowledged or refused. */
	readonly sent: Sent[] = [];
	/** Deltas that answered this device's other changes. */
	readonly changed: ConversationDelta[] = [];
	readonly edited: Edited[] = [];
	/** Of which it was acknowledged that they are deleted. */
	readonly deleted: string[] = [];
	readonly reacting: Reacting[] = [];
	readonly marked = new Map<string, number>();
	readonly opened: string[] = [];
	readonly heard: Heard[] = [];
	readonly heardMessages = new Map<string, MessageView>();
	readonly followed = new Set<string>();
	/** The place from which on this device has to have every message. */
	readonly knownFrom = new Map<string, number>();
	/** What cannot be, seen by this device. */
	readonly complaints: string[] = [];
	protected readonly world: World;
	protected readonly random: Random;
	protected readonly jar: Jar;
	protected busy = true;
	#named = 0;

	/** Without the code of any client. */
	protected readonly call = createTRPCClient<AppRouter>({
		links: [
			httpLink({
				url: 'http://tertulia.test/trpc',
				headers: () => ({ 'user-agent': 'Torture' }),
				fetch: (to, options) => this.fetch(to, options)
			})
		]
	});

	constructor(world: World, name: string, random: Random, jar: Jar) {
		this.world = world;
		this.name = name;
		this.random = random;
		this.jar = jar;
	}

	abstract get replica(): Replica;
	/** Messages without an answer. */
	abstract get waiting(): number;
	abstract get isListening(): boolean;
	/** Resolves when nothing is being asked. */
	abstract settle(): Promise<void>;
	/** Whether the person knows that this message, written here, was not sent. */
	abstract isGivenUp(id: string): boolean;
	/**
	 * Whether the order of writing says where this message has to be. Not of one that was ever refused
	 * for good: those after it went on without it, and a try of it that was still under way, in a
	 * process that stood still, may find its sender let in meanwhile.
	 */
	abstract hasPlace(id: string): boolean;

	/** The place from which on this device has to show every message. */
	abstract shownFrom(state: ConversationState): number;
	/** What is on its screen and should not be, in the end. */
	abstract amiss(): Promise<string[]>;

	/** Opens it, and keeps it listening. */
	abstract begin(): Promise<void> | void;

	async signUp(): Promise<void> {
		const { id } = await this.call.accounts.signUp.mutate({
			name: this.name,
			username: this.name,
			email: `${this.name}@example.test`,
			password: uuidv7()
		});
		this.is(id);
	}

	/** Makes a group, in the quiet before everything. */
	async found(id: string, name: string, personIds: string[]): Promise<void> {
		this.world.groups.set(id, [this.personId, ...personIds]);
		await this.call.conversations.createGroup.mutate({ id, name, personIds });
	}

	/** Lives until it is told to stop. */
	async live(everyMs: number, stop: AbortSignal): Promise<void> {
		await this.begin();
		while (!stop.aborted) {
			await pause(this.random.exponential(everyMs) + 5, undefined, { signal: stop }).catch(() => 0);
			if (!stop.aborted) await this.act(stop);
		}
	}

	/** What a device that knows nothing is told. */
	async fresh(): Promise<Replica> {
		const empty = emptyReplica(this.personId);
		const answer = await this.call.sync.since.mutate({ conversations: {} });
		return applySync(empty, answer, empty).replica;
	}

	close(): void {
		this.busy = false;
	}

	// What a client does with its own code

	protected abstract send(conversationId: string, body: string): string;
	/** A group when it has a name. */
	protected abstract start(personIds: string[], name: string | null): Promise<unknown>;
	protected abstract markRead(
		conversationId: string,
		seq: number,
		unread: boolean
	): Promise<unknown>;
	protected abstract read(state: ConversationState): Promise<unknown>;
	protected abstract edit(message: TextMessage, body: string): Promise<unknown>;
	protected abstract delete(message: TextMessage): Promise<unknown>;
	protected abstract react(message: TextMessage, emoji: string, on: boolean): Promise<unknown>;
	protected abstract rename(conversationId: string, name: string): Promise<unknown>;
	protected abstract addPerson(conversationId: string, personId: string): Promise<unknown>;
	protected abstract removePerson(conversationId: string, personId: string): Promise<unknown>;
	protected abstract leave(conversationId: string): Promise<unknown>;
	/** The page is loaded anew. */
	protected abstract reload(): Promise<void>;

	protected is(personId: string): void {
		this.personId = personId;
	}

	/** No stickiness: each request goes to any process. */
	protected async fetch(to: RequestInfo | URL, options: RequestInit = {}): Promise<Response> {
		const { pathname, search } = new URL(to instanceof Request ? to.url : to, ORIGIN);
		const door = this.random.pick(this.world.doors);
		const headers = new Headers(options.headers);
		headers.set('origin', ORIGIN);
		headers.set('cookie', this.jar.cookie);
		const signals = [AbortSignal.timeout(PATIENCE_MS), options.signal ?? []].flat();
		const answer = await fetchReally(`http://127.0.0.1:${door}${pathname}${search}`, {
			...options,
			headers,
			signal: AbortSignal.any(signals)
		});
		for (const cookie of answer.headers.getSetCookie()) {
			this.jar.cookie = cookie.split(';', 1)[0] ?? '';
		}
		return answer;
	}

	// What a person does

	protected async act(_stop: AbortSignal): Promise<void> {
		const { random, world } = this;
		const own = [...this.replica.conversations.values()];
		const dice = random.next();
		const someone = random.pick(world.people);
		if (own.length === 0 || dice < 0.01) {
			const personIds = [someone, random.pick(world.people)];
			const name = random.chance(0.5) ? this.#newName() : null;
			return this.attempt(() => this.start(personIds, name));
		}
		const busy = random.chance(0.3) ? this.replica.conversations.get(world.busiest) : undefined;
		const state = busy ?? random.pick(own);
		const { id, kind } = state.conversation;
		if (dice < 0.56) return this.write(id);
		if (dice < 0.7) return this.attempt(() => this.#changeOne(state));
		if (dice < 0.82) {
			const unread = random.chance(0.2);
			return this.attempt(() => this.markRead(id, state.lastSeq, unread));
		}
		if (dice < 0.86) return this.attempt(() => this.read(state));
		if (dice < 0.88) return this.attempt(() => this.#knockElsewhere());
		if (dice < 0.885) return this.reload();
		if (kind !== 'group') return this.write(id);
		if (dice < 0.92) return this.attempt(() => this.rename(id, this.#newName()));
		if (dice < 0.96) return this.attempt(() => this.addPerson(id, someone));
		if (dice < 0.99) return this.attempt(() => this.removePerson(id, someone));
		if (id !== world.busiest) await this.attempt(() => this.leave(id));
	}

	/** Does something to a message that is known here. */
	#changeOne({ messages }: ConversationState): Promise<unknown> {
		const { random, personId } = this;
		const texts = [...messages.values()].filter((message) => message.kind === 'text');
		// Mostly what was said lately, and sometimes something old.
		const near = random.chance(0.8) ? texts.slice(-20) : texts;
		const dice = random.next();
		const own = dice < 0.55 ? near.filter(({ senderId }) => senderId === personId) : near;
		if (own.length === 0) return Promise.resolve();
		const message = random.pick(own);
		if (dice < 0.5) return this.edit(message, this.#newName());
		if (dice < 0.55) return this.delete(message);
		return this.react(message, this.#emoji, random.chance(0.7));
	}

	/** No other device of the person has it, so nobody else takes back what was done here. */
	get #emoji(): string {
		return this.name.endsWith('.tab') ? '🎉' : '👍';
	}

	/** Writes something, which is sent as soon as it can be. */
	write(conversationId: string): void {
		if (this.waiting > WAITING_MAX) return;
		const more = this.random.chance(0.05) ? ` ${'ñ🫖 '.repeat(500)}` : '';
		const body = `${this.#newName()}${more}`;
		this.written.push({ id: this.send(conversationId, body), conversationId, body });
	}

	/** One try: without an answer nobody knows whether it happened, and both are right. */
	protected async attempt(what: () => Promise<unknown>): Promise<void> {
		try {
			await what();
		} catch (error) {
			this.refused(error);
		}
	}

	protected later(): number {
		return AGAIN_MIN_MS + this.random.next() * (AGAIN_MAX_MS - AGAIN_MIN_MS);
	}

	/** Tries to get at what is not theirs; the verdict knows whether an answer was right. */
	async #knockElsewhere(): Promise<void> {
		const { conversations } = this.replica;
		const foreign = [...this.world.conversations].filter((id) => !conversations.has(id));
		if (foreign.length === 0) return;
		const conversationId = this.random.pick(foreign);
		const dice = this.random.next();
		const id = this.world.somewhere.get(conversationId);
		if (dice < 0.3 && id !== undefined) {
			await this.#meddle(conversationId, id);
		} else if (dice < 0.65) {
			const page = await this.call.messages.page.query({ conversationId });
			this.hear('page', conversationId, page.version, page.messages);
		} else {
			this.write(conversationId);
		}
	}

	async #meddle(conversationId: string, id: string): Promise<void> {
		const key = { conversationId, id };
		const way = this.random.pick(['edit', 'delete', 'texts', 'react'] as const);
		if (way === 'react') {
			const input = { conversationId, messageId: id, emoji: this.#emoji, on: true };
			this.asksToReact(input);
			this.isReacted(input, await this.call.reactions.set.mutate(input));
		} else {
			if (way === 'texts') await this.call.messages.texts.query(key);
			// Somebody else's, also for who is let in.
			if (way === 'edit') {
				await this.call.messages.edit.mutate({ ...key, body: this.#newName(), edit: 1 });
			}
			if (way === 'delete') await this.call.messages.delete.mutate(key);
			const own = this.replica.conversations.has(conversationId);
			if (way !== 'texts' || !own) this.complaints.push(`was let ${way} ${id}`);
		}
	}

	#newName(): string {
		return `${this.name} ${++this.#named}`;
	}

	// The evidence

	protected refused(error: unknown): ReturnType<typeof refusalOf> {
		const refusal = refusalOf(error);
		this.countRefusal(refusal.reason);
		return refusal;
	}

	protected countRefusal(reason: string): void {
		const { refusals } = this.world.tally;
		refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
		if (reason === 'not_signed_in') this.complaints.push('was signed out');
	}

	protected acknowledged(what: Written, delta: ConversationDelta): void {
		const message = delta.changes.flatMap((change) =>
			change.type === 'message.changed' ? change.message : []
		)[0];
		if (message?.id !== what.id) {
			this.complaints.push(`got something else as the answer to ${what.id}`);
		}
		this.sent.push({ ...what, message: message ?? null });
		this.world.somewhere.set(what.conversationId, what.id);
	}

	protected asksToReact(input: ReactInput): void {
		this.reacting.push({ ...input, outcome: 'unknown', version: 0 });
	}

	protected isReacted(input: ReactInput, { version }: ConversationDelta): void {
		Object.assign(this.#asked(input), { outcome: 'acknowledged', version });
	}

	/** Where the refusal says that nothing was done. */
	protected isNotReacted(input: ReactInput, reason: string): void {
		if (!DOUBTFUL.has(reason)) Object.assign(this.#asked(input), { outcome: 'refused' });
	}

	/** One at a time is asked for; the last of its kind. */
	#asked({ messageId, emoji }: ReactInput): Partial<Reacting> {
		const of = (one: Reacting) => one.messageId === messageId && one.emoji === emoji;
		return this.reacting.findLast(of) ?? {};
	}

	protected isEdited(input: EditInput, delta: ConversationDelta): void {
		this.changed.push(delta);
		this.edited.push({ ...input, version: delta.version });
	}

	protected isDeleted(id: string, delta: ConversationDelta): void {
		this.changed.push(delta);
		this.deleted.push(id);
	}

	/** Before it is asked for: without an answer nobody knows whether it was made. */
	protected wants(groupId: string, personIds: readonly string[]): void {
		this.world.groups.set(groupId, [this.personId, ...personIds]);
		this.world.conversations.add(groupId);
	}

	protected has(conversationId: string): void {
		this.world.conversations.add(conversationId);
		this.opened.push(conversationId);
	}

	protected hearEvent(event: StreamEvent): void {
		if (event.type === 'conversation.advanced') this.#hearDelta('stream', event.delta);
		if (event.type === 'conversation.followed') this.followed.add(event.conversationId);
		if (event.type === 'session.ended') this.complaints.push('was cut off');
	}

	protected hearSync(answer: SyncAnswer): void {
		this.world.tally.syncs++;
		this.world.tally.resets += answer.reset.length;
		for (const delta of answer.deltas) this.#hearDelta('sync', delta);
		for (const { conversation, version, lastMessage } of answer.snapshots) {
			this.hear('sync', conversation.id, version, lastMessage ? [lastMessage] : []);
		}
	}

	protected hear(
		by: Heard['by'],
		conversationId: string,
		version: number,
		messages: readonly MessageView[]
	): void {
		const rows = messages.map((message) => this.#remember(message));
		this.#note({ conversationId, version, rows, by });
	}

	#hearDelta(by: Heard['by'], { conversationId, version, changes }: ConversationDelta): void {
		const rows: number[] = [];
		for (const change of changes) {
			if (change.type === 'message.changed') rows.push(this.#remember(change.message));
			else if (change.type === 'member.changed') rows.push(change.member.version);
			else rows.push(change.conversation.changed);
		}
		this.#note({ conversationId, version, rows, by });
	}

	#note(heard: Heard): void {
		const { world } = this;
		this.heard.push(heard);
		if (heard.conversationId === world.busiest) {
			world.busiestVersion = Math.max(world.busiestVersion, heard.version);
		}
	}

	#remember(message: MessageView): number {
		this.heardMessages.set(message.id, message);
		return message.version;
	}
}
