/**
 * What this device keeps of the replica, in IndexedDB: one database per person.
 *
 * It mirrors the replica, and its one promise is the replica's own: every row of a conversation is
 * as of the version that stands beside it, or newer. So rows and version are written in the same
 * transaction; and since several tabs write here, each looks first at what version it finds:
 * - its own last one, or the one it is about to write: what has changed since is added;
 * - a newer one: another tab knows more, and this one waits until it has caught up;
 * - anything else, or rows that were forgotten meanwhile: the conversation is written anew.
 *
 * A page that goes cannot look: it is gone before the answer, and the transaction with it. What it
 * writes is asked for at once and committed at once, and so is true whatever lies there: whole
 * conversations, anew.
 */
import type { MemberView } from '#lib/shared/conversations.ts';
import type { MessageView } from '#lib/shared/messages.ts';
import type { PersonView, ViewerView } from '#lib/shared/accounts.ts';
import type { ConversationState, Replica } from '#lib/shared/replica.ts';
import { DEVICE_PREFIX } from '#lib/shared/shell.ts';
import { openingSpan } from '#lib/client/messages/history.ts';

/** Raise it with any change of what lies in the stores: what an older app kept is dropped. */
const SCHEMA = 2;
/** Conversations whose messages are kept, the latest active first. */
const WITH_MESSAGES_MAX = 40;
/** IndexedDB has been seen to hang; the app does not wait for it longer than this. */
const PATIENCE_MS = 1000;
const STORES = ['person', 'people', 'conversations', 'members', 'messages'] as const;

type StoreName = (typeof STORES)[number];
type Stores = Record<StoreName, IDBObjectStore>;
type Kept = Omit<ConversationState, 'members' | 'membersLoaded' | 'messages' | 'forgotten'>;
interface KeptMembers {
	conversationId: string;
	members: MemberView[];
	loaded: boolean;
}
interface KeptPerson {
	viewerId: string;
	personVersion: number;
	viewer: ViewerView;
}

/** Everything about one conversation that was kept, every row as of `version` or newer. */
export interface KeptConversation {
	version: number;
	messages: MessageView[];
	members: MemberView[];
	membersLoaded: boolean;
}

/** What a page is drawn from before anything else is known. */
export interface KeptOpening {
	viewer: ViewerView;
	replica: Replica;
	device: DeviceReplica;
}

export class DeviceReplica {
	readonly #db: IDBDatabase;
	readonly #viewer: ViewerView;
	onLost: () => void;
	/** What this tab knows to be there, per conversation. */
	#saved: Replica;
	/** The replica of the last writing. */
	#written: Replica | null = null;
	#saving: Promise<void> | null = null;
	/** Of the writing that is under way; null when it need not come to an end any more. */
	#transaction: IDBTransaction | null = null;
	/** Of these more is on the device than this tab has taken. */
	readonly #partial = new Set<string>();
	#closed = false;

	private constructor(db: IDBDatabase, viewer: ViewerView, onLost: () => void) {
		this.#db = db;
		this.#viewer = viewer;
		this.onLost = onLost;
		this.#saved = {
			viewerId: viewer.id,
			personVersion: -1,
			conversations: new Map(),
			people: new Map()
		};
		// Another tab wipes the device: nothing is written any more.
		db.onversionchange = () => this.close();
		db.onclose = () => this.#lose();
	}

	/** Rejects where the browser forbids it, or does not answer. */
	static async open(
		factory: IDBFactory,
		viewer: ViewerView,
		onLost: () => void
	): Promise<DeviceReplica> {
		return new DeviceReplica(await patiently(openDatabase(factory, viewer.id)), viewer, onLost);
	}

	/**
	 * The list, and of the conversation that is opened what its window shows: little enough to be read
	 * within a frame or two. Null when nothing was kept of this person; makes nothing.
	 */
	static async opening(
		factory: IDBFactory,
		viewerId: string,
		conversationId: string | undefined
	): Promise<KeptOpening | null> {
		const db = await patiently(openDatabase(factory, viewerId, true));
		if (!db) return null;
		const stores = storesOf(db.transaction(STORES));
		const id = conversationId ?? '';
		const [persons, people, conversations, members, messages] = await Promise.all([
			all<KeptPerson>(stores.person),
			all<PersonView>(stores.people),
			all<Kept>(stores.conversations),
			answered(stores.members.get(id) as IDBRequest<KeptMembers | undefined>),
			windowOf(stores, id)
		]);
		const viewer = persons[0]?.viewer;
		if (!viewer) {
			db.close();
			return null;
		}
		const device = new DeviceReplica(db, viewer, () => {});
		device.#saved = {
			viewerId,
			personVersion: persons[0]?.personVersion ?? -1,
			people: new Map(people.map((person) => [person.id, person])),
			conversations: new Map(
				conversations.map((kept) =>
					kept.conversation.id === id
						? [id, stateOf(kept, members, messages)]
						: [kept.conversation.id, stateOf(kept, undefined, [])]
				)
			)
		};
		for (const { conversation } of conversations) device.#partial.add(conversation.id);
		return { viewer, replica: device.#saved, device };
	}

	/** Everything that was kept of one conversation; null when nothing is. */
	async conversation(id: string): Promise<KeptConversation | null> {
		if (this.#closed) return null;
		const transaction = this.#db.transaction(STORES);
		const stores = storesOf(transaction);
		const asked = Promise.all([
			answered(stores.conversations.get(id) as IDBRequest<Kept | undefined>),
			answered(stores.members.get(id) as IDBRequest<KeptMembers | undefined>),
			all<MessageView>(stores.messages, everyMessageOf(id))
		]);
		// What a page writes as it goes waits for what is open before it, and is lost with it.
		transaction.commit();
		const [kept, members, messages] = await asked;
		if (!kept) return null;
		return {
			version: kept.version,
			messages,
			members: members?.members ?? [],
			membersLoaded: members?.loaded ?? false
		};
	}

	/** All that was kept of a conversation has been taken into it, perhaps as it lies here. */
	took(before: ConversationState, after: ConversationState): void {
		const { id } = after.conversation;
		this.#partial.delete(id);
		if (this.#saved.conversations.get(id) !== before) return;
		this.#saved = {
			...this.#saved,
			conversations: new Map(this.#saved.conversations).set(id, after)
		};
	}

	/**
	 * Forgets the messages of all but the conversations latest active, and of what is open. Returns the
	 * ids of those that keep theirs.
	 */
	thin(): string[] {
		const { conversations } = this.#saved;
		const latest = [...conversations.values()].sort((a, b) => b.activeAt - a.activeAt);
		const isOpen = ({ messages }: ConversationState) => messages.size > 0;
		const dispensable = latest.slice(WITH_MESSAGES_MAX).filter((state) => !isOpen(state));
		if (!this.#closed && dispensable.length > 0) {
			const transaction = this.#db.transaction('messages', 'readwrite');
			const messages = transaction.objectStore('messages');
			for (const { conversation } of dispensable) {
				messages.delete(everyMessageOf(conversation.id));
			}
			transaction.commit();
		}
		return latest.slice(0, WITH_MESSAGES_MAX).map(({ conversation }) => conversation.id);
	}

	/** What was kept; an empty replica at first. */
	async load(): Promise<Replica> {
		const { viewerId } = this.#saved;
		const stores = storesOf(this.#db.transaction(STORES, 'readwrite'));
		const [persons, people, conversations, members, messages] = await Promise.all([
			all<KeptPerson>(stores.person),
			all<PersonView>(stores.people),
			all<Kept>(stores.conversations),
			all<KeptMembers>(stores.members),
			all<MessageView>(stores.messages)
		]);
		const membersOf = new Map(members.map((kept) => [kept.conversationId, kept]));
		const messagesOf = new Map<string, MessageView[]>();
		for (const message of messages) {
			const others = messagesOf.get(message.conversationId);
			if (others) others.push(message);
			else messagesOf.set(message.conversationId, [message]);
		}
		const latest = [...conversations].sort((a, b) => b.activeAt - a.activeAt);
		for (const { conversation } of latest.slice(WITH_MESSAGES_MAX)) {
			if (!messagesOf.delete(conversation.id)) continue;
			stores.messages.delete(everyMessageOf(conversation.id));
		}
		this.#saved = {
			viewerId,
			personVersion: persons[0]?.personVersion ?? -1,
			people: new Map(people.map((person) => [person.id, person])),
			conversations: new Map(
				conversations.map((kept) => {
					const { id } = kept.conversation;
					return [id, stateOf(kept, membersOf.get(id), messagesOf.get(id) ?? [])];
				})
			)
		};
		return this.#saved;
	}

	/** What the device has of a conversation cannot be continued: it will be written anew. */
	disown(conversationId: string): void {
		const conversations = new Map(this.#saved.conversations);
		conversations.delete(conversationId);
		this.#saved = { ...this.#saved, conversations };
	}

	/** Writes what has changed; while that is under way, what changes meanwhile waits for it. */
	async save(replica: () => Replica): Promise<void> {
		if (this.#saving) return this.#saving.then(() => this.save(replica));
		if (this.#closed || replica() === this.#written) return;
		return this.#during(this.#write(replica()));
	}

	/**
	 * Writes what has changed, in a page that may be gone in the next moment: within this call, or not
	 * at all. What this tab has only a part of stays as it is on the device.
	 */
	leave(replica: Replica): void {
		if (this.#closed || replica === this.#written) return;
		const writing = this.#transaction;
		this.#transaction = null;
		// It would be waited for.
		if (writing) abort(writing);
		void this.#during(Promise.all([this.#saving, this.#writeUnseen(replica)]));
	}

	#during(writing: Promise<unknown>): Promise<void> {
		const saving = writing
			.then(
				() => {},
				() => this.#lose()
			)
			.finally(() => {
				if (this.#saving === saving) this.#saving = null;
			});
		return (this.#saving = saving);
	}

	close(): void {
		this.#closed = true;
		this.#db.close();
	}

	async #write(replica: Replica): Promise<void> {
		const before = this.#saved;
		const { transaction, done, stores } = this.#begin();
		this.#transaction = transaction;
		const saved = new Map(before.conversations);
		// Nothing is awaited but requests of this transaction, which keep it open.
		try {
			const changed = changedIn(replica, before);
			const there = await Promise.all(
				changed.map(({ conversation }) =>
					answered(stores.conversations.get(conversation.id) as IDBRequest<Kept | undefined>)
				)
			);
			for (const id of leftIn(replica, before)) {
				forgetConversation(stores, id);
				saved.delete(id);
			}
			for (const [index, state] of changed.entries()) {
				const { id } = state.conversation;
				const last = before.conversations.get(id);
				if (writeConversation(stores, state, last, there[index]?.version)) saved.set(id, state);
			}
			writePeople(stores, replica, before);
			if (replica.personVersion !== before.personVersion || !this.#written) {
				this.#writePerson(stores, replica);
			}
			transaction.commit();
			await done;
		} catch (error) {
			done.catch(() => {});
			// Given up for the writing of a page that goes.
			if (this.#transaction !== transaction) return;
			abort(transaction);
			throw error;
		}
		this.#transaction = null;
		this.#saved = { ...replica, conversations: saved };
		this.#written = replica;
	}

	async #writeUnseen(replica: Replica): Promise<void> {
		const before = this.#saved;
		const { transaction, done, stores } = this.#begin();
		const saved = new Map(before.conversations);
		for (const id of leftIn(replica, before)) {
			forgetConversation(stores, id);
			saved.delete(id);
		}
		for (const state of changedIn(replica, before)) {
			const { id } = state.conversation;
			if (this.#partial.has(id)) continue;
			writeConversation(stores, state, undefined, undefined);
			saved.set(id, state);
		}
		writePeople(stores, replica, before);
		// Of what was left as it is, the version that lies there goes on to be true.
		const isFirst = before.personVersion < 0;
		if (isFirst) this.#writePerson(stores, replica);
		transaction.commit();
		await done;
		const { personVersion } = isFirst ? replica : before;
		this.#saved = { ...replica, conversations: saved, personVersion };
	}

	#begin() {
		const transaction = this.#db.transaction(STORES, 'readwrite', { durability: 'relaxed' });
		return { transaction, done: finished(transaction), stores: storesOf(transaction) };
	}

	#writePerson(stores: Stores, { viewerId, personVersion }: Replica): void {
		const person: KeptPerson = { viewerId, personVersion, viewer: this.#viewer };
		stores.person.put(person);
	}

	/** Full, or taken away: what is there stays true, and is what the next visit begins with. */
	#lose(): void {
		if (this.#closed) return;
		this.close();
		this.onLost();
	}
}

/** Removes what the device keeps of everybody, or of everybody else. */
export async function wipeDevice(factory = browserDevice(), except = ''): Promise<void> {
	if (!factory) return;
	try {
		const databases = await factory.databases();
		for (const { name } of databases) {
			if (name?.startsWith(DEVICE_PREFIX) && name !== DEVICE_PREFIX + except)
				factory.deleteDatabase(name);
		}
	} catch {
		// Forbidden: then there is nothing either.
	}
}

export function wipePerson(factory: IDBFactory | null, personId: string): void {
	try {
		factory?.deleteDatabase(DEVICE_PREFIX + personId);
	} catch {
		// Forbidden: then there is nothing either.
	}
}

/** Null where there is none, or the browser forbids it. */
export function browserDevice(): IDBFactory | null {
	try {
		return typeof indexedDB === 'undefined' ? null : indexedDB;
	} catch {
		return null;
	}
}

function changedIn(replica: Replica, before: Replica): ConversationState[] {
	return [...replica.conversations.values()].filter(
		(state) => before.conversations.get(state.conversation.id) !== state
	);
}

function leftIn(replica: Replica, before: Replica): string[] {
	return [...before.conversations.keys()].filter((id) => !replica.conversations.has(id));
}

function writePeople(stores: Stores, { people }: Replica, before: Replica): void {
	for (const [id, person] of people) {
		if (before.people.get(id) !== person) stores.people.put(person);
	}
}

/** False when another tab has kept more, and this one has to catch up first. */
function writeConversation(
	stores: Stores,
	state: ConversationState,
	last: ConversationState | undefined,
	there: number | undefined
): boolean {
	const { members, membersLoaded, messages, forgotten, ...kept } = state;
	const { id } = state.conversation;
	const goesOn = last !== undefined && there !== undefined && state.version >= last.version;
	if (goesOn && there > state.version) return false;
	const adds =
		goesOn && forgotten === last.forgotten && (there === last.version || there === state.version);
	if (!adds) forgetConversation(stores, id);
	stores.conversations.put(kept);
	// What came ahead of its version is not in it: another tab may have put an older row in its place.
	const isAhead = ({ version }: { version: number }) => version > (last?.version ?? 0);
	if (
		!adds ||
		last.members !== members ||
		last.membersLoaded !== membersLoaded ||
		[...members.values()].some(isAhead)
	) {
		const record: KeptMembers = {
			conversationId: id,
			members: [...members.values()],
			loaded: membersLoaded
		};
		stores.members.put(record);
	}
	for (const [seq, message] of messages) {
		if (!adds || last.messages.get(seq) !== message || isAhead(message)) {
			stores.messages.put(message);
		}
	}
	return true;
}

function forgetConversation(stores: Stores, id: string): void {
	stores.conversations.delete(id);
	stores.members.delete(id);
	stores.messages.delete(everyMessageOf(id));
}

function stateOf(
	kept: Kept,
	members: KeptMembers | undefined,
	messages: MessageView[]
): ConversationState {
	return {
		...kept,
		members: new Map(members?.members.map((member) => [member.person.id, member])),
		membersLoaded: members?.loaded ?? false,
		messages: new Map(messages.map((message) => [message.seq, message])),
		// What is not here may have been here once.
		forgotten: kept.version
	};
}

/** All keys that begin with the conversation: an array comes after every number. */
const everyMessageOf = (conversationId: string): IDBKeyRange =>
	IDBKeyRange.bound([conversationId], [conversationId, []]);

/** What a page opens with, as `openingSpan` has it. */
async function windowOf({ conversations, messages }: Stores, id: string): Promise<MessageView[]> {
	const kept = await answered(conversations.get(id) as IDBRequest<Kept | undefined>);
	if (!kept) return [];
	const { from, to } = openingSpan(kept);
	return all<MessageView>(messages, IDBKeyRange.bound([id, from], [id, to]));
}

/** IndexedDB that answers too late is closed again. */
async function patiently<Opened extends IDBDatabase | null>(
	opening: Promise<Opened>
): Promise<Opened> {
	const late = new Promise<never>((_, reject) => {
		setTimeout(() => reject(new Error('IndexedDB does not answer.')), PATIENCE_MS);
	});
	try {
		return await Promise.race([opening, late]);
	} catch (error) {
		opening.then((db) => db?.close()).catch(() => {});
		throw error;
	}
}

function openDatabase(factory: IDBFactory, viewerId: string): Promise<IDBDatabase>;
/** Null when there is none yet, or one of another app version. */
function openDatabase(
	factory: IDBFactory,
	viewerId: string,
	onlyThere: true
): Promise<IDBDatabase | null>;
async function openDatabase(
	factory: IDBFactory,
	viewerId: string,
	onlyThere = false
): Promise<IDBDatabase | null> {
	const name = DEVICE_PREFIX + viewerId;
	const request = factory.open(name, SCHEMA);
	request.onupgradeneeded = () => {
		const { result: db } = request;
		if (onlyThere) return request.transaction?.abort();
		for (const old of [...db.objectStoreNames]) db.deleteObjectStore(old);
		db.createObjectStore('person', { keyPath: 'viewerId' });
		db.createObjectStore('people', { keyPath: 'id' });
		db.createObjectStore('conversations', { keyPath: 'conversation.id' });
		db.createObjectStore('members', { keyPath: 'conversationId' });
		db.createObjectStore('messages', { keyPath: ['conversationId', 'seq'] });
	};
	try {
		return await answered(request);
	} catch (error) {
		if (onlyThere) return null;
		// A newer app was here, and this one does not know what it kept.
		if (!(error instanceof DOMException) || error.name !== 'VersionError') throw error;
		await answered(factory.deleteDatabase(name));
		return openDatabase(factory, viewerId);
	}
}

const storesOf = (transaction: IDBTransaction): Stores => ({
	person: transaction.objectStore('person'),
	people: transaction.objectStore('people'),
	conversations: transaction.objectStore('conversations'),
	members: transaction.objectStore('members'),
	messages: transaction.objectStore('messages')
});

const all = <Row>(store: IDBObjectStore, range?: IDBKeyRange): Promise<Row[]> =>
	answered(store.getAll(range) as IDBRequest<Row[]>);

function answered<Result>(request: IDBRequest<Result>): Promise<Result> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error ?? new Error('IndexedDB failed.'));
	});
}

function abort(transaction: IDBTransaction): void {
	try {
		transaction.abort();
	} catch {
		// It is through already.
	}
}

function finished(transaction: IDBTransaction): Promise<void> {
	return new Promise((resolve, reject) => {
		transaction.oncomplete = () => resolve();
		transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB gave up.'));
	});
}
