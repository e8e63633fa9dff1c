import path from 'node:path';
import type { Spread, Talk } from '../load.ts';
import { Child } from './child.ts';
import { withDatabase, withRedis, withServer } from './house.ts';
import { addPairs } from './people.ts';

const LOAD = path.resolve(import.meta.dirname, '../load.ts');

/** This app and its peers, each with people who talk and listen. */
export interface Contestant {
	subject: string;
	/** What sets it apart from another row of the same subject. */
	how: string;
	closed(seconds: number): Promise<Spread>;
	open(rate: number, seconds: number): Promise<Spread>;
}

type Row = 'one' | 'together' | 'empty' | 'peer' | 'batched peer';

interface Rules extends Pick<Talk, 'listening' | 'connections'> {
	pairs: number;
}

/** All on one Postgres and one machine, at work by turns. */
export async function withContestants<T>(
	rules: Rules,
	rows: Row[],
	work: (contestants: Contestant[]) => Promise<T>
): Promise<T> {
	return withDatabase((databaseUrl) =>
		withRedis(async (redisUrl) => {
			const pairs = await addPairs(databaseUrl, rules.pairs);
			const env = { DATABASE_URL: databaseUrl };
			const peerEnv = { ...env, ...(redisUrl && { REDIS_URL: redisUrl }) };
			return withServer(env, (app) =>
				withServer(
					peerEnv,
					(peer) =>
						withServer(
							{ ...peerEnv, BATCHED: '1' },
							async (batchedPeer) => {
								const talk = { ...rules, pairs, together: 1 };
								const all: Record<Row, [string, string, Talk]> = {
									one: ['tertulia', 'one a request', { ...talk, url: app, way: 'http' }],
									together: [
										'tertulia',
										`${TOGETHER} a request`,
										{ ...talk, url: app, way: 'http', together: TOGETHER }
									],
									empty: ['empty-procedure', 'one a request', { ...talk, url: app, way: 'empty' }],
									peer: [
										'socket.io+postgres',
										'as documented',
										{ ...talk, url: peer, way: 'socket.io' }
									],
									'batched peer': [
										'socket.io+postgres',
										'with batching',
										{ ...talk, url: batchedPeer, way: 'socket.io' }
									]
								};
								const contestants: Talker[] = [];
								try {
									for (const row of rows) {
										const [subject, how, talk] = all[row];
										contestants.push(await Talker.start(subject, how, talk));
									}
									return await work(contestants);
								} finally {
									for (const contestant of contestants) await contestant.stop();
								}
							},
							PEER
						),
					PEER
				)
			);
		})
	);
}

const PEER = 'peers/chat.ts';
/** What an outbox sends at once after a moment without a network. */
const TOGETHER = 10;

class Talker implements Contestant {
	readonly subject: string;
	readonly how: string;
	readonly #load: Child;

	private constructor(subject: string, how: string, load: Child) {
		this.subject = subject;
		this.how = how;
		this.#load = load;
	}

	static async start(subject: string, how: string, talk: Talk): Promise<Talker> {
		const load = Child.node(LOAD);
		await load.ask(JSON.stringify(talk));
		return new Talker(subject, how, load);
	}

	closed(seconds: number): Promise<Spread> {
		return this.#load.ask(`closed ${seconds}`);
	}

	open(rate: number, seconds: number): Promise<Spread> {
		return this.#load.ask(`open ${rate} ${seconds}`);
	}

	stop(): Promise<void> {
		return this.#load.kill();
	}
}
