import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import type {
	ConversationChange,
	ConversationDelta,
	PersonChange,
	PersonDelta
} from '#lib/shared/events.ts';
import type { Database, Transaction } from '../platform/db.ts';
import type { Log } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import { Bell } from './bell.ts';
import type { ChangeSource } from './change-source.ts';
import { CHANNEL, decodeRing, encodeRing, type ReceiptRing, type Ring } from './doorbell.ts';
import { Hub, type Advance, type HubOptions } from './hub.ts';

/**
 * How the process hears of others' changes: the real one is Postgres' LISTEN. It goes on trying until
 * it is stopped.
 */
export type Listen = (
	hear: (payload: string) => void,
	/** Called whenever listening has begun, again after an interruption. */
	begun: () => void,
	/** Called when it is interrupted: until it has begun again nothing is heard. */
	lost?: () => void
) => Promise<Listener>;

export interface Listener {
	/** Notifies on the connection that listens: it is awake for the notification anyway. */
	notify(payloads: string[]): Promise<void>;
	stop(): Promise<void>;
}

/** The moving part: changes go in through `write`, and come out at the streams of all processes. */
export class Realtime {
	/** Names this process in its own notifications, which it need not read. */
	readonly processId = randomUUID().slice(0, 8);
	readonly db: Database;
	readonly hub: Hub;
	readonly metrics: Metrics;
	readonly #log: Log;
	readonly #bell: Bell;
	readonly #listener: Promise<Listener>;
	readonly #waiting: (() => void)[] = [];
	readonly #onSessionsEnd: ((ids: string[] | 'any') => void)[] = [];
	readonly #onReceipts: ((receipts: ReceiptRing[]) => void)[] = [];
	#listening = false;
	#interrupted = false;
	/** Rings for nothing. */
	readonly #greeting = `${this.processId} `;
	/** Warns, unless the greeting is heard before. */
	#deaf: NodeJS.Timeout | undefined;

	constructor(
		db: Database,
		source: ChangeSource,
		log: Log,
		listen: Listen,
		options?: HubOptions,
		metrics = new Metrics()
	) {
		this.db = db;
		this.metrics = metrics;
		this.#log = log;
		this.#bell = new Bell(
			this.processId,
			async (payloads) => (await this.#listener).notify(payloads),
			log
		);
		this.hub = new Hub(source, log, options, metrics);
		this.#listener = listen(
			(payload) => this.#hear(payload),
			() => this.#begun(),
			() => this.#lost()
		);
		this.#listener.catch((error: unknown) => log.error({ err: error }, 'Cannot listen.'));
	}

	/** Whether the process hears the others now. */
	get isListening(): boolean {
		return this.#listening;
	}

	/** Resolves when the process hears the others. */
	async listening(): Promise<void> {
		if (!this.#listening) await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}

	/** Passes on what was just committed; the notification has already gone with the commit. */
	publish(advance: Advance): void {
		this.#tellEnds(advance);
		this.hub.publish(advance);
		this.#tellReceipts(advance.receipts);
	}

	/** Passes on what was just committed without a notification: here, then to the other processes. */
	announce(conversations: ConversationDelta[]): void {
		this.hub.publish({ conversations, people: [], sessions: [] });
		this.#bell.ring(conversations);
	}

	/** The same for positions that were moved, of which nothing has a version. */
	announceReceipts(receipts: ReceiptRing[]): void {
		this.#tellReceipts(receipts);
		this.#bell.ringReceipts(receipts);
	}

	/** Tells whose positions were moved, in whichever process; what they are is in the tables. */
	onReceipts(listener: (receipts: ReceiptRing[]) => void): void {
		this.#onReceipts.push(listener);
	}

	/**
	 * Tells, from now on, which sessions have ended or changed their token, in whichever process; or
	 * that it may be any, after some time of hearing nothing.
	 */
	onSessionsEnd(listener: (ids: string[] | 'any') => void): void {
		this.#onSessionsEnd.push(listener);
	}

	async close(withinMs = 0): Promise<void> {
		this.hub.close(withinMs);
		clearTimeout(this.#deaf);
		const listener = await this.#listener.catch(() => undefined);
		await this.#bell.settled();
		await listener?.stop();
		this.metrics.close();
	}

	#tellEnds({ sessions, renewed = [] }: Pick<Ring, 'sessions' | 'renewed'>): void {
		if (sessions.length + renewed.length === 0) return;
		for (const tell of this.#onSessionsEnd) tell([...sessions, ...renewed]);
	}

	#tellReceipts(receipts: ReceiptRing[] = []): void {
		if (receipts.length > 0) for (const tell of this.#onReceipts) tell(receipts);
	}

	#begun(): void {
		this.#listening = true;
		for (const tell of this.#onSessionsEnd) tell('any');
		if (this.#interrupted) {
			this.#interrupted = false;
			this.metrics.listening.add();
			this.#log.info('Listening to the database again.');
		}
		for (const resolve of this.#waiting.splice(0)) resolve();
		void this.#listenToOurselves();
		// What was told while nobody listened.
		void this.hub.sweep();
	}

	/**
	 * A pooler takes in LISTEN, and gives the connection to somebody else: all would seem well, and
	 * come late. So a greeting goes by another connection.
	 */
	async #listenToOurselves(): Promise<void> {
		clearTimeout(this.#deaf);
		this.#deaf = setTimeout(() => {
			this.#log.error(
				'What is notified is not heard here. If DATABASE_URL leads to a pooler, DATABASE_DIRECT_URL has to lead to Postgres itself.'
			);
		}, HEARD_WITHIN_MS).unref();
		await this.db.sql`select pg_notify(${CHANNEL}, ${this.#greeting})`.catch(() => {
			// Postgres cannot be asked, which is told of elsewhere.
			clearTimeout(this.#deaf);
		});
	}

	#lost(): void {
		this.#listening = false;
		clearTimeout(this.#deaf);
		if (this.#interrupted) return;
		this.#interrupted = true;
		this.#log.warn('Listening to the database was interrupted.');
	}

	#hear(payload: string): void {
		const { processId, ring } = decodeRing(payload);
		// What is rung comes back on its own connection in any case; the greeting went by another.
		if (payload === this.#greeting) clearTimeout(this.#deaf);
		if (processId === this.processId) return;
		this.#tellEnds(ring);
		this.hub.ring(ring);
		this.#tellReceipts(ring.receipts);
	}
}

/** Far longer than a notification takes, if it comes. */
const HEARD_WITHIN_MS = 5000;
const LISTEN_AGAIN_MS = 100;
const LISTEN_AGAIN_MAX_MS = 3000;
/** A connection that takes longer to notify is dead, and so deaf too. */
const NOTIFY_PATIENCE_MS = 5000;

/** LISTEN on a connection of its own; a new one, after a growing pause, whenever that one ends. */
export const listenOn =
	(url: string): Listen =>
	async (hear, begun, lost) => {
		let connection: postgres.Sql | undefined;
		let giveUp = () => {};
		let again: NodeJS.Timeout | undefined;
		let stopped = false;
		let failures = 0;

		const begin = () => {
			let ended = false;
			const end = () => {
				if (ended || stopped) return;
				ended = true;
				lost?.();
				void connection?.end({ timeout: 0 });
				const most = Math.min(LISTEN_AGAIN_MAX_MS, LISTEN_AGAIN_MS * 2 ** failures++);
				again = setTimeout(begin, most * (0.5 + Math.random() / 2));
			};
			giveUp = end;
			// Not `sql.listen`, which reconnects too, but does not tell that it is deaf meanwhile.
			const options = {
				max: 1,
				idle_timeout: 0,
				max_lifetime: null,
				fetch_types: false,
				connect_timeout: 10,
				onnotice: () => {},
				onclose: end,
				onnotify: (_channel: string, payload: string) => hear(payload),
				connection: { application_name: 'tertulia-listener' }
			};
			connection = postgres(url, options);
			connection.unsafe(`listen ${CHANNEL}`).then(() => {
				if (ended || stopped) return;
				failures = 0;
				begun();
			}, end);
		};
		begin();
		return {
			async notify(payloads) {
				const sql = connection;
				if (!sql) throw new Error('Not listening yet.');
				const patience = setTimeout(giveUp, NOTIFY_PATIENCE_MS);
				try {
					// There is nothing in it to be made durable.
					const ring = (payload: string) => sql`
						select set_config('synchronous_commit', 'off', true), pg_notify(${CHANNEL}, ${payload})`;
					await Promise.all(payloads.map(ring));
				} finally {
					clearTimeout(patience);
				}
			},
			async stop() {
				stopped = true;
				clearTimeout(again);
				await connection?.end({ timeout: 1 });
			}
		};
	};

/**
 * Runs one durable change: the rows, the versions they take and the notification commit together,
 * then the streams of this process hear of it. Locks are taken in the order conversation, member,
 * person; should two writers meet all the same, the loser is run again, so `work` must have no
 * effect but through its writer.
 */
export async function write<T>(realtime: Realtime, work: (w: Writer) => Promise<T>): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			const { result, advance } = await realtime.db.orm.transaction(async (tx) => {
				const writer = new Writer(tx);
				const result = await work(writer);
				const advance = writer.advance();
				for (const payload of encodeRing(realtime.processId, ringOf(advance))) {
					await tx.execute(sql`select pg_notify(${CHANNEL}, ${payload})`);
				}
				return { result, advance };
			});
			realtime.publish(advance);
			return result;
		} catch (error) {
			if (attempt < 3 && isDeadlock(error)) continue;
			throw error;
		}
	}
}

/** Collects what one transaction changes. */
export class Writer {
	readonly tx: Transaction;
	readonly #conversations = new Map<string, ConversationDelta>();
	readonly #people = new Map<string, PersonDelta>();
	readonly #sessions: string[] = [];
	readonly #renewed: string[] = [];
	readonly #receipts: ReceiptRing[] = [];

	constructor(tx: Transaction) {
		this.tx = tx;
	}

	/**
	 * Takes the next versions of a conversation, and places for messages, under its row lock. Returns
	 * the last ones taken before: the first change has `version + 1`, the first message `seq + 1`.
	 */
	async take(
		conversationId: string,
		{ versions, messages = 0 }: { versions: number; messages?: number }
	): Promise<{ version: number; seq: number }> {
		const [row] = await this.tx.execute<{ version: number; seq: number }>(sql`
			update conversation
			set version = version + ${versions}, last_seq = last_seq + ${messages},
				active_at = case when ${messages} > 0 then now() else active_at end
			where id = ${conversationId}
			returning version - ${versions} as version, last_seq - ${messages} as seq`);
		if (!row) throw new Error('A conversation vanished while it was being changed.');
		return row;
	}

	/** Takes the next version of each person's own line. People are locked in order of id. */
	async takePeople(personIds: string[]): Promise<Map<string, number>> {
		const ids = sql`array[${sql.join(
			personIds.map((id) => sql`${id}::uuid`),
			sql`, `
		)}]`;
		const rows = await this.tx.execute<{ id: string; version: number }>(sql`
			with locked as materialized (
				select id from person where id = any(${ids}) order by id for no key update
			)
			update person set version = person.version + 1 from locked where person.id = locked.id
			returning person.id, person.version`);
		return new Map(rows.map((row) => [row.id, row.version]));
	}

	/** Tells the conversation's members of changes that took the versions after `base`. */
	conversationChanged(
		conversationId: string,
		base: number,
		version: number,
		changes: ConversationChange[]
	): ConversationDelta {
		const before = this.#conversations.get(conversationId);
		const delta = before
			? { ...before, version, changes: [...before.changes, ...changes] }
			: { conversationId, base, version, changes };
		this.#conversations.set(conversationId, delta);
		return delta;
	}

	/** Tells all the devices of one person. */
	personChanged(personId: string, version: number, changes: PersonChange[]): void {
		const before = this.#people.get(personId);
		this.#people.set(
			personId,
			before
				? { ...before, version, changes: [...before.changes, ...changes] }
				: { base: version - 1, version, changes }
		);
	}

	/** How far the person has read has moved, which passes: it takes no version of its own. */
	receiptsChanged(conversationId: string, personId: string): void {
		this.#receipts.push({ conversationId, personId });
	}

	/** The token that this session had is refused from the commit on. */
	renewSession(id: string): void {
		this.#renewed.push(id);
	}

	/** Cuts the streams of sessions that this transaction ends. */
	endSessions(ids: string[]): void {
		this.#sessions.push(...ids);
	}

	advance(): Advance {
		return {
			conversations: [...this.#conversations.values()],
			people: [...this.#people].map(([personId, delta]) => ({ personId, delta })),
			sessions: this.#sessions,
			renewed: this.#renewed,
			receipts: this.#receipts
		};
	}
}

export function ringOf(advance: Advance): Ring {
	return {
		conversations: advance.conversations.map(({ conversationId: id, base, version }) => ({
			id,
			base,
			version
		})),
		people: advance.people.map(({ personId: id, delta: { base, version } }) => ({
			id,
			base,
			version
		})),
		sessions: advance.sessions,
		renewed: advance.renewed ?? [],
		receipts: advance.receipts ?? []
	};
}

export function isDeadlock(error: unknown): boolean {
	const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
	// 40P01 deadlock_detected, 40001 serialization_failure
	return cause instanceof postgres.PostgresError && ['40P01', '40001'].includes(cause.code);
}
