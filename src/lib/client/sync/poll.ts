/**
 * The event stream in pieces, for networks that swallow streams: each answer is a piece of it, and
 * the next request says what is known by then. To whoever listens it looks like an `EventSource`.
 */
import type { StreamEvent } from '#lib/shared/events.ts';
import { knownVersions, type Replica } from '#lib/shared/replica.ts';
import type { PollInput } from '#lib/shared/sync.ts';
import { backoff, type Random } from './backoff.ts';
import type { EventSourceLike } from './stream.ts';

/** An answer that brought nothing but the wish to sync, or nothing: the next one may wait a moment. */
const IDLE_ANSWERS_MAX = 5;

export interface PollOptions {
	/** Resolves to the answer, also when it is a refusal; rejects when there is none. */
	ask: (input: PollInput, signal: AbortSignal) => Promise<{ status: number; text: string }>;
	known: () => Replica;
	random?: Random;
}

export class PollSource implements EventSourceLike {
	onmessage: ((event: MessageEvent<string>) => unknown) | null = null;
	onerror: ((event: Event) => unknown) | null = null;
	readyState: number = 0;
	readonly #options: PollOptions;
	readonly #abort = new AbortController();

	constructor(options: PollOptions) {
		this.#options = options;
		void this.#run();
	}

	close(): void {
		this.readyState = 2;
		this.#abort.abort();
	}

	async #run(): Promise<void> {
		let idle = 0;
		for (let opening = true; !this.#abort.signal.aborted; opening = false) {
			const events = await this.#ask(opening);
			if (!events) return;
			for (const data of events) this.onmessage?.(new MessageEvent('message', { data }));
			const told = events.some((data) => isNews(JSON.parse(data) as StreamEvent));
			idle = told || opening ? 0 : Math.min(idle + 1, IDLE_ANSWERS_MAX);
			if (idle > 0) await this.#pause(backoff(idle, this.#options.random ?? Math.random));
		}
	}

	async #ask(opening: boolean): Promise<string[] | null> {
		const replica = this.#options.known();
		const { personVersion } = replica;
		const input = { conversations: knownVersions(replica), personVersion, opening };
		const answer = await this.#options.ask(input, this.#abort.signal).catch(() => null);
		if (this.#abort.signal.aborted) return null;
		if (answer?.status === 200) {
			this.readyState = 1;
			return answer.text.split('\n\n').flatMap((part) => part.match(/^data: (.*)$/s)?.[1] ?? []);
		}
		// As an `EventSource` does: a refusal closes it, a broken connection does not.
		this.readyState = answer ? 2 : 0;
		this.#abort.abort();
		this.onerror?.(new Event('error'));
		return null;
	}

	async #pause(ms: number): Promise<void> {
		await new Promise<void>((resolve) => {
			setTimeout(resolve, ms);
			this.#abort.signal.addEventListener('abort', () => resolve());
		});
	}
}

/** A heartbeat comes after a long wait, and the changes bring the next request forward. */
const isNews = ({ type }: StreamEvent): boolean => type !== 'stream.opened';

/** Over the network. */
export const askServer =
	(personId: string): PollOptions['ask'] =>
	async (input, signal) => {
		const answer = await fetch('/events/poll', {
			method: 'POST',
			headers: { 'content-type': 'application/json', 'x-tertulia-person': personId },
			body: JSON.stringify(input),
			signal
		});
		return { status: answer.status, text: await answer.text() };
	};
