import { setTimeout as pause } from 'node:timers/promises';
import { uuidv7 } from 'uuidv7';
import { readEnv } from '../src/env.ts';
import { App } from '../src/lib/server/app.ts';
import type { Sql } from '../src/lib/server/platform/db.ts';
import { CHANNEL } from '../src/lib/server/realtime/doorbell.ts';
import { withContestants } from './lib/contest.ts';
import { withDatabase } from './lib/house.ts';
import { median, quantile, type Measurement } from './lib/measurement.ts';
import { addPairs } from './lib/people.ts';

/** A message that took longer from its arrival to its commit does not count as carried. */
const P99_MS = 20;
const STEP_SECONDS = 1.5;
const STEP = 1.35;
const TRIES = 3;
const CONVERSATIONS = 200;
/** So many that batching shows: each waits for its answer before it goes on. */
const TALKERS = 256;
const ROUNDS = 3;
const ROUND_SECONDS = 3;
const BODY =
	'What somebody writes who has a question, and would like to know the answer before noon.';

type Send = (at: number) => Promise<unknown>;

export async function measureWriting(): Promise<Measurement[]> {
	return [...(await measureWriter()), ...(await measureSending())];
}

/** Through the real procedure over HTTP, beside a chat on Socket.IO and Postgres. */
async function measureSending(): Promise<Measurement[]> {
	return withContestants(
		{ pairs: TALKERS, listening: false, connections: 1 },
		['one', 'together', 'empty', 'peer', 'batched peer'],
		async (contestants) => {
			const rates = new Map(contestants.map((contestant) => [contestant, [] as number[]]));
			const tails = new Map(contestants.map((contestant) => [contestant, [] as number[]]));
			for (let round = 0; round <= ROUNDS; round++) {
				for (const contestant of contestants) {
					const { perSecond, p99 } = await contestant.closed(round === 0 ? 1.5 : ROUND_SECONDS);
					if (round === 0) continue;
					rates.get(contestant)?.push(perSecond);
					tails.get(contestant)?.push(p99);
				}
			}
			const rateOf = (subject: string) =>
				median(rates.get(contestants.find((one) => one.subject === subject)!) ?? []);
			const atLeast = Math.max(1.5 * rateOf('socket.io+postgres'), 0.6 * rateOf('empty-procedure'));
			return contestants.flatMap((contestant) => {
				const { subject, how } = contestant;
				const at = { through: how, talkers: TALKERS };
				return [
					{
						subject,
						metric: 'messages_per_second',
						unit: '1/s',
						value: median(rates.get(contestant) ?? []),
						at,
						...(subject === 'tertulia' && { atLeast })
					},
					{ subject, metric: 'p99', unit: 'ms', value: median(tails.get(contestant) ?? []), at }
				];
			});
		}
	);
}

/** The writer alone, beside the usual way: one transaction for each message. */
async function measureWriter(): Promise<Measurement[]> {
	return withDatabase(async (databaseUrl) => {
		const pairs = await addPairs(databaseUrl, CONVERSATIONS);
		const app = new App(
			readEnv({ NODE_ENV: 'test', DATABASE_URL: databaseUrl, LOG_LEVEL: 'warn' })
		);
		const { db, writer } = app.services;
		const oneTransaction = (at: number) => {
			const { conversationId, id: senderId } = pairs[at % pairs.length]!.talker;
			return db.sql.begin(async (tx) => {
				const [row] = await tx<{ version: number; seq: number }[]>`
					update conversation
					set version = version + 1, last_seq = last_seq + 1, active_at = now()
					where id = ${conversationId}
					returning version, last_seq as seq`;
				const { version, seq } = row!;
				await tx`
					insert into message (id, conversation_id, seq, version, sender_id, body)
					values (${uuidv7()}, ${conversationId}, ${seq}, ${version}, ${senderId}, ${BODY})`;
				await tx`
					select pg_notify(${CHANNEL}, ${`benchmark c:${conversationId}:${version - 1}:1`})`;
			});
		};
		const together = (at: number) => {
			const { conversationId, id: senderId } = pairs[at % pairs.length]!.talker;
			return writer.send({ id: uuidv7(), conversationId, body: BODY }, senderId);
		};
		try {
			await app.services.realtime.listening();
			await useUp(db.sql);
			const measurements: Measurement[] = [];
			for (const conversations of [CONVERSATIONS, 1]) {
				const place = (at: number) => (conversations === 1 ? 0 : at);
				const one = await sustained((at) => oneTransaction(place(at)), 200);
				const many = await sustained((at) => together(place(at)), 3000);
				const what = { metric: 'messages_per_second', unit: '1/s', at: { conversations } };
				measurements.push(
					{ ...what, subject: 'one-transaction', value: one },
					{ ...what, subject: 'writer', value: many, atLeast: 10 * one }
				);
			}
			return measurements;
		} finally {
			await app.close();
		}
	});
}

/**
 * A database that has run for a while writes over the files of its log; a new one has to make them
 * first, and stops for each.
 */
async function useUp(sql: Sql): Promise<void> {
	await sql`
		create table filling as
		select g, repeat('x', 900) as filling from generate_series(1, 300000) g`;
	await sql`checkpoint`;
	await sql`drop table filling`;
	await sql`checkpoint`;
}

/**
 * The highest rate of arrivals at which 99 of 100 messages are committed in time. The rate rises
 * until it has failed a few times, since anything may hold up a single try.
 */
async function sustained(send: Send, beginning: number): Promise<number> {
	await arrivals(send, beginning);
	let best = 0;
	for (let rate = beginning; ; rate *= STEP) {
		let carried = false;
		for (let i = 0; i < TRIES && !carried; i++) carried = await arrivals(send, rate);
		if (!carried) return best;
		best = rate;
	}
}

/** Whether messages that come at this rate (Poisson, come what may) are committed in time. */
async function arrivals(send: Send, rate: number): Promise<boolean> {
	const times: number[] = [];
	const underWay: Promise<unknown>[] = [];
	const began = performance.now();
	const total = Math.ceil(rate * STEP_SECONDS);
	const giveUp = rate / 2;
	let next = 0;
	for (let sent = 0; sent < total && sent - times.length < giveUp;) {
		const elapsed = performance.now() - began;
		for (; sent < total && next <= elapsed; sent++) {
			const due = began + next;
			underWay.push(send(sent).then(() => times.push(performance.now() - due)));
			next -= (Math.log(1 - Math.random()) * 1000) / rate;
		}
		// Not as fast as it can: Postgres has the same two processors.
		await pause(1);
	}
	const inTime = underWay.length === total;
	await Promise.all(underWay);
	await pause(200);
	return inTime && quantile(times.slice(times.length >> 3), 0.99) <= P99_MS;
}
