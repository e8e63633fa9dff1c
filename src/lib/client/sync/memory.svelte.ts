import { adoptKept, isKeptBefore } from '#lib/shared/replica.ts';
import { DeviceReplica, wipeDevice, wipePerson } from './device.ts';
import type { ReplicaStore } from './store.svelte.ts';

/** Changes of so long are written together. */
const GATHER_MS = 500;

/** Lets the replica outlive the page, where the browser lets it. */
export class Memory {
	readonly #viewerId: string;
	readonly #store: ReplicaStore;
	readonly #factory: IDBFactory | null;
	#device: DeviceReplica | null = null;
	#keeps = $state(true);
	#timer: ReturnType<typeof setTimeout> | undefined;
	#over = false;

	constructor(viewerId: string, store: ReplicaStore, factory: IDBFactory | null) {
		this.#viewerId = viewerId;
		this.#store = store;
		this.#factory = factory;
	}

	/** False where storage is full or forbidden: then what is known lives as long as the page. */
	get keeps(): boolean {
		return this.#keeps;
	}

	/** Whether there is anything to wait for before the first sync. */
	get exists(): boolean {
		return this.#factory !== null;
	}

	/** Takes what was kept into the replica, and keeps what changes from now on. */
	async recall(): Promise<void> {
		if (!this.#factory) return this.#giveUp();
		try {
			const device = await DeviceReplica.open(this.#factory, this.#viewerId, () => this.#giveUp());
			if (this.#over) return device.close();
			const kept = await device.load();
			const { replica } = this.#store;
			for (const [id, earlier] of kept.conversations) {
				const now = replica.conversations.get(id);
				if (now && !isKeptBefore(earlier, now)) device.disown(id);
			}
			this.#device = device;
			const own = [...kept.conversations.values()]
				.flatMap(({ messages }) => [...messages.values()])
				.filter(({ senderId }) => senderId === this.#viewerId);
			this.#store.commit(adoptKept(replica, kept), own);
			this.#store.watch({ changed: () => this.#soon() });
			this.#soon();
			void wipeDevice(this.#factory, this.#viewerId);
		} catch {
			this.#giveUp();
		}
	}

	/** Writes at once what is still to be written: the page may be about to go. */
	flush(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		void this.#device?.save(() => this.#store.replica);
	}

	/** Keeps nothing any more, and what was kept stays. */
	stop(): void {
		this.flush();
		this.#over = true;
	}

	/** Nothing of this person stays on the device. */
	wipe(): void {
		this.#over = true;
		clearTimeout(this.#timer);
		this.#device?.close();
		this.#device = null;
		wipePerson(this.#factory, this.#viewerId);
	}

	#soon(): void {
		if (this.#over) return;
		this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
	}

	#giveUp(): void {
		this.#device = null;
		if (!this.#over) this.#keeps = false;
	}
}
