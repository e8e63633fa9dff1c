/**
 * People who talk and listen, in a process of their own. Takes one line of JSON, `Talk`, then orders,
 * each answered by one line:
 *
 *   closed SECONDS        each talker sends the next message when the last is acknowledged
 *   open RATE SECONDS     messages at a rate, whatever happens to them (Poisson); from click to event
 */
import { createInterface } from 'node:readline';
import { uuidv7 } from 'uuidv7';
import { quantile } from './lib/measurement.ts';
import type { Pair } from './lib/people.ts';
import { listenRaw, RawHttp } from './lib/raw-http.ts';
import { RawSocketIo } from './lib/raw-socket-io.ts';

export interface Talk {
	url: string;
	pairs: Pair[];
	/** How messages go out; `empty` calls a procedure that does nothing. */
	way: 'http' | 'socket.io' | 'empty';
	/** Whether the others listen, and the talkers hear themselves. */
	listening: boolean;
	/** Messages that one request carries. */
	together: number;
	/** Connections that each talker may use at once. */
	connections: number;
}

export interface Spread {
	count: number;
	perSecond: number;
	p50: number;
	p95: number;
	p99: number;
}

interface Way {
	/** Resolves when all of them are acknowledged. */
	send(bodies: string[]): Promise<unknown>;
}

const FILLING = ' What somebody writes who has a question, and would like to know before noon.';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const talk = JSON.parse(String((await lines.next()).value)) as Talk;
let arrivals: number[] = [];
let heard = 0;
const ways = (await Promise.all(talk.pairs.map(open))).flat();
say({ ready: ways.length });

for (let line = await lines.next(); !line.done; line = await lines.next()) {
	const [order, ...amounts] = line.value.split(' ');
	const [first = 0, second = 0] = amounts.map(Number);
	say(order === 'closed' ? await closed(first) : await openLoop(first, second));
}
process.exit();

async function open({ talker, listener }: Pair): Promise<Way[]> {
	const { url, connections } = talk;
	const room = talker.conversationId;
	if (talk.way === 'socket.io') {
		const hear = new RawSocketIo(url, { room }, arrived);
		await hear.opened;
		if (!talk.listening) hear.close();
		const socket = new RawSocketIo(url, { room }, () => {});
		await socket.opened;
		return Array.from({ length: connections }, (): Way => ({
			send: ([body]) => socket.emit('message', { id: uuidv7(), body })
		}));
	}
	if (talk.listening) {
		await listenRaw(url, listener.cookie, arrived);
		await listenRaw(url, talker.cookie, () => {});
	}
	return Array.from({ length: connections }, (): Way => {
		const http = new RawHttp(url, talker.cookie);
		const message = (body: string) => ({ id: uuidv7(), conversationId: room, body });
		if (talk.way === 'empty') return { send: () => http.post('/empty/nothing', '{}') };
		return {
			send: (bodies) =>
				talk.together === 1
					? http.post('/trpc/messages.send', JSON.stringify(message(bodies[0]!)))
					: http.post('/trpc/messages.sendMany', JSON.stringify(bodies.map(message)))
		};
	});
}

function arrived(text: string): void {
	const now = performance.now();
	for (const [, at] of text.matchAll(/clicked at (\d+\.\d+)/g)) {
		heard++;
		arrivals.push(now - Number(at));
	}
}

function clicked(at: number): string {
	return `clicked at ${at.toFixed(3)}${FILLING}`;
}

async function closed(seconds: number): Promise<Spread> {
	const times: number[] = [];
	const began = performance.now();
	const end = began + seconds * 1000;
	await Promise.all(
		ways.map(async (way) => {
			while (performance.now() < end) {
				const sent = performance.now();
				await way.send(Array.from({ length: talk.together }, () => clicked(sent)));
				const took = performance.now() - sent;
				for (let i = 0; i < talk.together; i++) times.push(took);
			}
		})
	);
	return spread(times, performance.now() - began);
}

async function openLoop(rate: number, seconds: number): Promise<Spread> {
	arrivals = [];
	heard = 0;
	const began = performance.now();
	const total = rate * seconds;
	const free = [...ways];
	const due: number[] = [];
	let sent = 0;
	let next = 0;
	const sendDue = () => {
		while (free.length > 0 && due.length > 0) {
			// A random one: else a few conversations would get it all.
			const at = Math.floor(Math.random() * free.length);
			const way = free[at]!;
			free[at] = free.at(-1)!;
			free.pop();
			void way.send([clicked(due.shift()!)]).then(() => {
				free.push(way);
				sendDue();
			});
		}
	};
	while (sent < total) {
		const elapsed = performance.now() - began;
		for (; sent < total && next <= elapsed; sent++) {
			due.push(performance.now());
			next -= (Math.log(1 - Math.random()) * 1000) / rate;
		}
		sendDue();
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	const deadline = performance.now() + 5000;
	while (heard < total && performance.now() < deadline) {
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	// The first tenth warms up.
	return spread(arrivals.slice(Math.floor(arrivals.length / 10)), performance.now() - began);
}

function spread(times: number[], ms: number): Spread {
	return {
		count: times.length,
		perSecond: (times.length * 1000) / ms,
		p50: quantile(times, 0.5),
		p95: quantile(times, 0.95),
		p99: quantile(times, 0.99)
	};
}

function say(answer: object): void {
	process.stdout.write(`${JSON.stringify(answer)}\n`);
}
