import type { ConversationChange, PersonChange, StreamEvent } from '#lib/shared/events.ts';
import type { Metrics } from '../platform/metrics.ts';
import { Few } from './few.ts';
import { encodeFrame } from './frame.ts';
import type { Stream } from './stream.ts';

/** The event that tells what happened to one line of versions. */
type Telling<Change> = (
	id: string,
	base: number,
	version: number,
	changes: Change[]
) => StreamEvent;

export const tellPerson: Telling<PersonChange> = (_id, base, version, changes) => ({
	type: 'person.advanced',
	delta: { base, version, changes }
});

export const tellConversation: Telling<ConversationChange> = (
	conversationId,
	base,
	version,
	changes
) => ({
	type: 'conversation.advanced',
	delta: { conversationId, base, version, changes }
});

/**
 * One line of versions that somebody here listens to. `cursor` is how far its streams have been
 * told: a delta that continues it is passed on, one that leaves a gap makes the hub read the gap
 * first. So a lost notification can hide neither a message nor, what matters more, a removal.
 */
export class Feed<Change> {
	readonly id: string;
	readonly streams = new Few<Stream>();
	/** Openings that wait for where the line stands: it has to go on hearing for them. */
	holds = 0;
	/** Null until the tables have been asked where the line stands. */
	cursor: number | null = null;
	/** How many lines of the hub had begun when this one did. */
	begunAs = 0;
	/** The moment whose version it began with. */
	begunAt = 0;
	/** The newest version heard of. */
	heard = 0;
	readonly #event: Telling<Change>;
	/** Told in this turn of the event loop, and to be written in one frame. */
	#gathered: Change[] | null = null;
	#gatheredFrom: number | null = null;
	/** When this process learned of what the streams have not been told yet. */
	#learnedAt = 0;
	#learnedFrom: 'this process' | 'another' = 'another';
	readonly #metrics: Metrics;

	constructor(id: string, metrics: Metrics, event: Telling<Change>) {
		this.id = id;
		this.#metrics = metrics;
		this.#event = event;
	}

	/** Starts the watch, unless it is running. */
	learn(from: 'this process' | 'another'): void {
		if (this.#learnedAt !== 0) return;
		this.#learnedAt = performance.now();
		this.#learnedFrom = from;
	}

	get behind(): boolean {
		return this.cursor === null || this.heard > this.cursor;
	}

	continuedBy(delta: { base: number; version: number }): boolean {
		return this.cursor !== null && delta.base <= this.cursor && delta.version > this.cursor;
	}

	/** Begins where the tables stand; once begun, later answers change nothing. */
	begin(version: number): void {
		this.cursor ??= version;
		this.heard = Math.max(this.heard, version);
	}

	gather(changes: Change[], version: number): void {
		this.#gatheredFrom ??= this.cursor;
		if (this.#gathered) this.#gathered.push(...changes);
		else this.#gathered = [...changes];
		this.cursor = version;
		this.heard = Math.max(this.heard, version);
	}

	flush(): void {
		const base = this.#gatheredFrom;
		const changes = this.#gathered;
		this.#gatheredFrom = null;
		this.#gathered = null;
		const learnedAt = this.#learnedAt;
		this.#learnedAt = 0;
		if (base === null || this.cursor === null || !changes || this.streams.size === 0) return;
		const frame = encodeFrame(this.#event(this.id, base, this.cursor, changes));
		this.streams.forEach((stream) => stream.write(frame));
		const { frames, events, commitToStream } = this.#metrics;
		frames.add(this.streams.size);
		events.add(this.streams.size * changes.length);
		if (learnedAt !== 0) commitToStream.since(learnedAt, this.#learnedFrom);
	}
}
