import { api } from '#lib/client/trpc.ts';
import type { PersonView } from '#lib/shared/accounts.ts';

/** Long enough not to ask for each letter, short enough not to be noticed. */
const DEBOUNCE_MS = 120;

/** People found by name or username, as one types. */
export class PeopleSearch {
	#people = $state.raw<readonly PersonView[]>([]);
	#looking = $state(false);
	#failed = $state.raw<unknown>();
	#turn = 0;
	#settled: Promise<void> = Promise.resolve();

	get people(): readonly PersonView[] {
		return this.#people;
	}

	get looking(): boolean {
		return this.#looking;
	}

	/** Why there is no answer, or undefined. */
	get failed(): unknown {
		return this.#failed;
	}

	/** Resolves when the last question has its answer. */
	settled(): Promise<void> {
		return this.#settled;
	}

	/** Null looks for nothing; the empty text finds those one talks with most. */
	look(query: string | null): () => void {
		const turn = ++this.#turn;
		if (query === null) {
			this.#people = [];
			this.#looking = false;
			return () => {};
		}
		this.#looking = true;
		let timer: ReturnType<typeof setTimeout>;
		this.#settled = new Promise((resolve) => {
			timer = setTimeout(() => void this.#ask(query, turn).then(resolve), DEBOUNCE_MS);
		});
		return () => clearTimeout(timer);
	}

	async #ask(query: string, turn: number): Promise<void> {
		try {
			const people = await api.accounts.findPeople.query({ query });
			if (turn !== this.#turn) return;
			this.#people = people;
			this.#failed = undefined;
		} catch (error) {
			if (turn !== this.#turn) return;
			this.#people = [];
			this.#failed = error;
		}
		this.#looking = false;
	}
}
