/**
 * What a client knows, and how it learns: pure, idempotent reducers, the same for live events, sync
 * answers, pages of history and answers to own calls. Nothing here parses (no zod at run time): it
 * is the heart of the browser's bundle.
 *
 * Every row carries the version of its last change, and a row is only taken when it is newer than
 * the one that is there. A delta is only taken when it starts at or before the known version;
 * otherwise something is missing in between, and the answer is `gap`: sync.
 */
import type { PersonView } from './accounts.ts';
import type {
	ConversationOpening,
	ConversationSnapshot,
	ConversationView,
	MemberList,
	MemberView,
	Role
} from './conversations.ts';
import type { ConversationChange, ConversationDelta, PersonDelta, StreamEvent } from './events.ts';
import type { MessagePage, MessageView, PageInput, PAGE_SIZE } from './messages.ts';
import type { DELTA_MAX, SyncAnswer } from './sync.ts';

/** Messages cached per conversation; beyond it, all but the newest page and the window may go. */
export const CACHE_MAX = 500;
/** What a trim leaves, so that not every further message causes the next one. */
const CACHE_TARGET = 400;
/** Only the type is imported, so that zod stays out; the type is the number itself. */
const PAGE: typeof PAGE_SIZE = 50;
/** Changes past which the server gives a snapshot, and rows from before it are dropped. */
const DELTA: typeof DELTA_MAX = 200;
/** With more unread than this the newest page would not show the first of them in its place. */
const UNREAD_ON_NEWEST_PAGE = 40;

/** A conversation as this client knows it. */
export interface ConversationState {
	readonly conversation: ConversationView;
	/** Every change up to and with this version is known. */
	readonly version: number;
	readonly lastSeq: number;
	readonly lastMessage: MessageView | null;
	/** Milliseconds since the epoch: order of the list. */
	readonly activeAt: number;
	readonly peerId: string | null;
	/** The viewer's own standing. */
	readonly role: Role;
	readonly readSeq: number;
	/** By hand, although it is read up to `readSeq`. */
	readonly markedUnread: boolean;
	/** By person, with the tombstones of those who left. Complete only when `membersLoaded`. */
	readonly members: ReadonlyMap<string, MemberView>;
	readonly membersLoaded: boolean;
	/** By place; there may be holes between pages. */
	readonly messages: ReadonlyMap<number, MessageView>;
	/**
	 * Rows up to this version may have been known and forgotten. So an answer that was read before
	 * it is refused: it could bring back an older row over a newer one that is no longer here.
	 */
	readonly forgotten: number;
}

export interface Replica {
	readonly viewerId: string;
	readonly personVersion: number;
	readonly conversations: ReadonlyMap<string, ConversationState>;
	readonly people: ReadonlyMap<string, PersonView>;
}

export type Outcome = 'applied' | 'known' | 'gap';

export interface Advance {
	readonly replica: Replica;
	/** Something is missing that only `sync.since` can tell. */
	readonly needsSync: boolean;
}

// One conversation

export function fromSnapshot(snapshot: ConversationSnapshot): ConversationState {
	return {
		...snapshot,
		members: new Map(),
		membersLoaded: false,
		messages: new Map(
			snapshot.lastMessage ? [[snapshot.lastMessage.seq, snapshot.lastMessage]] : []
		),
		forgotten: snapshot.version
	};
}

/**
 * Starts a conversation afresh from a snapshot, which says nothing about single rows: whatever is
 * cached may be out of date, except for what had come ahead of the snapshot.
 */
function resetTo(
	held: ConversationState,
	snapshot: ConversationSnapshot,
	viewerId: string
): ConversationState {
	const ahead: ConversationChange[] = [
		{ type: 'conversation.changed', conversation: held.conversation }
	];
	for (const message of held.messages.values()) {
		if (message.version > snapshot.version) ahead.push({ type: 'message.changed', message });
	}
	for (const member of held.members.values()) {
		if (member.version > snapshot.version) ahead.push({ type: 'member.changed', member });
	}
	const fresh = withReadSeq(fromSnapshot(snapshot), held.readSeq);
	const forgotten = Math.max(fresh.forgotten, held.forgotten);
	return { ...mergeRows(fresh, ahead, viewerId), forgotten };
}

export function applyDelta(
	state: ConversationState,
	delta: ConversationDelta,
	viewerId: string
): { state: ConversationState; outcome: Outcome } {
	if (delta.version <= state.version) return { state, outcome: 'known' };
	if (delta.base > state.version) return { state, outcome: 'gap' };
	return {
		state: { ...mergeRows(state, delta.changes, viewerId), version: delta.version },
		outcome: 'applied'
	};
}

/**
 * Takes rows without claiming to know everything before them: for the answers to own calls, which
 * may overtake the stream.
 */
export function mergeRows(
	state: ConversationState,
	changes: readonly ConversationChange[],
	viewerId: string
): ConversationState {
	let next = state;
	let messages: Map<number, MessageView> | undefined;
	let members: Map<string, MemberView> | undefined;
	// A row that is not here and no newer than this was known, changed since, and forgotten. What is
	// newer than the known version is never refused: whatever changed it again is still to come.
	const floor = Math.min(state.forgotten, state.version);
	for (const change of changes) {
		switch (change.type) {
			case 'message.changed': {
				const { message } = change;
				const held = (messages ?? state.messages).get(message.seq);
				if (message.version > (held?.version ?? floor)) {
					messages ??= new Map(state.messages);
					messages.set(message.seq, message);
				}
				next = withNewest(next, message, viewerId);
				break;
			}
			case 'member.changed': {
				const { member } = change;
				const held = (members ?? state.members).get(member.person.id);
				if (member.version <= (held?.version ?? floor)) break;
				members ??= new Map(state.members);
				members.set(member.person.id, member);
				if (member.person.id === viewerId) next = { ...next, role: member.role };
				break;
			}
			case 'conversation.changed': {
				const { conversation } = change;
				if (conversation.changed > next.conversation.changed) next = { ...next, conversation };
				break;
			}
			// A kind that a newer server knows and this client does not.
			default:
		}
	}
	if (messages) next = { ...next, messages };
	if (members) next = { ...next, members };
	return next;
}

/** What a message says about the conversation as a whole: its end, its order, what was read. */
function withNewest(
	state: ConversationState,
	message: MessageView,
	viewerId: string
): ConversationState {
	let next = state;
	if (message.seq > state.lastSeq) {
		next = { ...next, lastSeq: message.seq, lastMessage: message, activeAt: message.sentAt };
	} else if (
		message.seq === state.lastSeq &&
		// A snapshot does not tell one that was changed after it.
		message.version > (state.lastMessage?.version ?? 0)
	) {
		next = { ...next, lastMessage: message, activeAt: message.sentAt };
	}
	// Sending is reading, on the server too.
	if (message.senderId === viewerId) next = withReadSeq(next, message.seq);
	return next;
}

/** Read positions only ever rise. */
export function withReadSeq(state: ConversationState, readSeq: number): ConversationState {
	return readSeq > state.readSeq ? { ...state, readSeq } : state;
}

/** A mark comes and goes: it is taken only from who knows the viewer's line at least as far. */
export function withMark(state: ConversationState, markedUnread: boolean): ConversationState {
	return state.markedUnread === markedUnread ? state : { ...state, markedUnread };
}

/** A page of history. Read before what is forgotten, it is refused: the same state comes back. */
export function mergePage(
	state: ConversationState,
	page: Pick<MessagePage, 'version' | 'messages'>,
	viewerId: string
): ConversationState {
	if (page.version < state.forgotten) return state;
	let next = state;
	let messages: Map<number, MessageView> | undefined;
	for (const message of page.messages) {
		const held = state.messages.get(message.seq);
		if (!held || message.version > held.version) {
			messages ??= new Map(state.messages);
			messages.set(message.seq, message);
		}
		next = withNewest(next, message, viewerId);
	}
	return messages ? { ...next, messages } : next;
}

/** All members. Refused like a page when it was read before what is forgotten. */
export function mergeMembers(state: ConversationState, list: MemberList): ConversationState {
	if (list.version < state.forgotten) return state;
	const members = new Map(state.members);
	for (const member of list.members) {
		const held = members.get(member.person.id);
		if (!held || member.version > held.version) members.set(member.person.id, member);
	}
	return { ...state, members, membersLoaded: true };
}

/** Forgets the longest unchanged messages outside the newest page and `keep` when there are many. */
export function trimMessages(state: ConversationState, keep: Span | null): ConversationState {
	if (state.messages.size <= CACHE_MAX) return state;
	const dispensable = [...state.messages.values()]
		.filter(({ seq }) => seq <= state.lastSeq - PAGE)
		.filter(({ seq }) => !keep || seq < keep.from || seq > keep.to)
		.sort((a, b) => a.version - b.version)
		.slice(0, state.messages.size - CACHE_TARGET);
	const messages = new Map(state.messages);
	let { forgotten } = state;
	for (const { seq, version } of dispensable) {
		messages.delete(seq);
		forgotten = Math.max(forgotten, version);
	}
	return { ...state, messages, forgotten };
}

/** The first and last place of a stretch of history. */
export interface Span {
	readonly from: number;
	readonly to: number;
}

/** Whether every message of the span is cached. */
export function isCached(state: ConversationState, { from, to }: Span): boolean {
	for (let seq = from; seq <= to; seq++) if (!state.messages.has(seq)) return false;
	return true;
}

export const newestSpan = ({ lastSeq }: Pick<ConversationState, 'lastSeq'>): Span => ({
	from: Math.max(1, lastSeq - PAGE + 1),
	to: lastSeq
});

export function unreadCount(state: Pick<ConversationState, 'lastSeq' | 'readSeq'>): number {
	return Math.max(0, state.lastSeq - state.readSeq);
}

/** Whether it asks for attention. */
export function isUnread(
	state: Pick<ConversationState, 'lastSeq' | 'readSeq' | 'markedUnread'>
): boolean {
	return state.markedUnread || unreadCount(state) > 0;
}

/** The page that a conversation opens with: around the first unread message, or the newest. */
export function openingPage(
	state: Pick<ConversationState, 'lastSeq' | 'readSeq'> & { conversation: { id: string } }
): PageInput {
	const conversationId = state.conversation.id;
	return unreadCount(state) > UNREAD_ON_NEWEST_PAGE
		? { conversationId, around: state.readSeq + 1 }
		: { conversationId };
}

// The whole replica

export function emptyReplica(viewerId: string): Replica {
	return { viewerId, personVersion: 0, conversations: new Map(), people: new Map() };
}

/** What the client tells `sync.since` that it knows. */
export function knownVersions(replica: Replica): Record<string, number> {
	return Object.fromEntries([...replica.conversations].map(([id, { version }]) => [id, version]));
}

export function applyEvent(replica: Replica, event: StreamEvent): Advance {
	switch (event.type) {
		case 'conversation.advanced': {
			const { replica: next, outcome } = applyConversationDelta(replica, event.delta);
			return { replica: next, needsSync: outcome === 'gap' };
		}
		case 'person.advanced':
			return applyPersonChange(replica, event.delta);
		case 'conversation.followed': {
			const known = replica.conversations.get(event.conversationId)?.version;
			return { replica, needsSync: known === undefined || known < event.version };
		}
		case 'stream.opened':
			return { replica, needsSync: true };
		default:
			return { replica, needsSync: false };
	}
}

/** Of a conversation that is not known everything is missing: a gap. */
export function applyConversationDelta(
	replica: Replica,
	delta: ConversationDelta
): { replica: Replica; outcome: Outcome } {
	const held = replica.conversations.get(delta.conversationId);
	if (!held) return { replica, outcome: 'gap' };
	const { state, outcome } = applyDelta(held, delta, replica.viewerId);
	if (outcome !== 'applied') return { replica, outcome };
	return {
		replica: withPeople(withConversation(replica, state), peopleIn(delta.changes)),
		outcome
	};
}

/** The viewer's own line: memberships and read positions. */
export function applyPersonChange(replica: Replica, delta: PersonDelta): Advance {
	if (delta.version <= replica.personVersion) return { replica, needsSync: false };
	if (delta.base > replica.personVersion) return { replica, needsSync: true };
	let next: Replica = { ...replica, personVersion: delta.version };
	let needsSync = false;
	for (const change of delta.changes) {
		// A newer server may know more kinds than this client.
		const { type }: { type: string } = change;
		if (type !== 'membership.changed') continue;
		const held = next.conversations.get(change.conversationId);
		if (change.left) next = withoutConversation(next, change.conversationId);
		else if (held) {
			const read = withReadSeq(held, change.readSeq);
			next = withConversation(next, withMark(read, change.markedUnread));
		} else needsSync = true;
	}
	return { replica: next, needsSync };
}

/**
 * Takes an answer of `sync.since`, also a late one: events may have been applied since it was asked
 * for, of the replica as it was then (`asked`). Where the person's line has moved on meanwhile, what
 * the answer says about memberships is out of date and left out, and `needsSync` asks for another.
 */
export function applySync(replica: Replica, answer: SyncAnswer, asked: Replica): Advance {
	const outdated =
		answer.personVersion < replica.personVersion && asked.personVersion < replica.personVersion;
	const reset = new Set(answer.reset);
	const marked = new Set(answer.marked);
	const conversations = new Map(replica.conversations);
	const named: PersonView[] = [...answer.people];
	let needsSync = false;

	for (const delta of answer.deltas) {
		const held = conversations.get(delta.conversationId);
		// Left since it was asked for.
		if (!held) continue;
		const { state, outcome } = applyDelta(held, delta, replica.viewerId);
		if (outcome === 'gap') needsSync = true;
		conversations.set(delta.conversationId, state);
		named.push(...peopleIn(delta.changes));
	}
	for (const snapshot of answer.snapshots) {
		const { id } = snapshot.conversation;
		const held = conversations.get(id);
		const askedVersion = asked.conversations.get(id)?.version ?? 0;
		if (held && snapshot.version < askedVersion) {
			// The database was brought back from a backup: what we have seen has never happened.
			conversations.set(id, fromSnapshot(snapshot));
		} else if (held) {
			const now =
				held.version < snapshot.version
					? resetTo(held, snapshot, replica.viewerId)
					: withReadSeq(held, snapshot.readSeq);
			conversations.set(id, withMark(now, (outdated ? held : snapshot).markedUnread));
		} else if (outdated) {
			needsSync = true;
		} else if (!reset.has(id)) {
			conversations.set(id, fromSnapshot(snapshot));
		}
		// Else it was known when it was asked for, and has been left since.
	}
	for (const id of answer.gone) {
		if (!conversations.has(id)) continue;
		if (outdated) needsSync = true;
		else conversations.delete(id);
	}
	for (const [id, readSeq] of Object.entries(answer.readSeqs)) {
		const held = conversations.get(id);
		if (!held) continue;
		const read = withReadSeq(held, readSeq);
		conversations.set(id, outdated ? read : withMark(read, marked.has(id)));
	}
	const personVersion = outdated ? replica.personVersion : answer.personVersion;
	return {
		replica: withPeople({ ...replica, conversations, personVersion }, named),
		needsSync
	};
}

/**
 * Takes in what this device kept from an earlier visit. A conversation goes back to the version that
 * was kept, with the newer rows of both: what its kept rows may lack is what changed since then, and
 * that is what the next sync asks for.
 *
 * Left out is what has been left, what is too far behind, and what is ahead of the server: that was
 * kept before the database was restored, or by another tab in this very moment.
 */
export function adoptKept(replica: Replica, kept: Replica): Replica {
	if (kept.viewerId !== replica.viewerId) return replica;
	const conversations = new Map(replica.conversations);
	for (const [id, earlier] of kept.conversations) {
		const now = conversations.get(id);
		if (now && isKeptBefore(earlier, now)) conversations.set(id, goBackTo(earlier, now));
	}
	const people = [...kept.people.values()].filter(({ id }) => !replica.people.has(id));
	return withPeople({ ...replica, conversations }, people);
}

export const isKeptBefore = (
	{ version }: Pick<ConversationState, 'version'>,
	now: ConversationState
): boolean => version <= now.version && now.version - version <= DELTA;

function goBackTo(earlier: ConversationState, now: ConversationState): ConversationState {
	const messages = new Map(earlier.messages);
	for (const [seq, message] of now.messages) {
		if (message.version >= (messages.get(seq)?.version ?? 0)) messages.set(seq, message);
	}
	const members = new Map(earlier.members);
	for (const [id, member] of now.members) {
		if (member.version >= (members.get(id)?.version ?? 0)) members.set(id, member);
	}
	const { version, forgotten } = earlier;
	const membersLoaded = now.membersLoaded || earlier.membersLoaded;
	return withReadSeq(
		{ ...now, version, forgotten, messages, members, membersLoaded },
		earlier.readSeq
	);
}

/** A conversation that the viewer has just started or opened. */
export function adoptOpening(replica: Replica, opening: ConversationOpening): Replica {
	const { snapshot } = opening;
	const next = withPeople(replica, opening.people);
	// Known already, perhaps not as far: the stream or a sync brings the rest, and the cache stays.
	if (replica.conversations.has(snapshot.conversation.id)) return next;
	return withConversation(next, fromSnapshot(snapshot));
}

export function withConversation(replica: Replica, state: ConversationState): Replica {
	const { id } = state.conversation;
	if (replica.conversations.get(id) === state) return replica;
	return { ...replica, conversations: new Map(replica.conversations).set(id, state) };
}

export function withoutConversation(replica: Replica, id: string): Replica {
	if (!replica.conversations.has(id)) return replica;
	const conversations = new Map(replica.conversations);
	conversations.delete(id);
	return { ...replica, conversations };
}

export function withPeople(replica: Replica, people: readonly PersonView[]): Replica {
	const changed = people.filter((person) => {
		const held = replica.people.get(person.id);
		return held?.name !== person.name || held.username !== person.username;
	});
	if (changed.length === 0) return replica;
	const next = new Map(replica.people);
	for (const person of changed) next.set(person.id, person);
	return { ...replica, people: next };
}

function peopleIn(changes: readonly ConversationChange[]): PersonView[] {
	return changes.flatMap((change) =>
		change.type === 'member.changed' ? [change.member.person] : []
	);
}
