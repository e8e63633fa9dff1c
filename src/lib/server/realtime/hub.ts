import {
	HEARTBEAT_MS,
	type ConversationChange,
	type ConversationDelta,
	type PersonChange,
	type PersonDelta,
	type StreamEvent
} from '#lib/shared/events.ts';
import type { Log } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import type { ChangeSource, HeardStanding } from './change-source.ts';
import type { Range, ReceiptRing, Ring } from './doorbell.ts';
import { Feed, tellConversation, tellPerson } from './feed.ts';
import { Few } from './few.ts';
import { encodeFrame, type Frame } from './frame.ts';
import type { Stream } from './stream.ts';

/** What a transaction of this process changed, with the changes themselves. */
export interface Advance {
	conversations: ConversationDelta[];
	people: { personId: string; delta: PersonDelta }[];
	sessions: string[];
	/** Sessions whose token was replaced. */
	renewed?: string[];
	receipts?: ReceiptRing[];
}

/** `ended`: with the session, and not only the stream. */
export type PersonListener = (personId: string, became: 'here' | 'gone' | 'ended') => void;

export interface HubOptions {
	/** Milliseconds between comparisons with the tables, which find what a lost notification hid. */
	sweepMs?: number;
	/** Milliseconds before a failed reading is tried again. */
	retryMs?: number;
}

interface Unwritten {
	feeds: Set<{ flush(): void }>;
	writes: number;
}

/** A write takes up to 10 µs: so many delay nobody's answer. */
const FEW_WRITES = 16;
/** Feeds read in one query at the most. */
const READ_MAX = 500;

/** Brings every change to the streams of this process that it concerns, and to no other. */
export class Hub {
	readonly #source: ChangeSource;
	readonly #log: Log;
	readonly #retryMs: number;
	readonly #metrics: Metrics;
	readonly #conversations = new Map<string, Feed<ConversationChange>>();
	readonly #people = new Map<string, Feed<PersonChange>>();
	readonly #sessions = new Map<string, Few<Stream>>();
	/** Streams that are being opened, and whether their person's memberships changed meanwhile. */
	readonly #opening = new Map<Stream, { stale: boolean }>();
	readonly #behind = {
		conversations: new Set<Feed<ConversationChange>>(),
		people: new Set<Feed<PersonChange>>()
	};
	readonly #soon: Unwritten = { feeds: new Set(), writes: 0 };
	readonly #later: Unwritten = { feeds: new Set(), writes: 0 };
	readonly #timers: NodeJS.Timeout[] = [];
	/** One for all streams, which are many. */
	readonly #onClose = (stream: Stream) => this.#forget(stream);
	readonly #onConversation: ((delta: ConversationDelta) => void)[] = [];
	readonly #onPerson: PersonListener[] = [];
	/** Lines that have begun so far. */
	#begun = 0;
	#reading = false;
	#closed = false;

	constructor(
		source: ChangeSource,
		log: Log,
		{ sweepMs = 5000, retryMs = 1000 }: HubOptions = {},
		metrics = new Metrics()
	) {
		this.#source = source;
		this.#log = log;
		this.#metrics = metrics;
		metrics.gauge('tertulia_streams_open', 'Event streams open now.', () => this.streamCount);
		metrics.gauge(
			'tertulia_stream_buffered_bytes',
			'Bytes that the readers of all streams have still to take.',
			() => this.#buffered()
		);
		this.#retryMs = retryMs;
		const heartbeat = encodeFrame({ type: 'heartbeat' });
		this.#every(HEARTBEAT_MS, () => this.#writeToAll(heartbeat));
		this.#every(sweepMs, () => void this.sweep());
	}

	/** Tells too, before the streams, what they are told of conversations. */
	onConversation(listener: (delta: ConversationDelta) => void): void {
		this.#onConversation.push(listener);
	}

	/** Tells whose first stream here opens, and whose last one is gone. */
	onPerson(listener: PersonListener): void {
		this.#onPerson.push(listener);
	}

	/** Whether a session has a stream here. */
	has(sessionId: string): boolean {
		return this.#sessions.has(sessionId);
	}

	/** Tells what passes (it has no version) to the streams of these sessions, and to no other. */
	tell(sessionIds: Iterable<string>, event: StreamEvent): void {
		const frame = encodeFrame(event);
		for (const id of sessionIds) {
			for (const stream of this.#sessions.get(id) ?? []) stream.write(frame);
		}
	}

	/** Those of whom a stream here follows the conversation; past `most` of them it need not be all. */
	peopleIn(conversationId: string, most: number): ReadonlySet<string> {
		const people = new Set<string>();
		for (const { personId } of this.#conversations.get(conversationId)?.streams ?? []) {
			people.add(personId);
			if (people.size > most) break;
		}
		return people;
	}

	/** Tells what passes to the streams that follow a conversation, of these people and no other. */
	tellIn(conversationId: string, personIds: ReadonlySet<string>, event: StreamEvent): void {
		const frame = encodeFrame(event);
		this.#conversations.get(conversationId)?.streams.forEach((stream) => {
			if (personIds.has(stream.personId)) stream.write(frame);
		});
	}

	get streamCount(): number {
		let count = 0;
		for (const streams of this.#sessions.values()) count += streams.size;
		return count;
	}

	/**
	 * Takes a stream in. Resolves when it hears everything that happens from now on, and has been
	 * told so (`stream.opened`): what came before, the client asks for.
	 */
	async open(stream: Stream): Promise<void> {
		joinSet(this.#sessions, stream.sessionId, stream);
		const { streams } = this.#personFeed(stream.personId);
		streams.add(stream);
		if (streams.size === 1) for (const tell of this.#onPerson) tell(stream.personId, 'here');
		stream.onClose(this.#onClose);
		await this.#lookUp(stream, false);
		stream.write(encodeFrame({ type: 'stream.opened' }));
	}

	/** Makes a stream hear what its person may hear now, and nothing else. */
	async #lookUp(stream: Stream, isOpen: boolean): Promise<void> {
		const asking = this.#opening.get(stream);
		if (asking) {
			asking.stale = true;
			return;
		}
		// Subscribe before asking: a change in between makes us ask again, and is not missed.
		const state = { stale: true };
		this.#opening.set(stream, state);
		const person = this.#personFeed(stream.personId);
		try {
			while (state.stale && !stream.closed) {
				state.stale = false;
				const begun = this.#begun;
				const standing = await this.#source.standing(stream.personId, stream.sessionId);
				if (!standing) return this.#cut(stream);
				if (state.stale || stream.closed) continue;
				person.begin(standing.version);
				const allowed = new Set(standing.conversations);
				for (const id of stream.conversations) if (!allowed.has(id)) this.#unfollow(stream, id);
				// A line that had begun by then tells of every change of membership that came after.
				const unbegun: Feed<ConversationChange>[] = [];
				for (const id of standing.conversations) {
					const feed = this.#conversationFeed(id);
					if (feed.cursor === null || feed.begunAs > begun) unbegun.push(feed);
					else this.#follow(stream, feed, isOpen);
				}
				this.#catchUp(person, this.#behind.people);
				if (unbegun.length > 0) await this.#begin(unbegun, stream, state, isOpen);
			}
		} finally {
			this.#opening.delete(stream);
			if (stream.closed) this.#forget(stream);
		}
	}

	/**
	 * Lines that nobody here listened to. A membership holds as of the version that is read with it,
	 * so both are asked for together, of lines that hear already.
	 */
	async #begin(
		feeds: Feed<ConversationChange>[],
		stream: Stream,
		state: { stale: boolean },
		isOpen: boolean
	): Promise<void> {
		for (const feed of feeds) feed.holds++;
		const begun = this.#begun;
		try {
			const ids = feeds.map(({ id }) => id);
			const versions = await this.#source.memberVersions(stream.personId, ids);
			if (stream.closed) return;
			const standing = new Map(versions.map((position) => [position.id, position]));
			for (const feed of feeds) {
				const position = standing.get(feed.id);
				// No member any more: the person's own line tells of it.
				if (!position) continue;
				if (feed.cursor === null) {
					feed.begin(position.version);
					feed.begunAs = ++this.#begun;
					feed.begunAt = position.moment;
				} else if (feed.begunAs > begun && feed.begunAt !== position.moment) {
					// Another opening was faster: what it began with may be newer than this membership.
					state.stale = true;
					continue;
				}
				if (!state.stale) this.#follow(stream, feed, isOpen);
				this.#catchUp(feed, this.#behind.conversations);
			}
		} finally {
			for (const feed of feeds) {
				feed.holds--;
				dropUnused(this.#conversations, feed);
			}
		}
	}

	/**
	 * Where somebody stands who listens here, as far as their streams have been told: who knows just
	 * that need not ask the tables. Null where there is more to tell, or nobody to be told.
	 */
	standingOf(personId: string): HeardStanding | null {
		const person = this.#people.get(personId);
		if (!person || person.cursor === null || person.behind) return null;
		for (const stream of person.streams) {
			if (stream.closed || this.#opening.has(stream)) continue;
			const toldTo = (id: string) => {
				const feed = stream.conversations.has(id) ? this.#conversations.get(id) : undefined;
				return feed && !feed.behind ? feed.cursor : null;
			};
			return { version: person.cursor, conversations: stream.conversations, toldTo };
		}
		return null;
	}

	/** Passes on what this process has just committed. */
	publish(advance: Advance): void {
		for (const { personId, delta } of advance.people) this.#publishToPerson(personId, delta);
		for (const delta of advance.conversations) {
			const feed = this.#conversations.get(delta.conversationId);
			if (!feed) continue;
			if (delta.version > (feed.cursor ?? Infinity)) feed.learn('this process');
			if (feed.continuedBy(delta)) this.#tellConversation(feed, delta.changes, delta.version);
			else this.#hear(feed, delta.version, this.#behind.conversations);
		}
		for (const id of advance.sessions) this.#cutSession(id);
	}

	/** Another process says that something changed; it is read where somebody here listens. */
	ring(ring: Ring): void {
		const hear = <C>(feeds: Map<string, Feed<C>>, ranges: Range[], behind: Set<Feed<C>>) => {
			for (const { id, version } of ranges) {
				const feed = feeds.get(id);
				if (feed) this.#hear(feed, version, behind);
			}
		};
		hear(this.#people, ring.people, this.#behind.people);
		hear(this.#conversations, ring.conversations, this.#behind.conversations);
		for (const id of ring.sessions) this.#cutSession(id);
	}

	/** Compares with the tables. Run every few seconds, and after the listener was interrupted. */
	async sweep(): Promise<void> {
		if (this.#closed || this.#sessions.size === 0) return;
		try {
			let found = 0;
			const sessions = [...this.#sessions.keys()];
			const live = new Set(await this.#source.liveSessions(sessions));
			// A new password replaced it, most likely, and its browser is about to come back.
			for (const id of sessions) if (!live.has(id)) this.#cutSession(id, 'gone');
			for (const { id, version } of await this.#source.personVersions([...this.#people.keys()])) {
				const feed = this.#people.get(id);
				if (!feed) continue;
				if (version > feed.heard) found++;
				this.#hear(feed, version, this.#behind.people);
			}
			const known = [...this.#conversations.keys()];
			for (const { id, version } of await this.#source.conversationVersions(known)) {
				const feed = this.#conversations.get(id);
				if (!feed) continue;
				if (version > feed.heard) found++;
				this.#hear(feed, version, this.#behind.conversations);
			}
			if (found > 0) this.#metrics.sweepFinds.add();
		} catch (error) {
			this.#log.warn({ err: error }, 'Comparing streams with the database failed; trying again.');
		}
	}

	/** Ends every stream, telling its client to come back within the given time. */
	close(withinMs: number): void {
		this.#closed = true;
		for (const timer of this.#timers) clearInterval(timer);
		const stopping = encodeFrame({ type: 'server.stopping', withinMs });
		for (const streams of [...this.#sessions.values()]) {
			for (const stream of [...streams]) {
				stream.write(stopping);
				stream.end();
			}
		}
	}

	#publishToPerson(personId: string, delta: PersonDelta): void {
		const feed = this.#people.get(personId);
		if (!feed) return;
		if (delta.version > (feed.cursor ?? Infinity)) feed.learn('this process');
		if (feed.continuedBy(delta)) this.#tellPerson(feed, delta.changes, delta.version);
		else this.#hear(feed, delta.version, this.#behind.people);
	}

	#hear<C>(feed: Feed<C>, version: number, behind: Set<Feed<C>>): void {
		feed.heard = Math.max(feed.heard, version);
		if (feed.cursor !== null && feed.behind) feed.learn('another');
		this.#catchUp(feed, behind);
	}

	#catchUp<C>(feed: Feed<C>, behind: Set<Feed<C>>): void {
		if (!feed.behind) return;
		behind.add(feed);
		if (!this.#reading) void this.#read();
	}

	/** Reads all that is behind, one query for all feeds at a time, until nothing is. */
	async #read(): Promise<void> {
		this.#reading = true;
		try {
			while (!this.#closed) {
				const people = takeSome(this.#behind.people);
				const conversations = takeSome(this.#behind.conversations);
				if (people.length === 0 && conversations.length === 0) return;
				try {
					await this.#readPeople(people);
					await this.#readConversations(conversations);
				} catch (error) {
					for (const feed of people) this.#behind.people.add(feed);
					for (const feed of conversations) this.#behind.conversations.add(feed);
					this.#log.warn({ err: error }, 'Reading changes failed; trying again.');
					await new Promise((resolve) => setTimeout(resolve, this.#retryMs));
				}
			}
		} finally {
			this.#reading = false;
		}
	}

	async #readPeople(feeds: Feed<PersonChange>[]): Promise<void> {
		const from = feeds.flatMap((f) => (f.cursor === null ? [] : { id: f.id, version: f.cursor }));
		if (from.length === 0) return;
		for (const told of await this.#source.personDeltas(from)) {
			const feed = this.#people.get(told.id);
			if (!feed || feed.cursor === null || told.version <= feed.cursor) continue;
			if (told.changes) this.#tellPerson(feed, told.changes, told.version);
			else {
				// Too much happened: whoever listens here has to be looked up and told afresh.
				feed.cursor = told.version;
				for (const stream of [...feed.streams]) stream.end();
			}
		}
	}

	async #readConversations(feeds: Feed<ConversationChange>[]): Promise<void> {
		const from = feeds.flatMap((feed) =>
			feed.cursor === null || !feed.behind ? [] : { id: feed.id, version: feed.cursor }
		);
		if (from.length === 0) return;
		for (const told of await this.#source.conversationDeltas(from)) {
			const feed = this.#conversations.get(told.id);
			if (!feed || feed.cursor === null || told.version <= feed.cursor) continue;
			if (told.changes) this.#tellConversation(feed, told.changes, told.version);
			else {
				// Not even the memberships are known: those who listen come back and are looked up anew.
				feed.cursor = told.version;
				for (const stream of [...feed.streams]) stream.end();
			}
		}
	}

	#tellConversation(
		feed: Feed<ConversationChange>,
		changes: ConversationChange[],
		version: number
	): void {
		const delta = { conversationId: feed.id, base: feed.cursor!, version, changes };
		for (const tell of this.#onConversation) tell(delta);
		// Rights first: who was removed does not hear of it here, nor of anything that came with it.
		for (const change of changes) {
			if (change.type !== 'member.changed') continue;
			const { person, left } = change.member;
			this.#membershipChanged(person.id, feed.id, left);
		}
		this.#gather(feed, changes, version);
	}

	#tellPerson(feed: Feed<PersonChange>, changes: PersonChange[], version: number): void {
		for (const { conversationId, left } of changes) {
			if (left) this.#membershipChanged(feed.id, conversationId, true);
			else this.#membershipGained(feed, conversationId);
		}
		this.#gather(feed, changes, version);
	}

	#membershipChanged(personId: string, conversationId: string, left: boolean): void {
		for (const stream of this.#people.get(personId)?.streams ?? []) {
			if (left) this.#unfollow(stream, conversationId);
			else this.#follow(stream, this.#conversationFeed(conversationId));
			const opening = this.#opening.get(stream);
			if (opening) opening.stale = true;
		}
	}

	/**
	 * A person's line and a conversation's go on independently: that somebody was added may be told
	 * here when they have long been removed again. Only the tables know both at one moment, and the
	 * version from which on the conversation's line will tell of a removal.
	 */
	#membershipGained(feed: Feed<PersonChange>, conversationId: string): void {
		for (const stream of [...feed.streams]) {
			if (stream.conversations.has(conversationId)) continue;
			this.#lookUp(stream, true).catch((error: unknown) => {
				this.#log.warn({ err: error }, 'A stream could not be looked up; it has to come back.');
				stream.end();
			});
		}
	}

	/** `tell`: a stream that is only being opened asks for everything anyway. */
	#follow(stream: Stream, feed: Feed<ConversationChange>, tell = true): void {
		const conversationId = feed.id;
		if (stream.conversations.has(conversationId)) return;
		// What is gathered came before, and is only for those who were there.
		feed.flush();
		stream.conversations.add(conversationId);
		feed.streams.add(stream);
		this.#catchUp(feed, this.#behind.conversations);
		if (tell && feed.cursor !== null) {
			stream.write(
				encodeFrame({ type: 'conversation.followed', conversationId, version: feed.cursor })
			);
		}
	}

	#unfollow(stream: Stream, conversationId: string): void {
		stream.conversations.delete(conversationId);
		leaveFeed(this.#conversations, conversationId, stream);
	}

	/**
	 * What comes at once is gathered, and written as one frame per line. A few streams hear before
	 * the answers are written that this turn of the event loop has for its callers, many after them.
	 */
	#gather<C>(feed: Feed<C>, changes: C[], version: number): void {
		feed.gather(changes, version);
		const isFew = this.#soon.writes + feed.streams.size <= FEW_WRITES;
		const { feeds } = isFew ? this.#soon : this.#later;
		if (isFew) this.#soon.writes += feed.streams.size;
		if (feeds.size === 0) {
			if (isFew) queueMicrotask(() => flush(this.#soon));
			else setImmediate(() => flush(this.#later));
		}
		feeds.add(feed);
	}

	#cutSession(id: string, how: 'gone' | 'ended' = 'ended'): void {
		for (const stream of [...(this.#sessions.get(id) ?? [])]) this.#cut(stream, how);
	}

	#cut(stream: Stream, how: 'gone' | 'ended' = 'ended'): void {
		stream.write(encodeFrame({ type: 'session.ended' }));
		this.#forget(stream, how);
		stream.end();
	}

	#forget(stream: Stream, how: 'gone' | 'ended' = 'gone'): void {
		this.#opening.delete(stream);
		leaveSet(this.#sessions, stream.sessionId, stream);
		const wasHere = this.#people.has(stream.personId);
		leaveFeed(this.#people, stream.personId, stream);
		if (wasHere && !this.#people.has(stream.personId)) {
			for (const tell of this.#onPerson) tell(stream.personId, how);
		}
		for (const id of stream.conversations) leaveFeed(this.#conversations, id, stream);
		stream.conversations.clear();
	}

	#buffered(): number {
		let bytes = 0;
		for (const streams of this.#sessions.values()) {
			for (const stream of streams) bytes += stream.buffered ?? 0;
		}
		return bytes;
	}

	#writeToAll(frame: Frame): void {
		for (const streams of this.#sessions.values()) {
			for (const stream of streams) stream.write(frame);
		}
	}

	#personFeed(id: string): Feed<PersonChange> {
		let feed = this.#people.get(id);
		if (!feed) {
			feed = new Feed(id, this.#metrics, tellPerson);
			this.#people.set(id, feed);
		}
		return feed;
	}

	#conversationFeed(id: string): Feed<ConversationChange> {
		let feed = this.#conversations.get(id);
		if (!feed) {
			feed = new Feed(id, this.#metrics, tellConversation);
			this.#conversations.set(id, feed);
		}
		return feed;
	}

	#every(ms: number, work: () => void): void {
		const timer = setInterval(work, ms);
		timer.unref();
		this.#timers.push(timer);
	}
}

function flush(unwritten: Unwritten): void {
	const feeds = [...unwritten.feeds];
	unwritten.feeds.clear();
	unwritten.writes = 0;
	for (const feed of feeds) feed.flush();
}

function leaveFeed<C>(feeds: Map<string, Feed<C>>, id: string, stream: Stream): void {
	const feed = feeds.get(id);
	if (!feed) return;
	feed.streams.delete(stream);
	dropUnused(feeds, feed);
}

function dropUnused<C>(feeds: Map<string, Feed<C>>, feed: Feed<C>): void {
	if (feed.streams.size === 0 && feed.holds === 0) feeds.delete(feed.id);
}

function joinSet(sets: Map<string, Few<Stream>>, key: string, stream: Stream): void {
	let set = sets.get(key);
	if (!set) sets.set(key, (set = new Few()));
	set.add(stream);
}

function leaveSet(sets: Map<string, Few<Stream>>, key: string, stream: Stream): void {
	const set = sets.get(key);
	set?.delete(stream);
	if (set?.size === 0) sets.delete(key);
}

function takeSome<C>(behind: Set<Feed<C>>): Feed<C>[] {
	const some: Feed<C>[] = [];
	for (const feed of behind) {
		if (some.length === READ_MAX) break;
		some.push(feed);
		behind.delete(feed);
	}
	return some;
}
