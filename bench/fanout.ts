import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Problem } from '../scripts/lib/problem.ts';
import { Child } from './lib/child.ts';
import { median, type Measurement } from './lib/measurement.ts';
import { hasCompiler, withPrograms } from './lib/native.ts';

type Programs = Record<string, string>;

interface Subject {
	name: 'tertulia' | 'socket.io' | 'ws' | 'limit';
	kind: 'sse' | 'socket.io' | 'ws';
	path: string;
}

const TERTULIA: Subject = { name: 'tertulia', kind: 'sse', path: '/events' };
const SOCKET_IO: Subject = {
	name: 'socket.io',
	kind: 'socket.io',
	path: '/socket.io/?EIO=4&transport=websocket'
};
const SUBJECTS: Subject[] = [
	TERTULIA,
	SOCKET_IO,
	{ name: 'ws', kind: 'ws', path: '/' },
	{ name: 'limit', kind: 'sse', path: '/events' }
];

const STREAMS = [1000, 10_000];
/** Deliveries per round; the rounds of all subjects alternate. */
const DELIVERIES = 200_000;
const ROUNDS = 4;
const FIRST_STREAMS = 1000;
const ROOM = 2000;
const BURST_SECONDS = 2;
/** Past this a burst does not count as delivered in time. */
const BURST_P99_MS = 120;
/** Steps between rates that are tried. */
const BURST_STEP = 1.5;

interface Held {
	/** Bytes. */
	rss: number;
	streams: number;
}

interface Report {
	events: number;
	firstUs: number;
	lastUs: number;
	p50: number;
	p99: number;
	closed: number;
}

/** A server and its listeners, all connected. */
class Room {
	readonly server: Child;
	readonly listeners: Child;

	private constructor(server: Child, listeners: Child) {
		this.server = server;
		this.listeners = listeners;
	}

	static async open(subject: Subject, streams: number, programs: Programs): Promise<Room> {
		const { server, port } = await start(subject, programs);
		return new Room(server, await connect(server, port, subject, streams, programs));
	}

	/** Waits until what was sent has arrived, or nothing arrives any more. */
	async arrived(expected: number): Promise<Report> {
		for (let before = -1; ;) {
			const report = await this.listeners.ask<Report>('report');
			if (report.events >= expected || report.events === before) return report;
			before = report.events;
			await pause(300);
		}
	}

	async close(): Promise<void> {
		await Promise.all([this.listeners.kill(), this.server.kill()]);
	}
}

async function connect(
	server: Child,
	port: number,
	{ kind, path }: Subject,
	streams: number,
	programs: Programs,
	already = 0
): Promise<Child> {
	const listeners = new Child(programs.streams!, [String(port), String(streams), kind, path]);
	await listeners.hears();
	for (let i = 0; i < 100; i++) {
		const { streams: open } = await server.ask<Held>('memory');
		if (open >= already + streams) break;
		await pause(50);
	}
	return listeners;
}

async function start(
	subject: Subject,
	programs: Programs
): Promise<{ server: Child; port: number }> {
	const server =
		subject.name === 'limit'
			? new Child(programs.limit!, [])
			: Child.node(path.resolve(import.meta.dirname, `fanout/${subject.name}.ts`));
	return { server, port: (await server.hears<{ port: number }>()).port };
}

export const measureIdleStreams = () => withCompiler(idleStreams);

export async function measureFanOut(): Promise<Measurement[]> {
	return withCompiler(async (programs) => {
		const measurements: Measurement[] = [];
		for (const streams of STREAMS) measurements.push(...(await timePerEvent(streams, programs)));
		measurements.push(...(await bursts(programs)), ...(await idleStreams(programs)));
		return measurements;
	});
}

/**
 * What an idle stream costs: how much a server grows by so many of them, after a first thousand have
 * warmed it up. It is what the operating system counts, not only what JavaScript holds.
 */
async function idleStreams(programs: Programs): Promise<Measurement[]> {
	const measurements: Measurement[] = [];
	for (const streams of STREAMS) {
		for (const subject of SUBJECTS) {
			const { server, port } = await start(subject, programs);
			const first = await connect(server, port, subject, FIRST_STREAMS, programs);
			const before = await server.ask<Held>('memory');
			const rest = await connect(server, port, subject, streams, programs, FIRST_STREAMS);
			const after = await server.ask<Held>('memory');
			await Promise.all([first.kill(), rest.kill(), server.kill()]);
			measurements.push({
				subject: subject.name,
				metric: 'memory_per_stream',
				unit: 'KiB',
				value: (after.rss - before.rss) / streams / 1024,
				at: { streams },
				...(subject === TERTULIA && { target: 12 })
			});
		}
	}
	return measurements;
}

function withCompiler<T>(work: (programs: Programs) => Promise<T>): Promise<T> {
	if (!hasCompiler()) {
		throw new Problem('The listeners of this benchmark are in C, and there is no cc here.');
	}
	return withPrograms(['streams', 'limit'], work);
}

/** The server's processor time for one event to one stream: it does not see who else is busy. */
async function timePerEvent(streams: number, programs: Programs): Promise<Measurement[]> {
	const rooms = new Map<Subject, Room>();
	const times = new Map<Subject, number[]>();
	try {
		for (const subject of SUBJECTS) rooms.set(subject, await Room.open(subject, streams, programs));
		const events = Math.ceil(DELIVERIES / streams);
		for (let round = 0; round <= ROUNDS; round++) {
			for (const [subject, room] of rooms) {
				const { cpuMs } = await room.server.ask<{ cpuMs: number }>(`broadcast ${events}`);
				await room.arrived(events * streams * (round + 1));
				// The first is for warming up.
				if (round > 0) {
					times.set(subject, [...(times.get(subject) ?? []), (cpuMs * 1000) / events / streams]);
				}
			}
		}
		for (const [{ name }, room] of rooms) {
			const { events: arrived, closed } = await room.listeners.ask<Report>('report');
			const expected = events * streams * (ROUNDS + 1);
			if (arrived < expected || closed > 0) {
				throw new Problem(`${name} delivered ${arrived} of ${expected} events, closing ${closed}.`);
			}
		}
		const time = (subject: Subject) => median(times.get(subject) ?? []);
		const [limit, socketIo] = [SUBJECTS[3]!, SOCKET_IO].map(time);
		return SUBJECTS.map((subject) => ({
			subject: subject.name,
			metric: 'time_per_event',
			unit: 'us',
			value: time(subject),
			at: { streams },
			...(subject === TERTULIA && { target: Math.min(1.6 * limit!, 0.6 * socketIo!) })
		}));
	} finally {
		for (const room of rooms.values()) await room.close();
	}
}

interface Burst {
	perSecond: number;
	p99: number;
}

/**
 * One room of 2,000, messages at a rising rate, until they no longer arrive in time: the last rate
 * that was carried. This app gathers what comes while it is writing; the others send one by one.
 */
async function bursts(programs: Programs): Promise<Measurement[]> {
	const best = new Map<Subject, Burst>();
	for (let round = 0; round < 2; round++) {
		for (const [subject, beginning] of [
			[SOCKET_IO, 20],
			[TERTULIA, 150]
		] as const) {
			const burst = await saturate(subject, beginning, programs);
			if (burst.perSecond > (best.get(subject)?.perSecond ?? 0)) best.set(subject, burst);
		}
	}
	const peer = best.get(SOCKET_IO)?.perSecond ?? 0;
	return [...best].flatMap(([subject, { perSecond, p99 }]) => {
		const what = { subject: subject.name, at: { room: ROOM } };
		return [
			{
				...what,
				metric: 'burst_events_per_second',
				unit: '1/s',
				value: perSecond,
				...(subject === TERTULIA && { atLeast: 10 * peer })
			},
			{ ...what, metric: 'p99', unit: 'ms', value: p99 }
		];
	});
}

async function saturate(subject: Subject, beginning: number, programs: Programs): Promise<Burst> {
	const room = await Room.open(subject, ROOM, programs);
	let best: Burst = { perSecond: 0, p99: NaN };
	try {
		await room.server.ask(`rate ${beginning} 1`);
		for (let rate = beginning; ; rate = Math.ceil(rate * BURST_STEP)) {
			await pause(300);
			await room.listeners.ask('reset');
			const { sent } = await room.server.ask<{ sent: number }>(`rate ${rate} ${BURST_SECONDS}`);
			const { events, firstUs, lastUs, p99, closed } = await room.arrived(sent * ROOM);
			const inTime = sent >= rate * BURST_SECONDS && events === sent * ROOM && closed === 0;
			if (!inTime || p99 > BURST_P99_MS) return best;
			best = { perSecond: events / ((lastUs - firstUs) / 1e6), p99 };
		}
	} finally {
		await room.close();
	}
}
