/**
 * Who is online, told to those who are looking at that person, and to nobody else.
 *
 * A tab says at whom it looks and says so again every half minute; whoever is not looked at costs
 * nothing. What a person may be told is decided by every such call, and whether somebody hides by
 * every reading, so that nothing is told on the strength of what was true a while ago.
 */
import type { LookAnswer, LookInput } from '#lib/shared/presence.ts';
import { LOOK_LEASE_MS } from '#lib/shared/presence.ts';
import { AppError } from '#lib/shared/errors.ts';
import { showPresence } from '../accounts/accounts.ts';
import type { Database, Sql } from '../platform/db.ts';
import type { Clock, Limit, Limiter } from '../platform/limits.ts';
import type { Log } from '../platform/log.ts';
import type { Realtime } from '../realtime/realtime.ts';
import { ENTRY_MS, openOnline, type Look, type Online } from './online.ts';

/** A list that is scrolled asks at most three times a second, and each tab twice a minute. */
const LOOK_LIMIT: Limit = { name: 'look', burst: 90, perMinute: 120 };
/** Tabs of one person that are told at the same time; past that the one longest ago is dropped. */
const LEASES_MAX = 20;
/** A reload is no absence, nor is changing from one network to another. */
const GRACE_MS = 10_000;
/** Renews what this process says of itself, and finds what a lost doorbell hid. */
const ROUND_MS = ENTRY_MS / 3;

interface Lease extends Look {
	/** Milliseconds since any moment. */
	until: number;
}

/** Somebody at whom somebody here looks. */
interface Watched {
	leases: Set<Lease>;
	/** As those who look were told; undefined until it was read here. */
	online: boolean | undefined;
	/** The reading that told it: an earlier one that takes longer changes nothing. */
	readBy: number;
}

export interface PresenceOptions {
	clock?: Clock;
	graceMs?: number;
}

interface Surroundings {
	db: Database;
	log: Log;
	limits: Limiter;
	realtime: Realtime;
	redisUrl: string | undefined;
}

export class Presence {
	readonly #db: Database;
	readonly #log: Log;
	readonly #limits: Limiter;
	readonly #realtime: Realtime;
	readonly #online: Online;
	readonly #now: Clock;
	readonly #graceMs: number;
	readonly #round: NodeJS.Timeout;
	/** Person → tab → what it looks at. */
	readonly #leases = new Map<string, Map<string, Lease>>();
	readonly #watched = new Map<string, Watched>();
	/** People without a stream here who may come back at once. */
	readonly #leaving = new Map<string, NodeJS.Timeout>();
	/** Those about whom the doorbell rang, and who are still to be read. */
	#rung = new Set<string>();
	#reading = false;
	#readings = 0;
	/** What has changed in this turn of the event loop. */
	#untold = new Map<string, boolean>();
	#closed = false;

	constructor(
		{ db, log, limits, realtime, redisUrl }: Surroundings,
		{ clock, graceMs = GRACE_MS }: PresenceOptions = {}
	) {
		this.#db = db;
		this.#log = log;
		this.#limits = limits;
		this.#realtime = realtime;
		this.#now = clock ?? (() => performance.now());
		this.#graceMs = graceMs;
		this.#online = openOnline({
			redisUrl,
			processId: realtime.processId,
			log,
			clock,
			ears: {
				rung: (personIds) => this.#hear(personIds),
				// Kept where it can be told; the process that was asked keeps it in any case.
				looked: (look) => {
					if (look.personIds.length === 0 || realtime.hub.has(look.sessionId)) this.#hold(look);
				}
			}
		});
		realtime.hub.onPerson((personId, became) => {
			if (became === 'here') this.#came(personId);
			else this.#went(personId, became === 'ended' ? 0 : this.#graceMs);
		});
		realtime.metrics.gauge(
			'tertulia_people_online',
			'People with a stream in this process.',
			() => this.#online.size
		);
		realtime.metrics.gauge(
			'tertulia_presence_leases',
			'Tabs whose looking at people this process knows of.',
			() => this.leaseCount
		);
		this.#round = setInterval(() => void this.round(), ROUND_MS);
		this.#round.unref();
	}

	get leaseCount(): number {
		let count = 0;
		for (const tabs of this.#leases.values()) count += tabs.size;
		return count;
	}

	/**
	 * Tells who of them is online, and from now on, for the time of a lease, when that changes.
	 * Somebody of whom the viewer may not know is answered like somebody who is away, and is not
	 * watched: neither the answer nor what follows says that they exist.
	 */
	async look(viewerId: string, sessionId: string, input: LookInput): Promise<LookAnswer> {
		await this.#takeOrRefuse(viewerId);
		const { tab } = input;
		const personIds = await visibleTo(this.#db.sql, viewerId, input.personIds);
		const look = { viewerId, sessionId, tab, personIds };
		this.#hold(look);
		// Before it is read who is online: what changes from now on is told by whoever has the stream.
		await this.#online.share(look);
		const online = await this.#read(personIds);
		return {
			online: personIds.filter((id) => this.#watched.get(id)?.online ?? online.has(id))
		};
	}

	/** Hides the person from now on in all processes, or shows them again. */
	async show(personId: string, shows: boolean): Promise<void> {
		// It makes every process read.
		await this.#takeOrRefuse(personId);
		await showPresence({ db: this.#db }, personId, shows);
		this.#online.ring([personId]);
	}

	/** Run every 20 s: a lost doorbell, or a process that died without a word, costs no more. */
	async round(): Promise<void> {
		if (this.#closed) return;
		const now = this.#now();
		for (const tabs of this.#leases.values()) {
			for (const lease of tabs.values()) if (lease.until <= now) this.#drop(lease);
		}
		try {
			await this.#online.renew();
			await this.#read([...this.#watched.keys()]);
			await this.#dropHiding([...this.#leases.keys()]);
		} catch (error) {
			this.#log.warn({ err: error }, 'Reading who is online failed; trying again.');
		}
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearInterval(this.#round);
		for (const timer of this.#leaving.values()) clearTimeout(timer);
		// Their streams come back to another process.
		await this.#online.close(this.#graceMs);
	}

	async #takeOrRefuse(viewerId: string): Promise<void> {
		const retryAfter = await this.#limits.take(LOOK_LIMIT, viewerId);
		if (retryAfter > 0) throw new AppError('too_many_attempts', { retryAfter });
	}

	#came(personId: string): void {
		clearTimeout(this.#leaving.get(personId));
		this.#leaving.delete(personId);
		this.#online.set(personId, true);
	}

	#went(personId: string, graceMs: number): void {
		if (this.#closed) return;
		const leave = () => {
			this.#leaving.delete(personId);
			this.#online.set(personId, false);
		};
		clearTimeout(this.#leaving.get(personId));
		if (graceMs === 0) return leave();
		this.#leaving.set(personId, setTimeout(leave, graceMs).unref());
	}

	/** In place of what the tab looked at before. */
	#hold(look: Look): void {
		const before = this.#leases.get(look.viewerId)?.get(nameOf(look));
		const lease = { ...look, until: this.#now() + LOOK_LEASE_MS };
		for (const id of lease.personIds) {
			let watched = this.#watched.get(id);
			if (!watched) {
				watched = { leases: new Set(), online: undefined, readBy: 0 };
				this.#watched.set(id, watched);
			}
			watched.leases.add(lease);
		}
		if (before) this.#drop(before);
		if (lease.personIds.length === 0) return;
		const tabs = this.#leases.get(look.viewerId) ?? new Map<string, Lease>();
		this.#leases.set(look.viewerId, tabs);
		tabs.set(nameOf(look), lease);
		for (const oldest of tabs.values()) {
			if (tabs.size <= LEASES_MAX) break;
			this.#drop(oldest);
		}
	}

	#drop(lease: Lease): void {
		const tabs = this.#leases.get(lease.viewerId);
		if (tabs?.get(nameOf(lease)) === lease) tabs.delete(nameOf(lease));
		if (tabs?.size === 0) this.#leases.delete(lease.viewerId);
		for (const id of lease.personIds) {
			const watched = this.#watched.get(id);
			watched?.leases.delete(lease);
			if (watched?.leases.size === 0) this.#watched.delete(id);
		}
	}

	#hear(personIds: string[]): void {
		if (this.#closed) return;
		for (const id of personIds) {
			if (this.#watched.has(id) || this.#leases.has(id)) this.#rung.add(id);
		}
		if (this.#rung.size > 0 && !this.#reading) void this.#readRung();
	}

	/** What rings meanwhile goes together, in the next reading. */
	async #readRung(): Promise<void> {
		this.#reading = true;
		try {
			while (this.#rung.size > 0 && !this.#closed) {
				const ids = [...this.#rung];
				this.#rung = new Set();
				await this.#dropHiding(ids.filter((id) => this.#leases.has(id)));
				await this.#read(
					ids.filter((id) => this.#watched.has(id)),
					'rung'
				);
			}
		} catch (error) {
			// The next round reads them.
			this.#log.warn({ err: error }, 'Reading who is online failed; trying again.');
		} finally {
			this.#reading = false;
		}
	}

	/** Who hides is offline to everybody, whatever their streams say. */
	async #read(personIds: string[], why?: 'rung'): Promise<ReadonlySet<string>> {
		if (personIds.length === 0) return new Set();
		const reading = ++this.#readings;
		const online = await showing(this.#db.sql, await this.#online.among(personIds));
		for (const id of personIds) {
			const watched = this.#watched.get(id);
			if (!watched || watched.readBy > reading) continue;
			const was = watched.online;
			watched.readBy = reading;
			watched.online = online.has(id);
			// What was not read here before may have changed since the answer that another process gave.
			if (was === undefined ? why === 'rung' : was !== watched.online) {
				this.#tell(id, watched.online);
			}
		}
		return online;
	}

	/** Who hides does not see others: from that moment on, and not from their next call. */
	async #dropHiding(viewerIds: string[]): Promise<void> {
		if (viewerIds.length === 0) return;
		const shown = await showing(this.#db.sql, new Set(viewerIds));
		for (const id of viewerIds) {
			if (shown.has(id)) continue;
			for (const lease of [...(this.#leases.get(id)?.values() ?? [])]) {
				this.#drop(lease);
				for (const personId of lease.personIds) {
					const event = { type: 'presence.changed' as const, personId, online: false };
					this.#realtime.hub.tell([lease.sessionId], event);
				}
			}
		}
	}

	#tell(personId: string, online: boolean): void {
		this.#untold.set(personId, online);
		if (this.#untold.size > 1) return;
		setImmediate(() => {
			const untold = this.#untold;
			this.#untold = new Map();
			const now = this.#now();
			for (const [id, isOnline] of untold) {
				const sessions = new Set<string>();
				for (const { sessionId, until } of this.#watched.get(id)?.leases ?? []) {
					if (until > now) sessions.add(sessionId);
				}
				const event = { type: 'presence.changed' as const, personId: id, online: isOnline };
				if (sessions.size > 0) this.#realtime.hub.tell(sessions, event);
			}
		});
	}
}

const nameOf = ({ sessionId, tab }: Look) => `${sessionId} ${tab}`;

/**
 * Those of them of whom the viewer may know whether they are online: who shares a conversation with
 * the viewer now and shows it, while the viewer does too.
 */
async function visibleTo(sql: Sql, viewerId: string, personIds: string[]): Promise<string[]> {
	if (personIds.length === 0) return [];
	const rows = await sql<{ id: string }[]>`
		select p.id from person p
		where p.id = any(${personIds}::uuid[]) and p.id <> ${viewerId} and p.shows_presence
			and exists (select from person where id = ${viewerId} and shows_presence)
			and exists (
				select from member t
				join member v on v.conversation_id = t.conversation_id
					and v.person_id = ${viewerId} and v.left_at is null
				where t.person_id = p.id and t.left_at is null
			)`;
	return rows.map(({ id }) => id);
}

/** Those of them who do not hide. */
async function showing(sql: Sql, personIds: ReadonlySet<string>): Promise<ReadonlySet<string>> {
	if (personIds.size === 0) return personIds;
	const rows = await sql<{ id: string }[]>`
		select id from person where id = any(${[...personIds]}::uuid[]) and shows_presence`;
	return new Set(rows.map(({ id }) => id));
}
