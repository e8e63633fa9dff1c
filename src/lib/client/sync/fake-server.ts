/** The other half, for tests of the client's state: one group conversation, kept as the server does. */
import type { ConversationSnapshot, MemberView } from '#lib/shared/conversations.ts';
import type { ErrorCode, ErrorDetails } from '#lib/shared/errors.ts';
import type { ConversationChange, ConversationDelta, StreamEvent } from '#lib/shared/events.ts';
import {
	type DeleteInput,
	type EditInput,
	SEND_MANY_MAX,
	type MessagePage,
	type MessageView,
	type PageInput,
	type SendInput,
	type SendOutcome,
	type TextMessage
} from '#lib/shared/messages.ts';
import type { ReactInput } from '#lib/shared/reactions.ts';
import type { Receipt } from '#lib/shared/receipts.ts';
import type { SinceInput, SyncAnswer } from '#lib/shared/sync.ts';
import { withReaction } from '#lib/shared/with-reaction.ts';
import type { Api } from './api.ts';
import type { EventSourceLike } from './stream.ts';

export const VIEWER = { id: 'viewer', name: 'Vera', username: 'vera', email: 'vera@example.org' };
export const ID = 'conversation';

export class FakeSource implements EventSourceLike {
	onmessage: ((event: MessageEvent<string>) => unknown) | null = null;
	onerror: ((event: Event) => unknown) | null = null;
	readyState = 1;
	closed = false;

	say(event: StreamEvent): void {
		this.onmessage?.(new MessageEvent('message', { data: JSON.stringify(event) }));
	}
	/** The connection breaks; a real one would try again by itself. */
	drop(): void {
		this.readyState = 0;
		this.onerror?.(new Event('error'));
	}
	/** An answer that is no stream, such as a 401. */
	refuse(): void {
		this.readyState = 2;
		this.onerror?.(new Event('error'));
	}
	close(): void {
		this.closed = true;
	}
}

/** An error as tRPC's client throws it. */
export function refusal(reason: ErrorCode, details: ErrorDetails = {}): Error {
	return Object.assign(new Error(reason), { data: { reason, ...details } });
}

type Procedure =
	| 'look'
	| 'since'
	| 'send'
	| 'sendMany'
	| 'page'
	| 'edit'
	| 'delete'
	| 'texts'
	| 'react'
	| 'received'
	| 'receipts'
	| 'markRead'
	| 'members';

export class FakeServer {
	version = 0;
	personVersion = 0;
	readSeq = 0;
	markedUnread = false;
	readonly messages: MessageView[] = [];
	readonly members: MemberView[] = [];
	readonly online = new Set<string>();
	receipts: Receipt[] = [];
	/** Every call, in order. */
	readonly calls: { name: Procedure; input: unknown }[] = [];
	/** What stands between a call and its answer: throw, or wait. */
	before: (name: Procedure) => unknown = () => {};
	/** What stands between the effect and its answer. */
	after: (name: Procedure) => unknown = () => {};
	/** What is said of a message instead of sending it. */
	refuses: (input: SendInput) => (ErrorDetails & { reason: ErrorCode }) | undefined = () =>
		undefined;
	resetPast = 200;
	/** Hears every event as it happens. */
	told: (event: StreamEvent) => void = () => {};

	constructor(count = 0) {
		for (let i = 0; i < count; i++) this.post();
	}

	/** Somebody else writes; the event that tells of it. */
	post(senderId = 'ana', id = `message-${this.messages.length + 1}`, body = 'Hello'): StreamEvent {
		const seq = this.messages.length + 1;
		const version = ++this.version;
		this.messages.push({
			kind: 'text',
			id,
			conversationId: ID,
			seq,
			version,
			senderId,
			sentAt: seq * 1000,
			body
		});
		if (senderId === VIEWER.id) this.readSeq = seq;
		const event = { type: 'conversation.advanced' as const, delta: this.delta(version - 1) };
		this.told(event);
		return event;
	}

	/** A message changes after it was sent. */
	edit(seq: number): void {
		const message = this.messages[seq - 1];
		if (message?.kind !== 'text') return;
		const version = ++this.version;
		this.messages[seq - 1] = { ...message, version, body: `${message.body}!` };
		this.told({ type: 'conversation.advanced', delta: this.delta(version - 1) });
	}

	#edit({ id, body, edit }: EditInput): ConversationDelta {
		return this.#change(id, (message) => {
			if ((message.edits ?? 0) >= edit) {
				if (message.body !== body) throw refusal('changed_meanwhile');
				return message;
			}
			return { ...message, body, edits: edit };
		});
	}

	#delete({ id }: DeleteInput): ConversationDelta {
		return this.#change(id, ({ body: _body, edits: _edits, reactions: _reactions, ...rest }) => ({
			...rest,
			kind: 'deleted'
		}));
	}

	#react({ messageId, emoji, on }: ReactInput): ConversationDelta {
		return this.#change(messageId, ({ reactions = [], ...rest }) => ({
			...rest,
			reactions: withReaction(reactions, VIEWER.id, { emoji, on })
		}));
	}

	#change(id: string, change: (message: TextMessage) => MessageView): ConversationDelta {
		const place = this.messages.findIndex((one) => one.id === id);
		const message = this.messages[place];
		if (message?.kind !== 'text') throw refusal('not_found');
		const changed = change(message);
		if (changed === message) return this.#whole(message);
		const version = ++this.version;
		const now = { ...changed, version };
		this.messages[place] = now;
		this.told({ type: 'conversation.advanced', delta: this.delta(version - 1) });
		return this.#whole(now);
	}

	#whole(message: MessageView): ConversationDelta {
		const { version } = message;
		return {
			conversationId: ID,
			base: version - 1,
			version,
			changes: [{ type: 'message.changed', message }]
		};
	}

	delta(base: number): ConversationDelta {
		const changes: ConversationChange[] = this.messages
			.filter(({ version }) => version > base)
			.map((message) => ({ type: 'message.changed', message }));
		return { conversationId: ID, base, version: this.version, changes };
	}

	snapshot(): ConversationSnapshot {
		const lastMessage = this.messages.at(-1) ?? null;
		return {
			conversation: { id: ID, kind: 'group', name: 'Team', createdAt: 0, changed: 0 },
			version: this.version,
			lastSeq: this.messages.length,
			lastMessage,
			activeAt: lastMessage?.sentAt ?? 0,
			peerId: null,
			role: 'member',
			readSeq: this.readSeq,
			markedUnread: this.markedUnread
		};
	}

	since({ conversations }: SinceInput): SyncAnswer {
		const known = conversations[ID];
		const far = known !== undefined && this.version - known > this.resetPast;
		const fresh = known === undefined || far;
		return {
			personVersion: this.personVersion,
			deltas: fresh || known === this.version ? [] : [this.delta(known)],
			snapshots: fresh ? [this.snapshot()] : [],
			reset: far ? [ID] : [],
			gone: Object.keys(conversations).filter((id) => id !== ID),
			readSeqs: fresh ? {} : { [ID]: this.readSeq },
			marked: !fresh && this.markedUnread ? [ID] : [],
			people: []
		};
	}

	page({ before, after, around, limit = 50 }: PageInput): MessagePage {
		const last = this.messages.length;
		const to =
			before !== undefined
				? before - 1
				: after !== undefined
					? after + limit
					: around !== undefined
						? Math.min(last, Math.max(around + 25, limit))
						: last;
		const from = Math.max(1, to - limit + 1);
		return {
			messages: this.messages.slice(from - 1, to),
			people: [],
			version: this.version,
			lastSeq: last
		};
	}

	#send(input: SendInput): ConversationDelta {
		const { id, body } = input;
		const refused = this.refuses(input);
		if (refused) throw refusal(refused.reason, refused);
		let message = this.messages.find((one) => one.id === id);
		if (!message) {
			this.post(VIEWER.id, id, body);
			message = this.messages.at(-1);
		}
		if (!message) throw refusal('internal');
		return this.#whole(message);
	}

	#sendMany(inputs: SendInput[]): SendOutcome[] {
		if (inputs.length > SEND_MANY_MAX) throw refusal('invalid_input');
		return inputs.map((input) => {
			const error = this.refuses(input);
			return error ? { error } : { delta: this.#send(input) };
		});
	}

	async #call<Output>(name: Procedure, input: unknown, effect: () => Output) {
		this.calls.push({ name, input });
		await this.before(name);
		const output = effect();
		await this.after(name);
		return output;
	}

	called(name: Procedure): unknown[] {
		return this.calls.filter((call) => call.name === name).map(({ input }) => input);
	}

	readonly api: Api = {
		accounts: { viewer: { query: async () => VIEWER } },
		presence: {
			look: {
				mutate: (input) =>
					this.#call('look', input, () => ({
						online: input.personIds.filter((id) => this.online.has(id))
					}))
			}
		},
		sync: { since: { mutate: (input) => this.#call('since', input, () => this.since(input)) } },
		messages: {
			send: { mutate: (input) => this.#call('send', input, () => this.#send(input)) },
			sendMany: {
				mutate: (inputs) => this.#call('sendMany', inputs, () => this.#sendMany(inputs))
			},
			page: { query: (input) => this.#call('page', input, () => this.page(input)) },
			edit: { mutate: (input) => this.#call('edit', input, () => this.#edit(input)) },
			delete: { mutate: (input) => this.#call('delete', input, () => this.#delete(input)) },
			texts: { query: (input) => this.#call('texts', input, () => []) }
		},
		reactions: {
			set: { mutate: (input) => this.#call('react', input, () => this.#react(input)) }
		},
		receipts: {
			received: { mutate: (input) => this.#call('received', input, () => {}) },
			of: { query: (input) => this.#call('receipts', input, () => this.receipts) }
		},
		conversations: {
			startDirect: { mutate: async () => ({ snapshot: this.snapshot(), people: [] }) },
			createGroup: { mutate: async () => ({ snapshot: this.snapshot(), people: [] }) },
			rename: { mutate: async () => this.delta(this.version) },
			addPeople: { mutate: async () => this.delta(this.version) },
			removePerson: { mutate: async () => this.delta(this.version) },
			leave: { mutate: async () => {} },
			members: {
				query: (input) =>
					this.#call('members', input, () => ({ version: this.version, members: this.members }))
			},
			markRead: {
				mutate: (input) =>
					this.#call('markRead', input, () => {
						this.readSeq = Math.max(this.readSeq, input.seq);
						this.markedUnread = input.unread ?? false;
					})
			}
		}
	};
}

/** A promise and the hand that resolves it. */
export function gate(): { opened: Promise<void>; open: () => void } {
	let open = () => {};
	const opened = new Promise<void>((resolve) => (open = resolve));
	return { opened, open: () => open() };
}

/** Lets everything run that is only waiting for promises. */
export async function settled(): Promise<void> {
	for (let i = 0; i < 30; i++) await Promise.resolve();
}
