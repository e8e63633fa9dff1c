import type { PersonView } from '#lib/shared/accounts.ts';
import { withPeople } from '#lib/shared/replica.ts';
import type { ReplicaStore } from '#lib/client/sync/store.svelte.ts';

/** Everybody whom the viewer's conversations name. */
export class People {
	readonly #store: ReplicaStore;

	constructor(store: ReplicaStore) {
		this.#store = store;
	}

	get(id: string): PersonView | undefined {
		return this.#store.replica.people.get(id);
	}

	/** Takes in people that came another way, such as those just found. */
	learn(people: readonly PersonView[]): void {
		this.#store.commit(withPeople(this.#store.replica, people));
	}
}
