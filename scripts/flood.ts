/**
 * `pnpm flood --to NAME [--rate N] [--seconds N] [--url ADDRESS]`: live talk into a group of the
 * running `pnpm dev`, by its demonstration people and over the same procedures as the screen uses.
 * Ctrl-C stops it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { uuidv7 } from 'uuidv7';
import { searchable } from '../src/lib/shared/text.ts';
import { developmentAddress } from './lib/development-database.ts';
import { HttpPerson, refusalOf } from './lib/http-person.ts';
import { Problem, runScript } from './lib/problem.ts';
import { Talk } from './seed/talk.ts';

const USAGE = 'It is: pnpm flood --to "Group name" [--rate N] [--seconds N] [--url ADDRESS]';
/** Requests that may be under way; a server that is slower than the rate is not buried. */
const UNDER_WAY_MAX = 64;
const REPORT_MS = 1000;

interface Order {
	to: string;
	/** Messages a second. */
	rate: number;
	seconds: number;
	url: string;
}

interface Talker {
	name: string;
	person: HttpPerson;
	/** Milliseconds since the epoch until which the server has asked for silence. */
	silentUntil: number;
}

async function readArguments(): Promise<Order> {
	const text = { type: 'string' } as const;
	let values;
	try {
		({ values } = parseArgs({ options: { to: text, rate: text, seconds: text, url: text } }));
	} catch (error) {
		throw new Problem(`${(error as Error).message} ${USAGE}`);
	}
	const rate = Number(values.rate ?? 5);
	const seconds = Number(values.seconds ?? Infinity);
	if (!values.to || !(rate > 0) || !(seconds > 0)) throw new Problem(USAGE);
	const url = values.url?.replace(/\/$/, '') ?? (await developmentAddress());
	return { to: values.to, rate, seconds, url };
}

/** Signs in the demonstration people and finds those who are in the group. */
async function join({ to, url }: Order): Promise<{ conversationId: string; talkers: Talker[] }> {
	const people = await demoPeople(url);
	const groups = new Map<string, { id: string; talkers: Talker[] }>();
	for (const { id, name } of people) {
		const person = new HttpPerson(url);
		await person.call.accounts.signInAsDemo.mutate({ personId: id });
		const { snapshots } = await person.call.sync.since.mutate({ conversations: {} });
		for (const { conversation } of snapshots) {
			if (conversation.name === null) continue;
			const key = searchable(conversation.name);
			const group = groups.get(key) ?? { id: conversation.id, talkers: [] };
			groups.set(key, group);
			group.talkers.push({ name, person, silentUntil: 0 });
		}
	}
	const found = groups.get(searchable(to));
	if (found) return { conversationId: found.id, talkers: found.talkers };
	throw new Problem(
		`The demonstration people have no group “${to}”. They have: ${[...groups.keys()].join(', ')}.`
	);
}

async function demoPeople(url: string) {
	try {
		const people = await new HttpPerson(url).call.accounts.demoPeople.query();
		if (people?.length) return people;
	} catch (error) {
		if (refusalOf(error).reason === 'network') {
			throw new Problem(`Nobody answers at ${url}: start “pnpm dev”, or give --url.`);
		}
		throw error;
	}
	throw new Problem(
		`The server at ${url} has no demonstration people: only “pnpm dev” has (and “pnpm seed” makes them).`
	);
}

class Flood {
	readonly #order: Order;
	readonly #conversationId: string;
	readonly #talkers: Talker[];
	readonly #talk: Talk;
	readonly #underWay = new Set<Promise<void>>();
	readonly #stop = new AbortController();
	/** Milliseconds that the sends of the last second took. */
	#times: number[] = [];
	#sent = 0;
	#slowed = 0;
	readonly #failures = new Map<string, number>();

	constructor(order: Order, conversationId: string, talkers: Talker[]) {
		this.#order = order;
		this.#conversationId = conversationId;
		this.#talkers = talkers;
		this.#talk = new Talk(
			talkers.map(({ name }) => name),
			String(Date.now())
		);
	}

	async run(): Promise<void> {
		const { rate, seconds } = this.#order;
		const began = performance.now();
		process.once('SIGINT', () => this.#stop.abort());
		process.once('SIGTERM', () => this.#stop.abort());
		const reports = setInterval(() => this.#report(began), REPORT_MS);
		try {
			for (let due = 0; due < seconds * 1000; due += 1000 / rate) {
				await this.#waitUntil(began + due);
				if (this.#stop.signal.aborted) break;
				await this.#sendOne();
			}
			await Promise.all(this.#underWay);
		} finally {
			clearInterval(reports);
		}
		this.#report(began);
	}

	async #waitUntil(time: number): Promise<void> {
		const ms = time - performance.now();
		if (ms > 0) await pause(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
	}

	async #sendOne(): Promise<void> {
		if (this.#underWay.size >= UNDER_WAY_MAX) await Promise.race(this.#underWay);
		const { name, body } = this.#talk.next();
		const now = Date.now();
		const talker =
			this.#talkers.find((one) => one.name === name && one.silentUntil <= now) ??
			this.#talkers.find((one) => one.silentUntil <= now);
		if (!talker) {
			this.#slowed++;
			return;
		}
		const sending = this.#send(talker, body).finally(() => this.#underWay.delete(sending));
		this.#underWay.add(sending);
	}

	async #send(talker: Talker, body: string): Promise<void> {
		const began = performance.now();
		try {
			const message = { id: uuidv7(), conversationId: this.#conversationId, body };
			await talker.person.call.messages.send.mutate(message);
			this.#sent++;
			this.#times.push(performance.now() - began);
		} catch (error) {
			const { reason, retryAfter } = refusalOf(error);
			if (retryAfter > 0) {
				this.#slowed++;
				talker.silentUntil = Date.now() + retryAfter * 1000;
				if (reason === 'sending_too_fast') return;
			}
			this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
		}
	}

	#report(began: number): void {
		const seconds = (performance.now() - began) / 1000;
		const median = this.#times.toSorted((a, b) => a - b)[this.#times.length >> 1] ?? 0;
		this.#times = [];
		const failures = [...this.#failures].map(([reason, count]) => `${count} × ${reason}`);
		console.log(
			[
				`${seconds.toFixed(0).padStart(4)} s`,
				`${this.#sent} sent`,
				`${(this.#sent / seconds).toFixed(1)} a second`,
				`${median.toFixed(1)} ms`,
				...(this.#slowed > 0 ? [`${this.#slowed} held back by the limit on sending`] : []),
				...(failures.length > 0 ? [`failed: ${failures.join(', ')}`] : [])
			].join('   ')
		);
	}
}

await runScript(async () => {
	const order = await readArguments();
	const { conversationId, talkers } = await join(order);
	console.log(
		`${talkers.length} people talk in “${order.to}” at ${order.url}, ${order.rate} messages a second. Ctrl-C stops it.`
	);
	await new Flood(order, conversationId, talkers).run();
});
