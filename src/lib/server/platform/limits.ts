import { hash } from 'node:crypto';
import type { Log } from './log.ts';
import { PatientRedis } from './redis.ts';

/** `burst` at once, and from then on `perMinute`. */
export interface Limit {
	name: string;
	burst: number;
	perMinute: number;
}

export interface Limiter {
	/**
	 * Takes `cost` out of what the limit allows to `key`: 0, or the seconds (rounded up) until there
	 * is room, and then nothing is taken. A cost above the burst is one of a whole burst.
	 */
	take(limit: Limit, key: string, cost?: number): Promise<number>;
	/** Undoes a `take` whose work turned out not to count. */
	giveBack(limit: Limit, key: string, cost?: number): Promise<void>;
	close(): Promise<void>;
}

/** Milliseconds since the epoch. */
export type Clock = () => number;

/**
 * Counts in Redis, so that all processes count together, or in memory without one. While Redis is
 * away each process counts for itself: too lenient for a while is better than nobody let in.
 */
export function openLimiter(redisUrl: string | undefined, log: Log, clock?: Clock): Limiter {
	const memory = new MemoryLimiter(clock);
	return redisUrl ? new RedisLimiter(redisUrl, memory, log, clock) : memory;
}

/*
 * A token bucket in one number: the time at which it will be full again (the 'virtual scheduling'
 * of ITU-T I.371, known as GCRA). Taking moves it away, and a time in the past is a full bucket,
 * which need not be remembered.
 */
const msPerToken = (limit: Limit) => 60_000 / limit.perMinute;
const capacityMs = (limit: Limit) => limit.burst * msPerToken(limit);
const costMs = (limit: Limit, cost: number) => Math.min(cost, limit.burst) * msPerToken(limit);

/** Rounding of fractions of a millisecond must not cost anybody a second. */
const TOLERANCE_MS = 1;

/** A key may be an e-mail address: it is neither kept nor sent anywhere, and has one length. */
const bucketName = (limit: Limit, key: string) =>
	`limit:${limit.name}:${hash('sha256', key, 'base64url').slice(0, 22)}`;

/** Keys remembered at most, about 20 MB; past that the one longest unused is forgotten. */
const REMEMBERED_MAX = 100_000;

export class MemoryLimiter implements Limiter {
	/** Bucket → when it will be full again, the longest unused first. */
	readonly #fullAt = new Map<string, number>();
	readonly #now: Clock;
	#sweepAt = 1000;

	constructor(clock: Clock = Date.now) {
		this.#now = clock;
	}

	get size(): number {
		return this.#fullAt.size;
	}

	async take(limit: Limit, key: string, cost = 1): Promise<number> {
		const name = bucketName(limit, key);
		const now = this.#now();
		const fullAt = Math.max(this.#fullAt.get(name) ?? now, now) + costMs(limit, cost);
		const wait = fullAt - now - capacityMs(limit);
		if (wait > TOLERANCE_MS) return Math.ceil(wait / 1000);
		this.#remember(name, fullAt, now);
		return 0;
	}

	async giveBack(limit: Limit, key: string, cost = 1): Promise<void> {
		const name = bucketName(limit, key);
		const fullAt = this.#fullAt.get(name);
		if (fullAt !== undefined) this.#remember(name, fullAt - costMs(limit, cost), this.#now());
	}

	async close(): Promise<void> {
		this.#fullAt.clear();
	}

	#remember(name: string, fullAt: number, now: number): void {
		this.#fullAt.delete(name);
		if (fullAt > now) this.#fullAt.set(name, fullAt);
		if (this.#fullAt.size < this.#sweepAt) return;
		for (const [other, time] of this.#fullAt) if (time <= now) this.#fullAt.delete(other);
		for (const oldest of this.#fullAt.keys()) {
			if (this.#fullAt.size <= REMEMBERED_MAX) break;
			this.#fullAt.delete(oldest);
		}
		// Twice what is left, so that sweeping costs nothing worth counting per call.
		this.#sweepAt = Math.max(1000, Math.min(this.#fullAt.size * 2, REMEMBERED_MAX + 1000));
	}
}

/**
 * The same sum, done where all processes meet, and by the clock of that place. A negative cost gives
 * back. Answers the milliseconds to wait.
 */
const TAKE = `
local cost, capacity, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[4])
if not now then
	local time = redis.call('TIME')
	now = time[1] * 1000 + time[2] / 1000
end
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + cost
local wait = full_at - now - capacity
if wait > tolerance then return math.ceil(wait) end
if full_at <= now then
	redis.call('DEL', KEYS[1])
else
	redis.call('SET', KEYS[1], string.format('%.3f', full_at), 'PX', math.ceil(full_at - now))
end
return 0`;

class RedisLimiter implements Limiter {
	readonly #redis: PatientRedis;
	readonly #memory: Limiter;
	readonly #clock: Clock | undefined;

	constructor(url: string, memory: Limiter, log: Log, clock: Clock | undefined) {
		this.#memory = memory;
		this.#clock = clock;
		this.#redis = new PatientRedis(url, log, {
			fails: 'Redis fails: each process counts limits for itself.',
			again: 'Redis answers again: limits are counted together.'
		});
	}

	async take(limit: Limit, key: string, cost = 1): Promise<number> {
		const waitMs = await this.#run(limit, key, costMs(limit, cost));
		return waitMs === null ? this.#memory.take(limit, key, cost) : Math.ceil(waitMs / 1000);
	}

	async giveBack(limit: Limit, key: string, cost = 1): Promise<void> {
		const done = await this.#run(limit, key, -costMs(limit, cost));
		if (done === null) await this.#memory.giveBack(limit, key, cost);
	}

	async close(): Promise<void> {
		this.#redis.close();
		await this.#memory.close();
	}

	/** The milliseconds to wait, or null when Redis cannot be asked. */
	#run(limit: Limit, key: string, ms: number): Promise<number | null> {
		return this.#redis.ask(async (redis) =>
			Number(
				await redis.eval(
					TAKE,
					1,
					bucketName(limit, key),
					ms,
					capacityMs(limit),
					TOLERANCE_MS,
					this.#clock?.() ?? ''
				)
			)
		);
	}
}
