import { withContestants, type Contestant } from './lib/contest.ts';
import { median, type Measurement } from './lib/measurement.ts';

const SECONDS = 4;
const ROUNDS = 5;
/**
 * As much as it can take, for so long: what is promised is of servers that have been up for a while.
 * While V8 has not compiled what is asked for most, a message takes a third more processor time.
 */
const WARM_UP_SECONDS = 5;
const RATES = [100, 500, 1000];

/** From a sender's click to the event at the receiver, everything stored in between. */
export async function measureLatency(): Promise<Measurement[]> {
	return withContestants(
		{ pairs: 100, listening: true, connections: 2 },
		['one', 'peer', 'batched peer'],
		async (contestants) => {
			const measurements: Measurement[] = [];
			for (const contestant of contestants) await contestant.closed(WARM_UP_SECONDS);
			for (const rate of RATES) {
				const times = new Map<Contestant, { p50: number[]; p95: number[]; p99: number[] }>(
					contestants.map((contestant) => [contestant, { p50: [], p95: [], p99: [] }])
				);
				for (let round = 0; round < ROUNDS; round++) {
					for (const [contestant, { p50, p95, p99 }] of times) {
						const spread = await contestant.open(rate, SECONDS);
						p50.push(spread.p50);
						p95.push(spread.p95);
						p99.push(spread.p99);
					}
				}
				const peer = [...times].find(([{ subject }]) => subject !== 'tertulia')?.[1];
				const targets = targetsAt(rate, median(peer?.p50 ?? []));
				for (const [{ subject, how }, values] of times) {
					for (const metric of ['p50', 'p95', 'p99'] as const) {
						const target = subject === 'tertulia' ? targets[metric] : undefined;
						measurements.push({
							subject,
							metric,
							unit: 'ms',
							value: median(values[metric]),
							at: { messages_per_second: rate, ...(subject !== 'tertulia' && { how }) },
							...(target !== undefined && { target })
						});
					}
				}
			}
			return measurements;
		}
	);
}

function targetsAt(rate: number, peerP50: number): Record<string, number | undefined> {
	if (rate === 100) return { p50: 5, p99: 25 };
	if (rate === 500) return { p50: 1.2 * peerP50 };
	return { p99: 50 };
}
