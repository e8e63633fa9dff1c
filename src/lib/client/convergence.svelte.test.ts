import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { HEARTBEAT_MS, type StreamEvent } from '#lib/shared/events.ts';
import type { MessageView } from '#lib/shared/messages.ts';
import { useFakePage } from './sync/fake-page.ts';
import { FakeServer, FakeSource, ID, VIEWER, settled } from './sync/fake-server.ts';
import { Session } from './session.svelte.ts';

useFakePage();

/** A stream on which events wait until they are delivered, lost, or cut off with it. */
class Wire {
	readonly server: FakeServer;
	readonly waiting: StreamEvent[] = [];
	source: FakeSource | null = null;
	down = false;

	constructor(server: FakeServer) {
		this.server = server;
		server.told = (event) => {
			if (this.source && !this.source.closed) this.waiting.push(event);
		};
	}

	connect(): FakeSource {
		const source = new FakeSource();
		this.source = source;
		this.waiting.length = 0;
		if (this.down) queueMicrotask(() => source.drop());
		else this.waiting.push({ type: 'stream.opened' });
		return source;
	}

	deliver(): void {
		const event = this.waiting.shift();
		if (event && this.source && !this.source.closed) this.source.say(event);
	}
}

const step = fc.oneof(
	{ weight: 4, arbitrary: fc.constant('post' as const) },
	{ weight: 4, arbitrary: fc.constant('send' as const) },
	{ weight: 2, arbitrary: fc.constant('edit' as const) },
	{ weight: 8, arbitrary: fc.constant('deliver' as const) },
	{ weight: 3, arbitrary: fc.constant('settle' as const) },
	{ weight: 2, arbitrary: fc.constantFrom('lose', 'double', 'cut', 'burst', 'read') },
	{ weight: 2, arbitrary: fc.constantFrom('calls fail', 'answers get lost', 'calls work') },
	{ weight: 2, arbitrary: fc.constantFrom('network down', 'network up') },
	{ weight: 2, arbitrary: fc.constantFrom('a moment', 'a while') }
);

test('after any trouble the client shows what the server has, and each message once, in order', async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
			const server = new FakeServer(3);
			server.resetPast = 30;
			const wire = new Wire(server);
			const session = new Session(
				{ viewer: VIEWER, bootstrap: server.since({ conversations: {} }), opening: null },
				{ api: server.api, connect: () => wire.connect(), poll: () => wire.connect() }
			);
			const stop = session.start();
			const timeline = session.timeline(ID);
			void timeline.open();
			const written: string[] = [];
			const fail = () => {
				throw new TypeError('Failed to fetch');
			};

			for (const kind of steps) {
				if (kind === 'post') server.post();
				else if (kind === 'edit') server.edit(server.messages.length - 1);
				else if (kind === 'burst') for (let i = 0; i < 60; i++) server.post();
				else if (kind === 'send') {
					written.push(`own ${written.length}`);
					session.outbox.send(ID, written.at(-1) ?? '');
					expect(session.outbox.of(ID).at(-1)?.body).toBe(written.at(-1));
				} else if (kind === 'deliver') wire.deliver();
				else if (kind === 'settle') await settled();
				else if (kind === 'lose') wire.waiting.shift();
				else if (kind === 'double') wire.waiting.unshift(...wire.waiting.slice(0, 2));
				else if (kind === 'cut') wire.source?.drop();
				else if (kind === 'read') session.conversations.markRead(ID, server.messages.length);
				else if (kind === 'calls fail') server.before = fail;
				else if (kind === 'answers get lost') server.after = fail;
				else if (kind === 'calls work') server.before = server.after = () => {};
				else if (kind === 'network down') {
					wire.down = true;
					wire.source?.drop();
				} else if (kind === 'network up') wire.down = false;
				else await vi.advanceTimersByTimeAsync(kind === 'a moment' ? 300 : 10_000);
				holds(session, written, server);
			}

			server.before = server.after = () => {};
			wire.down = false;
			// A lost event followed by silence is found by the sync that the next stream begins with.
			await vi.advanceTimersByTimeAsync(3 * HEARTBEAT_MS);
			for (let i = 0; i < 20; i++) {
				while (wire.waiting.length > 0) wire.deliver();
				await vi.advanceTimersByTimeAsync(3 * HEARTBEAT_MS);
			}
			while (wire.waiting.length > 0) wire.deliver();
			await vi.advanceTimersByTimeAsync(2000);
			await timeline.toNewest();

			expect(session.outbox.of(ID)).toEqual([]);
			const own = server.messages.filter(({ senderId }) => senderId === VIEWER.id);
			expect(own.map(textOf)).toEqual(written);
			const state = session.conversations.get(ID);
			expect(state).toMatchObject({
				version: server.version,
				lastSeq: server.messages.length,
				lastMessage: server.messages.at(-1),
				readSeq: server.readSeq
			});
			for (const [seq, message] of state?.messages ?? []) {
				expect(message).toEqual(server.messages[seq - 1]);
			}
			expect(timeline.messages).toEqual(server.messages.slice(-timeline.messages.length));
			expect(timeline.messages.length).toBeGreaterThanOrEqual(Math.min(3, server.messages.length));
			stop();
		}),
		{ numRuns: 150 }
	);
}, 60_000);

/** As it was written, whatever was changed about it later. */
const textOf = (message: MessageView) => message.kind === 'text' && message.body.replace(/!+$/, '');

/** At every moment: whole windows, and everything written is either on its way or in its place. */
function holds(session: Session, written: readonly string[], server: FakeServer): void {
	const { messages } = session.timeline(ID);
	messages.forEach(({ seq }, i) => expect(seq).toBe((messages[0]?.seq ?? 0) + i));
	const outgoing = session.outbox.of(ID).map(({ body }) => body);
	expect(outgoing).toEqual(written.slice(written.length - outgoing.length));
	const arrived = server.messages.filter(({ senderId }) => senderId === VIEWER.id).length;
	expect(outgoing.length).toBeGreaterThanOrEqual(written.length - arrived);
}
