/** `pnpm bench [NAME …] [--json]`: measurements that anyone can repeat. See bench/README.md. */
import { parseArgs } from 'node:util';
import { Problem, runScript } from '../scripts/lib/problem.ts';
import { jsonLines, table, type Measurement } from './lib/measurement.ts';
import { measureFanOut } from './fanout.ts';
import { measureLatency } from './latency.ts';
import { measureMemory } from './memory.ts';
import { measureOpening } from './open.ts';
import { measureServing } from './open-server.ts';
import { measureSync } from './sync.ts';
import { measureWriting } from './write.ts';

interface Benchmark {
	what: string;
	measure(): Promise<Measurement[]>;
}

const BENCHMARKS: Record<string, Benchmark> = {
	fanout: {
		what: 'One event to many streams: processor time and memory, and how much a full room takes',
		measure: measureFanOut
	},
	write: {
		what: 'Messages stored: one by one and together, in the database and over HTTP',
		measure: measureWriting
	},
	latency: {
		what: 'From the click of who writes to the event at who reads',
		measure: measureLatency
	},
	sync: {
		what: '5,000 clients with 300 conversations each come back at once',
		measure: measureSync
	},
	memory: {
		what: 'What an idle stream costs, and by how much a server grows that works',
		measure: measureMemory
	},
	open: {
		what: 'From navigation or click to the list and the messages on the screen, in Chromium',
		measure: measureOpening
	},
	'open-server': {
		what: 'Server time to open a conversation of 100,000 messages, and to sync 300 of them',
		measure: measureServing
	}
};

await runScript(async () => {
	const { names, json } = readArguments();
	for (const name of names) {
		const benchmark = BENCHMARKS[name];
		if (!benchmark) {
			throw new Problem(
				`There is no benchmark “${name}”. There are: ${Object.keys(BENCHMARKS).join(', ')}.`
			);
		}
		if (!json) console.log(`\n${name}: ${benchmark.what}\n`);
		const measurements = await benchmark.measure();
		console.log(json ? jsonLines(name, measurements) : table(measurements));
	}
});

function readArguments(): { names: string[]; json: boolean } {
	try {
		const { values, positionals } = parseArgs({
			allowPositionals: true,
			options: { json: { type: 'boolean', default: false } }
		});
		const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
		return { names, json: values.json };
	} catch (error) {
		throw new Problem(`${(error as Error).message} It is: pnpm bench [NAME …] [--json]`);
	}
}
