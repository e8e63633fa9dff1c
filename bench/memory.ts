import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Child } from './lib/child.ts';
import { withDatabase, withServer } from './lib/house.ts';
import type { Measurement } from './lib/measurement.ts';
import { addPairs, type Pair } from './lib/people.ts';
import { listenRaw } from './lib/raw-http.ts';
import { measureIdleStreams } from './fanout.ts';

const LOAD = path.join(import.meta.dirname, 'load.ts');
const PAIRS = 100;
const MESSAGES_PER_SECOND = 500;
const STREAMS_PER_SECOND = 20;
const WARM_UP_SECONDS = 20;
const SECONDS = 90;
/** What is done later than the answers is done by then. */
const SETTLE_MS = 3000;

/** What stands still, and what comes and goes. */
export async function measureMemory(): Promise<Measurement[]> {
	return [...(await measureIdleStreams()), ...(await growth())];
}

/**
 * By how much a server grows that has the same work all the time: messages, and streams that open
 * and close. What JavaScript holds after a collection; the operating system's figure follows in steps
 * that are larger than what such a short time can show.
 */
async function growth(): Promise<Measurement[]> {
	return withDatabase(async (databaseUrl) => {
		const pairs = await addPairs(databaseUrl, PAIRS);
		return withServer({ DATABASE_URL: databaseUrl }, async (url) => {
			const load = Child.node(LOAD);
			const talk = { url, way: 'http', pairs, connections: 2, listening: true, together: 1 };
			await load.ask(JSON.stringify(talk));
			const work = async (seconds: number) => {
				const [sent] = await Promise.all([
					load.ask<{ count: number }>(`open ${MESSAGES_PER_SECOND} ${seconds}`),
					comeAndGo(url, pairs, seconds)
				]);
				await pause(SETTLE_MS);
				return sent;
			};
			await work(WARM_UP_SECONDS);
			const before = await held(url);
			await work(SECONDS);
			const after = await held(url);
			await load.kill();
			return [
				{
					subject: 'tertulia',
					metric: 'memory_per_hour',
					unit: 'MiB',
					value: (((after - before) / SECONDS) * 3600) / 1024 ** 2,
					at: {
						messages_per_second: MESSAGES_PER_SECOND,
						streams_opened_per_second: STREAMS_PER_SECOND
					}
				}
			];
		});
	});
}

async function comeAndGo(url: string, pairs: Pair[], seconds: number): Promise<void> {
	const end = performance.now() + seconds * 1000;
	for (let i = 0; performance.now() < end; i++) {
		const { cookie } = pairs[i % pairs.length]!.listener;
		const socket = await listenRaw(url, cookie, () => {});
		await pause(1000 / STREAMS_PER_SECOND);
		socket.destroy();
	}
}

/** Bytes. */
async function held(url: string): Promise<number> {
	const answer = await fetch(`${url}/memory`);
	return Number(await answer.text());
}
