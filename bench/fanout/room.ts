/** What the servers of the fan-out have in common: one room, and orders on standard input. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { ConversationDelta, StreamEvent } from '../../src/lib/shared/events.ts';

export const ROOM = '01980f3c-7a10-7c44-9d5e-3f2b8a6c1d07';
const MESSAGE = '01980f3c-7a10-7c44-9d5e-3f2b8a6c1d08';
const SENDER = '01980f3c-7a10-7c44-9d5e-3f2b8a6c1d09';
/** Where the room's versions begin, so that all events are equally long. */
export const BEGINNING = 1_000_000;

let version = BEGINNING;

/** The app's own event; in place of the time of day, the microseconds that listeners compare. */
export function nextDelta(): ConversationDelta {
	const base = version++;
	const sentAt = 1e15 + Number(process.hrtime.bigint() / 1000n);
	return {
		conversationId: ROOM,
		base,
		version,
		changes: [
			{
				type: 'message.changed',
				message: {
					id: MESSAGE,
					conversationId: ROOM,
					seq: version,
					version,
					senderId: SENDER,
					sentAt,
					kind: 'text',
					body: 'See you at nine.'
				}
			}
		]
	};
}

export const nextEvent = (): StreamEvent => ({ type: 'conversation.advanced', delta: nextDelta() });

interface Room {
	/** One event to everybody. */
	broadcast(): void;
	streams(): number;
	/** Bytes that the slowest listener has still to read. */
	unread(): number;
}

/** What may be unread before `broadcast` waits: its processor time is asked, not its memory. */
const UNREAD_MAX = 8192;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Opens the server on a port of its own, tells it, and obeys:
 *
 *   memory             what the process holds after collecting garbage
 *   broadcast K        K events, each in a turn of its own: processor and other time
 *   rate R SECONDS     R events a second, however long each takes: how many went out, in what time
 */
export async function serveRoom(server: Server, room: Room): Promise<void> {
	server.keepAliveTimeout = 0;
	server.headersTimeout = 0;
	server.requestTimeout = 0;
	await new Promise<void>((resolve) =>
		server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve)
	);
	say({ port: (server.address() as AddressInfo).port });
	for await (const line of createInterface({ input: process.stdin })) {
		const [order, amount, seconds] = line.split(' ');
		if (order === 'memory') say(await memory(room));
		if (order === 'broadcast') say(await broadcast(room, Number(amount)));
		if (order === 'rate') say(await rate(room, Number(amount), Number(seconds)));
	}
}

async function memory(room: Room): Promise<object> {
	for (let i = 0; i < 3; i++) {
		// Gives back what connecting had needed, as V8 does by itself in a quiet minute.
		(globalThis as { gc?: (how: object) => void }).gc?.({ type: 'major', flavor: 'last-resort' });
		await turn();
	}
	return { rss: process.memoryUsage.rss(), streams: room.streams() };
}

async function broadcast(room: Room, times: number): Promise<object> {
	const cpu = process.cpuUsage();
	const began = performance.now();
	for (let i = 1; i <= times; i++) {
		room.broadcast();
		// The hub writes at the end of the turn.
		await turn();
		await turn();
		if (i % 4 === 0) while (room.unread() > UNREAD_MAX) await turn();
	}
	const used = process.cpuUsage(cpu);
	return { cpuMs: (used.user + used.system) / 1000, ms: performance.now() - began };
}

async function rate(room: Room, perSecond: number, seconds: number): Promise<object> {
	const began = performance.now();
	const total = perSecond * seconds;
	let sent = 0;
	// Twice the time for a server that does not keep up; how far it came says the rest.
	while (sent < total && performance.now() - began < seconds * 2000) {
		const due = Math.min(total, ((performance.now() - began) * perSecond) / 1000);
		for (; sent < due; sent++) room.broadcast();
		await turn();
	}
	return { sent, ms: performance.now() - began };
}

function say(answer: object): void {
	process.stdout.write(`${JSON.stringify(answer)}\n`);
}
