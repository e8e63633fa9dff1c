/**
 * The test that every mutation must pass: snapshot before + events = snapshot after, for each
 * member, and the outsider hears nothing. Three processes on one real Postgres, several writers in
 * concurrent transactions, streams that drop, notifications that never arrive; the clients' half is
 * the browser's own reducers.
 */
import { TRPCError } from '@trpc/server';
import fc from 'fast-check';
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConversationDelta, StreamEvent } from '#lib/shared/events.ts';
import { AppError } from '#lib/shared/errors.ts';
import {
	applyEvent,
	applySync,
	emptyReplica,
	fromSnapshot,
	knownVersions,
	type Replica
} from '#lib/shared/replica.ts';
import type { Listen } from '../realtime/realtime.ts';
import { listenOn } from '../realtime/realtime.ts';
import {
	callerFor,
	somebody,
	testApp,
	TestStream,
	type TestApp,
	type TestPerson
} from '../testing.ts';

const PROCESSES = 3;
const PEOPLE = 6;
const SWEEP_MS = 60;

/** Which notifications get lost, decided by the run's own random numbers. */
let losesNotification: () => boolean = () => false;
let processes: TestApp[] = [];

beforeAll(async () => {
	const first = await testApp();
	const lossy: Listen = (hear, begun) =>
		listenOn(first.url)((payload) => {
			if (!losesNotification()) hear(payload);
		}, begun);
	const options = { url: first.url, listen: lossy, hub: { sweepMs: SWEEP_MS, retryMs: 10 } };
	processes = [
		first,
		...(await Promise.all(Array.from({ length: PROCESSES }, () => testApp({}, options))))
	];
});
afterAll(async () => {
	for (const process of processes.toReversed()) await process.close();
});

/** Only the lossy ones serve; the first owns the database. */
const serving = () => processes.slice(1);
const pick = <T>(list: readonly T[], n: number): T => {
	const item = list[n % list.length];
	if (item === undefined) throw new Error('Nothing to pick from.');
	return item;
};

/** One browser: the real reducers behind a stream that may drop at any time. */
class Device {
	replica: Replica;
	/** Where each conversation's line must go on, on the present stream. */
	#told = new Map<string, number>();
	/** The place from which on this device has to have every message. */
	readonly knownFrom = new Map<string, number>();
	readonly heard: ConversationDelta[] = [];
	#stream: TestStream | null = null;
	#asking: Promise<void> | null = null;
	#again = false;

	readonly person: TestPerson;

	constructor(person: TestPerson) {
		this.person = person;
		this.replica = emptyReplica(person.id);
	}

	async connect(process: TestApp): Promise<void> {
		this.drop();
		const stream = new TestStream(this.person);
		const write = stream.write.bind(stream);
		stream.write = (frame) => {
			write(frame);
			const event = stream.heard.at(-1);
			if (event && this.#stream === stream) this.#receive(event, process);
		};
		this.#stream = stream;
		this.#told = new Map();
		await process.services.realtime.hub.open(stream);
	}

	drop(): void {
		const stream = this.#stream;
		this.#stream = null;
		stream?.end();
	}

	get connected(): boolean {
		return this.#stream !== null && !this.#stream.closed;
	}

	async settle(): Promise<void> {
		await this.#asking;
	}

	#receive(event: StreamEvent, process: TestApp): void {
		if (event.type === 'conversation.advanced') {
			const { delta } = event;
			this.heard.push(delta);
			const told = this.#told.get(delta.conversationId);
			if (told !== undefined && delta.base > told) {
				throw new Error(`A stream was told ${told} and then ${delta.base}: a gap.`);
			}
			this.#told.set(delta.conversationId, delta.version);
		}
		const { replica, needsSync } = applyEvent(this.replica, event);
		this.#become(replica);
		if (needsSync) this.#ask(process);
	}

	#ask(process: TestApp): void {
		this.#again = true;
		this.#asking ??= this.#askUntilDone(process).finally(() => (this.#asking = null));
	}

	async #askUntilDone(process: TestApp): Promise<void> {
		const call = callerFor(process.services, this.person, this.person.sessionId);
		while (this.#again) {
			this.#again = false;
			const asked = this.replica;
			const { personVersion } = asked;
			const answer = await call.sync.since({
				conversations: knownVersions(asked),
				personVersion
			});
			for (const id of answer.reset) this.knownFrom.delete(id);
			const { replica, needsSync } = applySync(this.replica, answer, asked);
			this.#become(replica);
			if (needsSync) this.#again = true;
		}
	}

	#become(replica: Replica): void {
		this.replica = replica;
		for (const [id, { lastSeq }] of replica.conversations) {
			if (!this.knownFrom.has(id)) this.knownFrom.set(id, lastSeq);
		}
		for (const id of this.knownFrom.keys()) {
			if (!replica.conversations.has(id)) this.knownFrom.delete(id);
		}
	}
}

type Act =
	| { do: 'send' | 'resend' | 'read' | 'leave' | 'reconnect' | 'drop'; who: number; where: number }
	| { do: 'edit' | 'delete' | 'react'; who: number; where: number; which: number }
	| {
			do: 'group' | 'direct' | 'add' | 'remove' | 'rename';
			who: number;
			where: number;
			whom: number;
	  };

const number = fc.nat({ max: 1000 });
const act: fc.Arbitrary<Act> = fc.oneof(
	{
		weight: 8,
		arbitrary: fc.record({ do: fc.constant('send' as const), who: number, where: number })
	},
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constantFrom('resend', 'read', 'reconnect', 'drop', 'leave'),
			who: number,
			where: number
		})
	},
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constantFrom('edit', 'edit', 'react', 'react', 'delete'),
			who: number,
			where: number,
			which: number
		})
	},
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constantFrom('group', 'direct', 'add', 'remove', 'rename'),
			who: number,
			where: number,
			whom: number
		})
	}
);
/** Several writers, each doing one thing after the other, all at once. */
const plan = fc.record({
	writers: fc.array(fc.array(act, { minLength: 5, maxLength: 25 }), { minLength: 3, maxLength: 5 }),
	lost: fc.array(fc.boolean(), { minLength: 7, maxLength: 31 })
});

test('every client converges to a fresh snapshot, and hears only what is its own', async () => {
	await fc.assert(
		fc.asyncProperty(plan, async ({ writers, lost }) => {
			const [home] = processes;
			if (!home) throw new Error('No process.');
			let notifications = 0;
			losesNotification = () => pick(lost, notifications++);
			const people = await Promise.all(
				Array.from({ length: PEOPLE }, () => somebody(home.services))
			);
			// Two devices each; the last person is nobody's friend.
			const devices = people.flatMap((person) => [new Device(person), new Device(person)]);
			const conversations: string[] = [];
			await Promise.all(devices.map((device, i) => device.connect(pick(serving(), i))));
			await Promise.all(writers.map((acts, i) => perform(acts, i, people, devices, conversations)));
			await Promise.all(
				devices.map(async (device, i) => {
					if (!device.connected) await device.connect(pick(serving(), i));
				})
			);
			losesNotification = () => true;
			for (const device of devices) await converged(device);
			await checkTables(home, conversations);
			await checkWhoHeard(home, devices);
			for (const device of devices) device.drop();
		}),
		{ numRuns: 12, endOnFailure: true }
	);
}, 120_000);

async function perform(
	acts: Act[],
	writer: number,
	people: TestPerson[],
	devices: Device[],
	conversations: string[]
): Promise<void> {
	const friends = people.slice(0, -1);
	let last: { id: string; conversationId: string; body: string } | null = null;
	for (const [step, one] of acts.entries()) {
		const process = pick(serving(), one.where + step);
		const who = pick(friends, one.who);
		const {
			conversations: doors,
			messages,
			reactions
		} = callerFor(process.services, who, who.sessionId);
		const conversationId = conversations[one.where % Math.max(1, conversations.length)];
		const whom = 'whom' in one ? pick(friends, one.whom).id : '';
		const attempt = async () => {
			switch (one.do) {
				case 'group': {
					const id = uuidv7();
					const personIds = [whom, pick(friends, one.whom + 1).id].filter((p) => p !== who.id);
					await doors.createGroup({ id, name: `Group ${writer}.${step}`, personIds });
					return conversations.push(id);
				}
				case 'direct': {
					const { snapshot } = await doors.startDirect({ personId: whom });
					return conversations.push(snapshot.conversation.id);
				}
				case 'drop':
					return pick(devices, one.who).drop();
				case 'reconnect':
					return pick(devices, one.who).connect(process);
				default:
					return conversationId === undefined ? undefined : within(conversationId);
			}
		};
		const within = async (conversationId: string) => {
			switch (one.do) {
				case 'send':
					last = { id: uuidv7(), conversationId, body: `${writer}.${step}` };
					return messages.send(last);
				case 'resend':
					return last && messages.send(last);
				case 'read':
					return doors.markRead({ conversationId, seq: one.where, unread: one.where % 3 === 0 });
				case 'leave':
					return doors.leave({ conversationId });
				case 'add':
					return doors.addPeople({ conversationId, personIds: [whom] });
				case 'remove':
					return doors.removePerson({ conversationId, personId: whom });
				case 'rename':
					return doors.rename({ conversationId, name: `Name ${writer}.${step}` });
				case 'edit':
				case 'delete':
				case 'react':
					return change(one, conversationId);
				default:
			}
		};
		const change = async (one: Extract<Act, { which: number }>, conversationId: string) => {
			const page = await messages.page({ conversationId });
			const texts = page.messages.filter((message) => message.kind === 'text');
			// Only the sender may do more than react.
			const own = texts.filter(({ senderId }) => one.do === 'react' || senderId === who.id);
			if (own.length === 0) return;
			const { id, edits = 0 } = pick(own, one.which);
			if (one.do === 'delete') return messages.delete({ id, conversationId });
			if (one.do === 'edit') {
				const body = `${writer}.${step} edited`;
				return messages.edit({ id, conversationId, body, edit: edits + 1 });
			}
			const emoji = pick(['👍', '❤️', '🎉'], one.where);
			return reactions.set({ conversationId, messageId: id, emoji, on: one.which % 3 > 0 });
		};
		try {
			await attempt();
		} catch (error) {
			// Many of these are not allowed; anything but a refusal is a fault.
			if (!isRefusal(error)) throw error;
		}
	}
}

function isRefusal(error: unknown): boolean {
	if (!(error instanceof TRPCError)) return false;
	if (error.code === 'BAD_REQUEST') return true;
	return error.cause instanceof AppError && !['internal', 'server_busy'].includes(error.cause.code);
}

/** Without a further question of its own: what the streams bring, and what the hubs' sweeps find. */
async function converged(device: Device): Promise<void> {
	const { person } = device;
	await expect
		.poll(
			async () => {
				await device.settle();
				return view(device.replica);
			},
			{ timeout: 5000, interval: 20 }
		)
		.toEqual(await freshView(person));
	for (const [id, from] of device.knownFrom) {
		const state = device.replica.conversations.get(id);
		for (let seq = from + 1; seq <= (state?.lastSeq ?? 0); seq++) {
			expect(state?.messages.get(seq)?.seq, 'a message is missing').toBe(seq);
		}
	}
	for (const [id, { messages, lastSeq }] of device.replica.conversations) {
		for (let before = lastSeq + 1; before > 1; before -= 100) {
			const page = await person.call.messages.page({ conversationId: id, before, limit: 100 });
			for (const message of page.messages) {
				const held = messages.get(message.seq);
				if (held) expect(held, 'a message is not as it is').toEqual(message);
			}
		}
	}
}

async function freshView(person: TestPerson) {
	const { snapshots, personVersion } = await person.call.sync.since({ conversations: {} });
	return view({
		viewerId: person.id,
		personVersion,
		people: new Map(),
		conversations: new Map(snapshots.map((s) => [s.conversation.id, fromSnapshot(s)]))
	});
}

function view({ personVersion, conversations }: Replica) {
	const states = [...conversations].map(([id, state]) => ({
		id,
		conversation: state.conversation,
		version: state.version,
		lastSeq: state.lastSeq,
		lastMessage: state.lastMessage,
		role: state.role,
		readSeq: state.readSeq,
		markedUnread: state.markedUnread
	}));
	return { personVersion, states: states.toSorted((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** Places are dense, and no version was given twice. */
async function checkTables({ services }: TestApp, conversations: string[]): Promise<void> {
	const rows = await services.db.sql<
		{ version: number; last_seq: number; seqs: number[]; versions: number[] }[]
	>`
		select c.version, c.last_seq,
			(select coalesce(array_agg(m.seq::int order by m.seq), '{}')
				from message m where m.conversation_id = c.id) as seqs,
			(select coalesce(array_agg(v.version::int order by v.version), '{}') from (
				select version from message where conversation_id = c.id
				union all select version from member where conversation_id = c.id
				union all select changed from conversation x where x.id = c.id and changed > 0
			) v) as versions
		from conversation c where c.id = any(${conversations}::uuid[])`;
	for (const row of rows) {
		expect(row.seqs).toEqual(Array.from({ length: row.last_seq }, (_, i) => i + 1));
		expect(new Set(row.versions).size).toBe(row.versions.length);
		expect(Math.max(0, ...row.versions)).toBe(row.version);
	}
}

/** Nobody heard a change of a conversation after leaving it, nor any of one never joined. */
async function checkWhoHeard({ services }: TestApp, devices: Device[]): Promise<void> {
	for (const { person, heard } of devices) {
		const rows = await services.db.sql<{ id: string; until: number | null }[]>`
			select conversation_id as id, case when left_at is null then null else version end as until
			from member where person_id = ${person.id}`;
		const until = new Map(rows.map((row) => [row.id, row.until ?? Infinity]));
		for (const { conversationId, changes } of heard) {
			for (const change of changes) {
				const version =
					change.type === 'message.changed'
						? change.message.version
						: change.type === 'member.changed'
							? change.member.version
							: change.conversation.changed;
				expect(version, 'heard what is not theirs').toBeLessThan(until.get(conversationId) ?? 0);
			}
		}
	}
}
