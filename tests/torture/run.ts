/**
 * `pnpm torture [--short | --minutes N] [--seed N] [--port N]`: processes of the built app are killed,
 * frozen, cut off and lied to while dozens of clients talk, and in the end every client has to show
 * what the database holds. The same seed makes the same plan. A long one goes in rounds of up to five
 * minutes, each with a database and clients of its own. The last line says it all, and so does the
 * exit status.
 */
import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Problem, runScript } from '../../scripts/lib/problem.ts';
import { Random } from '../../scripts/seed/random.ts';
import { openDatabase } from '../../src/lib/server/platform/db.ts';
import { Client } from './client.ts';
import { newWorld, type Device, type World } from './device.ts';
import { House } from './house.ts';
import { FAULTS, planFaults, type Fault, type FaultKind } from './plan.ts';
import { Tab, type Way } from './tab.ts';
import { differenceFrom, judge, KINDS, type Findings } from './verdict.ts';

const SHORT_SECONDS = 75;
/** Longer ones go in rounds, since each client remembers all that it has heard. */
const ROUND_SECONDS = 300;
/** People: those with a client of the torture's own, and those with the browser's. */
const WITH_OWN = 8;
const IN_BROWSERS: Record<Way, number> = { streams: 7, travels: 3, polls: 2 };
/** Of each, in nobody's group but their own. */
const OUTSIDERS = 2;
/** Of each, with a second tab. */
const WITH_TWO = 4;
const ACT_EVERY_MS = 220;
/** For the outboxes to empty, and then for the streams to bring everything. */
const SETTLE_MS = 45_000;
const SHOWN_MAX = 5;

await runScript(async () => {
	const { seed, seconds, port } = readArguments();
	if (!existsSync(path.resolve(import.meta.dirname, '../../build/handler.js'))) {
		throw new Problem('There is no build yet: run “pnpm build” first.');
	}
	const count = Math.ceil(seconds / ROUND_SECONDS);
	if (count === 1) {
		const round = await oneRound(seed, seconds, port);
		process.send?.(round);
		process.exitCode = tell(round, `seed ${seed}`);
		return;
	}
	const rounds: Round[] = [];
	for (let index = 1; index <= count; index++) {
		console.log(`Round ${index} of ${count}.`);
		const round = await childRound(`${seed}.${index}`, seconds / count, port);
		rounds.push(round);
		// Its seed repeats it, without the others.
		if (round.findings > 0) break;
	}
	const sum = (figure: keyof Round) => rounds.reduce((total, round) => total + round[figure], 0);
	process.exitCode = tell(
		{
			findings: sum('findings'),
			acknowledged: sum('acknowledged'),
			crashes: sum('crashes'),
			resets: sum('resets')
		},
		`${rounds.length} rounds of ${count}, seed ${seed}`
	);
});
// Sockets that are kept alive would keep this process, too.
process.exit();

/** What came of it, in figures. */
interface Round {
	findings: number;
	acknowledged: number;
	crashes: number;
	resets: number;
}

/** The exit status. */
function tell({ findings, acknowledged, crashes, resets }: Round, which: string): 0 | 1 {
	const verdict = findings === 0 ? 'Nothing lost, doubled, out of order or overheard' : 'FAILED';
	console.log(
		`${verdict}: ${findings} findings, ${acknowledged} acknowledged, ${crashes} tabs crashed, ${resets} resets, ${which}.`
	);
	return findings === 0 ? 0 : 1;
}

async function oneRound(seed: string, seconds: number, port: number): Promise<Round> {
	console.log(`Torture for ${Math.round(seconds)} s, seed ${seed}.`);
	const house = await House.open(port);
	try {
		if (!house.redisUrl) console.log('There is no redis-server here: without Redis.');
		const outcome = await torture(house, seed, seconds * 1000);
		const { crashes, resets } = outcome.world.tally;
		const { acknowledged } = outcome;
		return { findings: report(outcome), acknowledged, crashes, resets };
	} finally {
		await house.close();
	}
}

/** In a process of its own: what a round has heard is not kept for the next one. */
async function childRound(seed: string, seconds: number, port: number): Promise<Round> {
	const minutes = String(seconds / 60);
	const child = fork(
		import.meta.filename,
		['--minutes', minutes, '--seed', seed, '--port', String(port)],
		{ stdio: 'inherit' }
	);
	let round: Round | undefined;
	child.on('message', (message) => (round = message as Round));
	const [code] = (await once(child, 'exit')) as [number | null];
	if (!round) throw new Problem(`The round with seed ${seed} ended with ${code ?? 'a signal'}.`);
	return round;
}

function readArguments(): { seed: string; seconds: number; port: number } {
	const text = { type: 'string' } as const;
	let values;
	try {
		({ values } = parseArgs({
			options: { short: { type: 'boolean' }, minutes: text, seed: text, port: text }
		}));
	} catch (error) {
		throw new Problem(
			`${(error as Error).message} It is: pnpm torture [--short | --minutes N] [--seed N] [--port N]`
		);
	}
	const minutes = Number(values.minutes ?? 10);
	if (!(minutes > 0)) throw new Problem('--minutes wants a number.');
	return {
		seed: values.seed ?? String(randomInt(1_000_000)),
		seconds: values.short ? SHORT_SECONDS : minutes * 60,
		port: Number(values.port ?? 26_000)
	};
}

interface Outcome {
	findings: Findings;
	messages: number;
	acknowledged: number;
	counts: { edited: number; deleted: number; reacted: number };
	befallen: Map<FaultKind, { times: number; count: number }>;
	world: World;
	heard: number;
}

async function torture(house: House, seed: string, lengthMs: number): Promise<Outcome> {
	const world = newWorld(house.processes.map(({ door }) => door));
	const clients = await gather(world, seed);
	const enough = new AbortController();
	const lives = clients.map((client) => client.live(ACT_EVERY_MS, enough.signal));

	const befallen = await befallAll(house, planFaults(seed, lengthMs), lengthMs);
	enough.abort();
	await Promise.all(lives);
	await house.calm();
	const unsettled = await settle(clients);

	const db = openDatabase(house.databaseUrl, 2);
	const { findings, messages } = await judge(db.sql, world, clients);
	await db.close();
	findings['shown differently'].push(...unsettled);
	findings.other.push(...house.faultsOfOurs);
	for (const client of clients) client.close();
	const acknowledged = clients.flatMap(({ sent }) => sent).filter(({ message }) => message).length;
	const heard = clients.reduce((count, client) => count + client.heard.length, 0);
	const reacted = clients
		.flatMap(({ reacting }) => reacting)
		.filter(({ outcome }) => outcome === 'acknowledged').length;
	const counts = {
		edited: clients.reduce((count, { edited }) => count + edited.length, 0),
		deleted: clients.reduce((count, { deleted }) => count + deleted.length, 0),
		reacted
	};
	return { findings, messages, acknowledged, counts, befallen, world, heard };
}

/** People with a session each, some with two tabs, and one group for all but the outsiders. */
async function gather(world: World, seed: string): Promise<Device[]> {
	const own = Array.from({ length: WITH_OWN }, (_, index) => {
		const name = `person.${index + 1}`;
		return new Client(world, name, new Random(`${name} ${seed}`), { cookie: '' });
	});
	const ways = Object.entries(IN_BROWSERS) as [Way, number][];
	const tabs = ways
		.flatMap(([way, count]) => Array<Way>(count).fill(way))
		.map((way, index) => {
			const name = `${way}.${index + 1}`;
			return new Tab(world, name, new Random(`${name} ${seed}`), way);
		});
	for (const device of [...own, ...tabs]) await device.signUp();
	const friends = [...own.slice(0, -OUTSIDERS), ...tabs.slice(0, -OUTSIDERS)];
	world.people = friends.map(({ personId }) => personId);
	await friends[0]?.found(world.busiest, 'Busiest', world.people.slice(1));
	const seconds = [...own.slice(0, WITH_TWO), ...tabs.slice(0, WITH_TWO)].map((device) => {
		const name = `${device.name}.tab`;
		return device.another(name, new Random(`${name} ${seed}`));
	});
	return [...own, ...tabs, ...seconds];
}

async function befallAll(
	house: House,
	plan: Fault[],
	lengthMs: number
): Promise<Outcome['befallen']> {
	const befallen = new Map(FAULTS.map((kind) => [kind, { times: 0, count: 0 }]));
	const began = performance.now();
	for (const fault of plan) {
		await pause(Math.max(0, fault.at - (performance.now() - began)));
		const count = await house.befall(fault);
		const tally = befallen.get(fault.kind);
		if (!tally || count === 0) continue;
		tally.times++;
		tally.count += count;
	}
	await pause(Math.max(0, lengthMs - (performance.now() - began)));
	return befallen;
}

/** Waits until the outboxes are empty and every device is current; what is not, by name. */
async function settle(clients: Device[]): Promise<string[]> {
	const emptied = performance.now() + SETTLE_MS;
	while (performance.now() < emptied && clients.some((c) => c.waiting > 0 || !c.isListening)) {
		await pause(100);
	}
	const unsettled = clients.flatMap((client) => [
		...(client.waiting > 0 ? [`${client.name} could not send ${client.waiting}`] : []),
		...(client.isListening ? [] : [`${client.name} has no stream`])
	]);
	// Without a question of their own: what the streams bring, and what the hubs' sweeps find.
	const deadline = performance.now() + SETTLE_MS;
	for (const client of clients) {
		for (;;) {
			await client.settle();
			// Its connection may be one of those that were cut in the end.
			const fresh = await client.fresh().catch(() => undefined);
			const difference = fresh ? differenceFrom(fresh, client.replica) : 'It cannot ask.';
			if (difference === undefined) break;
			if (performance.now() > deadline) {
				unsettled.push(`${client.name} does not show what is true. ${difference}`);
				break;
			}
			await pause(200);
		}
		for (const what of await client.amiss()) unsettled.push(`${client.name} ${what}`);
	}
	return unsettled;
}

function report({
	findings,
	messages,
	acknowledged,
	counts,
	befallen,
	world,
	heard
}: Outcome): number {
	const { tally } = world;
	const row = (name: string, figure: string | number) =>
		console.log(`  ${name.padEnd(26)}${figure}`);
	row('messages stored', messages);
	row('sends acknowledged', acknowledged);
	row('edits acknowledged', counts.edited);
	row('deletions acknowledged', counts.deleted);
	row('reactions acknowledged', counts.reacted);
	row('tries, of them again', `${tally.tries}, ${tally.retries}`);
	row('frames and answers heard', heard);
	row('streams opened, polls', `${tally.streams}, ${tally.polls}`);
	row('gaps seen, syncs, resets', `${tally.gaps}, ${tally.syncs}, ${tally.resets}`);
	row('tabs crashed', `${tally.crashes}, with ${tally.leftBehind} messages unsent`);
	row('tunnels', tally.tunnels);
	for (const [kind, { times, count }] of befallen) {
		row(kind, times === count ? times : `${times} (${count} connections)`);
	}
	row('refusals', [...tally.refusals].map(([reason, n]) => `${reason} ${n}`).join(', ') || 'none');
	console.log();
	let count = 0;
	for (const kind of KINDS) {
		const found = findings[kind];
		count += found.length;
		row(kind, found.length);
		for (const one of found.slice(0, SHOWN_MAX)) console.log(`    ${one}`);
	}
	console.log();
	return count;
}
