import type { ViewerView } from '#lib/shared/accounts.ts';
import { adoptKept, isKeptBefore, mergeMembers, mergePage } from '#lib/shared/replica.ts';
import { DeviceReplica, wipeDevice, wipePerson } from './device.ts';
import type { ReplicaStore } from './store.svelte.ts';

/** Changes of so long are written together. */
const GATHER_MS = 500;

/** Lets the replica outlive the page, where the browser lets it. */
export class Memory {
	readonly #viewer: ViewerView;
	readonly #store: ReplicaStore;
	readonly #factory: IDBFactory | null;
	#device: DeviceReplica | null = null;
	#keeps = $state(true);
	#timer: ReturnType<typeof setTimeout> | undefined;
	#over = false;
	/** What is still to be taken from the device, when the page was drawn from a part of it. */
	readonly #taken = new Map<string, Promise<void>>();
	#partial = false;

	constructor(viewer: ViewerView, store: ReplicaStore, factory: IDBFactory | null) {
		this.#viewer = viewer;
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
			const device = await DeviceReplica.open(this.#factory, this.#viewer, () => this.#giveUp());
			if (this.#over) return device.close();
			const kept = await device.load();
			const { replica } = this.#store;
			for (const [id, earlier] of kept.conversations) {
				const now = replica.conversations.get(id);
				if (now && !isKeptBefore(earlier, now)) device.disown(id);
			}
			const own = [...kept.conversations.values()]
				.flatMap(({ messages }) => [...messages.values()])
				.filter(({ senderId }) => senderId === this.#viewer.id);
			this.#store.commit(adoptKept(replica, kept), own);
			this.#keepIn(device);
			this.#soon();
		} catch {
			this.#giveUp();
		}
	}

	/** The page was drawn from what lies here: keeps what changes, and `recallOf` fetches the rest. */
	goOn(device: DeviceReplica): void {
		this.#partial = true;
		device.onLost = () => this.#giveUp();
		this.#keepIn(device);
	}

	/** Takes in everything that was kept of one conversation, where that has not been done yet. */
	recallOf(conversationId: string): Promise<void> {
		if (!this.#partial) return Promise.resolve();
		let taking = this.#taken.get(conversationId);
		if (!taking) {
			// What cannot be read is fetched from the server like what was never kept.
			taking = this.#take(conversationId).catch(() => {});
			this.#taken.set(conversationId, taking);
		}
		return taking;
	}

	/** Takes in the rest of what was kept, piece by piece. */
	async recallRest(idle: () => Promise<void>): Promise<void> {
		if (!this.#partial) return;
		await idle();
		for (const id of this.#device?.thin() ?? []) {
			await idle();
			await this.recallOf(id);
		}
	}

	async #take(conversationId: string): Promise<void> {
		const kept = await this.#device?.conversation(conversationId);
		const before = this.#store.get(conversationId);
		if (!kept || !before || this.#over) return;
		// Like any page that was read at that version: what is newer here stays.
		const viewerId = this.#viewer.id;
		let after = mergePage(before, kept, viewerId);
		if (kept.membersLoaded) after = mergeMembers(after, kept);
		this.#device?.took(before, after);
		const own = kept.messages.filter(({ senderId }) => senderId === viewerId);
		this.#store.update(conversationId, () => after, own);
	}

	#keepIn(device: DeviceReplica): void {
		this.#device = device;
		this.#store.watch({ changed: () => this.#soon() });
		void wipeDevice(this.#factory, this.#viewer.id);
	}

	/** Writes what is still to be written, in a page that goes and may not come back. */
	leave(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#device?.leave(this.#store.replica);
	}

	/** Writes at once what is still to be written: nobody may look any more. */
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
		wipePerson(this.#factory, this.#viewer.id);
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
