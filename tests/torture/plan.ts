/** What goes wrong, when and where: all of it follows from the seed. */
import { Bag, Random } from '../../scripts/seed/random.ts';

export const FAULTS = [
	/** `kill -9`, and a new process with a clock of its own. */
	'kill process',
	/** As in a deploy: a polite stop, and a new process. */
	'stop process',
	/** Stopped in its tracks, then going on as if nothing had happened. */
	'freeze process',
	'kill postgres',
	/** One server process of Postgres, which makes it throw out everybody and recover. */
	'kill backend',
	'kill redis',
	/** Notifications of a moment are lost to the processes, whose listeners have to come back. */
	'deafen',
	/** All connections of a process are reset. */
	'cut',
	/** A stream loses bytes, and is cut a moment later. */
	'swallow',
	/** Connections of a process carry nothing for a while, and are cut then. */
	'stall'
] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface Fault {
	/** Milliseconds from the beginning. */
	at: number;
	kind: FaultKind;
	/** The process that it befalls, where it is one. */
	process: number;
	/** How long it lasts, where it does. */
	forMs: number;
	/** How wrong the next process' clock is. */
	skewMs: number;
}

export const PROCESSES = 3;
const EVERY_MS = 1300;
const SKEW_MAX_MS = 600_000;

/** How often each comes in one round; in a round nothing is left out. */
const ROUND: Record<FaultKind, number> = {
	'kill process': 5,
	'stop process': 1,
	'freeze process': 2,
	'kill postgres': 1,
	'kill backend': 1,
	'kill redis': 1,
	deafen: 4,
	cut: 5,
	swallow: 6,
	stall: 2
};

export function planFaults(seed: string, lengthMs: number): Fault[] {
	const random = new Random(`faults ${seed}`);
	const bag = new Bag(
		random,
		FAULTS.flatMap((kind) => Array<FaultKind>(ROUND[kind]).fill(kind))
	);
	const faults: Fault[] = [];
	for (let at = EVERY_MS; ; at += 100 + random.exponential(EVERY_MS)) {
		const fault = {
			at: Math.round(at),
			kind: bag.draw(),
			process: random.whole(0, PROCESSES - 1),
			forMs: random.whole(500, 4000),
			skewMs: random.whole(-SKEW_MAX_MS, SKEW_MAX_MS)
		};
		if (fault.at > lengthMs) return faults;
		faults.push(fault);
	}
}
