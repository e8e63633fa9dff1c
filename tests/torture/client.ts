/**
 * A client of the torture's own: the same HTTP procedures, the same stream and the same reducers as
 * a browser, and around them the simplest code that can be right. It forgets nothing, so it is held
 * to having every message; and an event that is torn makes it hang up at once.
 */
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { uuidv7 } from 'uuidv7';
import type { Random } from '../../scripts/seed/random.ts';
import type { ConversationOpening } from '../../src/lib/shared/conversations.ts';
import type { ConversationDelta, StreamEvent } from '../../src/lib/shared/events.ts';
import type { TextMessage } from '../../src/lib/shared/messages.ts';
import {
	adoptOpening,
	applyEvent,
	applySync,
	emptyReplica,
	knownVersions,
	mergePage,
	mergeRows,
	withConversation,
	type ConversationState,
	type Replica
} from '../../src/lib/shared/replica.ts';
import { Device, PATIENCE_MS, type Written } from './device.ts';

interface Outgoing extends Written {
	tries: number;
}

export class Client extends Device {
	#replica: Replica = emptyReplica('');
	readonly #outbox = new Map<string, Outgoing[]>();
	#stream: IncomingMessage | null = null;
	#streaming = false;
	#asking: Promise<void> | null = null;
	#again = false;
	/** How often the page was loaded anew. */
	#life = 0;

	/** Another tab of the same person. */
	another(name: string, random: Random): Client {
		const client = new Client(this.world, name, random, this.jar);
		client.is(this.personId);
		return client;
	}

	override get replica(): Replica {
		return this.#replica;
	}

	override get waiting(): number {
		return [...this.#outbox.values()].reduce((count, entries) => count + entries.length, 0);
	}

	override async settle(): Promise<void> {
		await this.#asking;
	}

	override get isListening(): boolean {
		return this.#streaming;
	}

	override isGivenUp(id: string): boolean {
		return this.sent.some((one) => one.id === id && one.message === null);
	}

	override hasPlace(id: string): boolean {
		return !this.isGivenUp(id);
	}

	override shownFrom({ conversation }: ConversationState): number {
		return (this.knownFrom.get(conversation.id) ?? 0) + 1;
	}

	override amiss(): Promise<string[]> {
		return Promise.resolve([]);
	}

	override close(): void {
		super.close();
		this.#stream?.destroy();
	}

	protected override is(personId: string): void {
		super.is(personId);
		this.#replica = emptyReplica(personId);
	}

	override begin(): void {
		void this.#listen();
	}

	protected override async start(personIds: string[], name: string | null): Promise<void> {
		let opening: ConversationOpening;
		if (name === null) {
			opening = await this.call.conversations.startDirect.mutate({ personId: personIds[0] ?? '' });
		} else {
			const id = uuidv7();
			this.wants(id, personIds);
			opening = await this.call.conversations.createGroup.mutate({ id, name, personIds });
		}
		this.has(opening.snapshot.conversation.id);
		this.#become(adoptOpening(this.#replica, opening));
		this.#ask();
	}

	protected override async markRead(
		conversationId: string,
		seq: number,
		unread: boolean
	): Promise<void> {
		await this.call.conversations.markRead.mutate({ conversationId, seq, unread });
		this.marked.set(conversationId, Math.max(seq, this.marked.get(conversationId) ?? 0));
	}

	protected override async read({ conversation, lastSeq }: ConversationState): Promise<void> {
		const conversationId = conversation.id;
		const before = this.random.whole(1, lastSeq + 1);
		const page = await this.call.messages.page.query({ conversationId, before });
		const state = this.#replica.conversations.get(conversationId);
		if (page.messages.length > 0) {
			this.hear('page', conversationId, page.version, page.messages);
		}
		if (!state) return;
		this.#become(withConversation(this.#replica, mergePage(state, page, this.personId)));
	}

	protected override async edit(message: TextMessage, body: string): Promise<void> {
		const { id, conversationId, edits = 0 } = message;
		const input = { id, conversationId, body, edit: edits + 1 };
		const delta = await this.call.messages.edit.mutate(input);
		this.isEdited(input, delta);
		this.#absorb(delta);
	}

	protected override async delete({ id, conversationId }: TextMessage): Promise<void> {
		this.world.deletions.add(id);
		const delta = await this.call.messages.delete.mutate({ id, conversationId });
		this.isDeleted(id, delta);
		this.#absorb(delta);
	}

	protected override async react(message: TextMessage, emoji: string, on: boolean): Promise<void> {
		const { id: messageId, conversationId } = message;
		const input = { conversationId, messageId, emoji, on };
		this.asksToReact(input);
		try {
			const delta = await this.call.reactions.set.mutate(input);
			this.isReacted(input, delta);
			this.#absorb(delta);
		} catch (error) {
			this.isNotReacted(input, this.refused(error).reason);
		}
	}

	protected override async rename(conversationId: string, name: string): Promise<void> {
		this.#changed(await this.call.conversations.rename.mutate({ conversationId, name }));
	}

	protected override async addPerson(conversationId: string, personId: string): Promise<void> {
		const personIds = [personId];
		this.#changed(await this.call.conversations.addPeople.mutate({ conversationId, personIds }));
	}

	protected override async removePerson(conversationId: string, personId: string): Promise<void> {
		this.#changed(await this.call.conversations.removePerson.mutate({ conversationId, personId }));
	}

	protected override leave(conversationId: string): Promise<unknown> {
		return this.call.conversations.leave.mutate({ conversationId });
	}

	/** Only the outbox is left of it. */
	protected override reload(): Promise<void> {
		this.#life++;
		this.#replica = emptyReplica(this.personId);
		this.knownFrom.clear();
		this.#stream?.destroy();
		return Promise.resolve();
	}

	// The outbox

	protected override send(conversationId: string, body: string): string {
		const entry = { id: uuidv7(), conversationId, body, tries: 0 };
		const entries = this.#outbox.get(conversationId);
		if (entries) entries.push(entry);
		else {
			this.#outbox.set(conversationId, [entry]);
			void this.#sendAll(conversationId);
		}
		return entry.id;
	}

	async #sendAll(conversationId: string): Promise<void> {
		const entries = this.#outbox.get(conversationId) ?? [];
		for (let entry = entries[0]; entry && this.busy; entry = entries[0]) {
			const wait = await this.#try(entry);
			if (wait === 0) entries.shift();
			else await pause(wait);
		}
		this.#outbox.delete(conversationId);
	}

	/** 0 when it is settled, or the milliseconds until another try. */
	async #try(entry: Outgoing): Promise<number> {
		const { id, conversationId, body } = entry;
		this.world.tally.tries++;
		if (entry.tries++ > 0) this.world.tally.retries++;
		try {
			const delta = await this.call.messages.send.mutate({ id, conversationId, body });
			this.acknowledged({ id, conversationId, body }, delta);
			this.#absorb(delta);
			return 0;
		} catch (error) {
			const { reason, retryAfter } = this.refused(error);
			if (reason === 'sending_too_fast') return retryAfter * 1000;
			if (reason === 'network' || reason === 'internal' || reason === 'server_busy') {
				return this.later();
			}
			this.sent.push({ id, conversationId, body, message: null });
			return 0;
		}
	}

	// The replica

	#changed(delta: ConversationDelta): void {
		this.changed.push(delta);
		this.#absorb(delta);
	}

	/** An answer to an own call: ahead of the stream it is merged as far as it leaves no hole. */
	#absorb(delta: ConversationDelta): void {
		const event = { type: 'conversation.advanced' as const, delta };
		const { replica, needsSync } = applyEvent(this.#replica, event);
		this.#become(replica);
		if (!needsSync) return;
		const state = this.#replica.conversations.get(delta.conversationId);
		const rows = delta.changes.filter(({ type }) => type !== 'message.changed');
		if (state) {
			this.#become(withConversation(this.#replica, mergeRows(state, rows, this.personId)));
		}
	}

	/** Keeps a stream open until it is closed. */
	async #listen(): Promise<void> {
		while (this.busy) {
			await this.#listenOnce();
			this.#streaming = false;
			if (this.busy) await pause(this.later());
		}
	}

	/** Resolves when the stream has ended, however it did. */
	#listenOnce(): Promise<void> {
		return new Promise((resolve) => {
			const port = this.random.pick(this.world.doors);
			const headers = { cookie: this.jar.cookie };
			const request = get({ host: '127.0.0.1', port, path: '/events', headers, agent: false });
			// A process that is frozen takes connections and says nothing.
			request.setTimeout(PATIENCE_MS, () => {
				if (!this.#streaming) request.destroy();
			});
			request.on('error', () => resolve());
			request.on('close', () => resolve());
			request.on('response', (response) => {
				if (response.statusCode !== 200) {
					if (response.statusCode === 401) this.complaints.push('was signed out of the stream');
					response.destroy();
					return;
				}
				this.world.tally.streams++;
				this.#stream = response;
				this.#readStream(response);
			});
		});
	}

	#readStream(response: IncomingMessage): void {
		let text = '';
		response.on('error', () => undefined);
		response.setEncoding('utf8').on('data', (more: string) => {
			text += more;
			const parts = text.split('\n\n');
			text = parts.pop() ?? '';
			for (const part of parts) {
				let event: StreamEvent;
				try {
					event = JSON.parse(part.slice('data: '.length)) as StreamEvent;
				} catch {
					// Bytes were lost on the way.
					response.destroy();
					return;
				}
				if (this.#stream === response) this.#receive(event);
			}
		});
	}

	#receive(event: StreamEvent): void {
		if (event.type === 'stream.opened') this.#streaming = true;
		this.hearEvent(event);
		const { replica, needsSync } = applyEvent(this.#replica, event);
		this.#become(replica);
		if (!needsSync) return;
		if (event.type === 'conversation.advanced') this.world.tally.gaps++;
		this.#ask();
	}

	#ask(): void {
		this.#again = true;
		this.#asking ??= this.#askUntilDone().finally(() => (this.#asking = null));
	}

	async #askUntilDone(): Promise<void> {
		while (this.#again && this.busy) {
			this.#again = false;
			const asked = this.#replica;
			const life = this.#life;
			try {
				const known = knownVersions(asked);
				const answer = await this.call.sync.since.mutate({ conversations: known });
				this.hearSync(answer);
				if (life !== this.#life) {
					// It answers what nobody asks any more.
					this.#again = true;
					continue;
				}
				for (const id of answer.reset) this.knownFrom.delete(id);
				const { replica, needsSync } = applySync(this.#replica, answer, asked);
				this.#become(replica);
				if (needsSync) this.#again = true;
			} catch (error) {
				this.refused(error);
				this.#again = true;
				await pause(this.later());
			}
		}
	}

	#become(replica: Replica): void {
		this.#replica = replica;
		for (const [id, { lastSeq }] of replica.conversations) {
			if (!this.knownFrom.has(id)) this.knownFrom.set(id, lastSeq);
		}
		for (const id of this.knownFrom.keys()) {
			if (!replica.conversations.has(id)) this.knownFrom.delete(id);
		}
	}
}
