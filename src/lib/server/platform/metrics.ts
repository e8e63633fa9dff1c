/**
 * What a process tells of itself, in the text format of Prometheus:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * A count is one addition, an observation a search in a dozen numbers: cheap enough for every
 * message. Nothing here may carry a label that people choose (an id, a name, an address): that would
 * tell about them, and grow without bound.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Seconds: from half a millisecond to ten seconds, four steps per power of ten where it matters. */
const DURATIONS = [
	0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
];
const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** One thing that only rises, by the values of at most one label. */
export class Counter {
	readonly #name: string;
	readonly #help: string;
	readonly #label: string | undefined;
	readonly #values = new Map<string, number>();

	constructor(name: string, help: string, label?: string) {
		this.#name = name;
		this.#help = help;
		this.#label = label;
		if (label === undefined) this.#values.set('', 0);
	}

	add(amount = 1, label = ''): void {
		this.#values.set(label, (this.#values.get(label) ?? 0) + amount);
	}

	value(label = ''): number {
		return this.#values.get(label) ?? 0;
	}

	text(): string {
		const lines = [...this.#values].map(
			([value, count]) => `${this.#name}${labels(this.#label, value)} ${count}\n`
		);
		return `${heading(this.#name, this.#help, 'counter')}${lines.join('')}`;
	}
}

/** How often values fell under each bound, by the values of at most one label. */
export class Histogram {
	readonly #name: string;
	readonly #help: string;
	readonly #bounds: readonly number[];
	readonly #label: string | undefined;
	readonly #series = new Map<string, { counts: number[]; sum: number; count: number }>();

	constructor(name: string, help: string, bounds: readonly number[], label?: string) {
		this.#name = name;
		this.#help = help;
		this.#bounds = bounds;
		this.#label = label;
	}

	observe(value: number, label = ''): void {
		let series = this.#series.get(label);
		if (!series) {
			series = { counts: Array<number>(this.#bounds.length + 1).fill(0), sum: 0, count: 0 };
			this.#series.set(label, series);
		}
		let bucket = 0;
		while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
		series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
		series.sum += value;
		series.count++;
	}

	/** Seconds since `began`, which `performance.now()` gave. */
	since(began: number, label?: string): void {
		this.observe((performance.now() - began) / 1000, label);
	}

	count(label = ''): number {
		return this.#series.get(label)?.count ?? 0;
	}

	text(): string {
		const parts = [heading(this.#name, this.#help, 'histogram')];
		for (const [value, { counts, sum, count }] of this.#series) {
			let below = 0;
			for (const [bucket, bound] of [...this.#bounds, '+Inf'].entries()) {
				below += counts[bucket] ?? 0;
				parts.push(`${this.#name}_bucket${labels(this.#label, value, `le="${bound}"`)} ${below}\n`);
			}
			parts.push(`${this.#name}_sum${labels(this.#label, value)} ${sum}\n`);
			parts.push(`${this.#name}_count${labels(this.#label, value)} ${count}\n`);
		}
		return parts.join('');
	}
}

/** Everything that one process counts. */
export class Metrics {
	readonly accepted = new Counter(
		'tertulia_messages_accepted_total',
		'Messages taken into the queue of the writer, repeated ones included.'
	);
	readonly duplicates = new Counter(
		'tertulia_messages_duplicate_total',
		'Repeated sends that were answered from the table, and stored nothing.'
	);
	readonly batches = new Histogram(
		'tertulia_write_batch_messages',
		'Messages that were written in one commit.',
		SIZES
	);
	readonly acceptToCommit = new Histogram(
		'tertulia_accept_to_commit_seconds',
		'From taking a message in to its commit.',
		DURATIONS
	);
	readonly commitToStream = new Histogram(
		'tertulia_commit_to_stream_seconds',
		'From this process learning of a commit to its being written to the streams, by whose commit it was.',
		DURATIONS,
		'from'
	);
	readonly frames = new Counter(
		'tertulia_stream_frames_total',
		'Frames written, once for each stream.'
	);
	readonly events = new Counter(
		'tertulia_stream_changes_total',
		'Changes told in these frames, once for each stream.'
	);
	readonly slowStreams = new Counter(
		'tertulia_streams_cut_total',
		'Streams closed because their reader was too slow.'
	);
	readonly sweepFinds = new Counter(
		'tertulia_sweep_finds_total',
		'Sweeps that found changes which no notification had told of.'
	);
	readonly listening = new Counter(
		'tertulia_listener_reconnections_total',
		'Times that listening to the database had to begin anew.'
	);
	readonly syncBehind = new Histogram(
		'tertulia_sync_behind_changes',
		'Changes that a client which asked for them had missed.',
		[0, ...SIZES, 1000, 10_000]
	);
	readonly resets = new Counter(
		'tertulia_sync_resets_total',
		'Conversations in which a client was too far behind, and had to begin afresh.'
	);
	readonly procedures = new Histogram(
		'tertulia_procedure_seconds',
		'Duration of procedures.',
		DURATIONS,
		'procedure'
	);
	readonly pages = new Histogram(
		'tertulia_page_seconds',
		'Duration of rendering pages.',
		DURATIONS,
		'route'
	);
	readonly errors = new Counter(
		'tertulia_errors_total',
		'Refusals and failures, by the code that the client was told.',
		'code'
	);
	readonly #gauges: { name: string; help: string; read: () => number }[] = [];
	readonly #delay = monitorEventLoopDelay({ resolution: 20 });

	constructor() {
		this.gauge('process_resident_memory_bytes', 'Memory of the process.', () =>
			process.memoryUsage.rss()
		);
		this.gauge('process_cpu_seconds', 'CPU time of the process so far.', () => {
			const { user, system } = process.cpuUsage();
			return (user + system) / 1e6;
		});
		this.gauge(
			'process_start_time_seconds',
			'When the process began.',
			() => performance.timeOrigin / 1000
		);
		this.gauge(
			'nodejs_eventloop_delay_p99_seconds',
			'How late the event loop was since it was last asked, 99th percentile.',
			() => {
				const p99 = this.#delay.percentile(99) / 1e9;
				this.#delay.reset();
				return p99;
			}
		);
		this.#delay.enable();
	}

	/** Something that rises and falls, read when it is asked for. */
	gauge(name: string, help: string, read: () => number): void {
		this.#gauges.push({ name, help, read });
	}

	text(): string {
		const told = Object.values(this)
			.filter((part) => part instanceof Counter || part instanceof Histogram)
			.map((part) => part.text());
		const gauges = this.#gauges.map(
			({ name, help, read }) => `${heading(name, help, 'gauge')}${name} ${read()}\n`
		);
		return [...told, ...gauges].join('');
	}

	close(): void {
		this.#delay.disable();
	}
}

const heading = (name: string, help: string, type: string) =>
	`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

function labels(name: string | undefined, value: string, more = ''): string {
	const pairs = [...(name === undefined ? [] : [`${name}="${escaped(value)}"`]), more];
	const text = pairs.filter((pair) => pair !== '').join(',');
	return text === '' ? '' : `{${text}}`;
}

const escaped = (value: string) =>
	value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

const OWN_NETWORKS = new BlockList();
OWN_NETWORKS.addSubnet('127.0.0.0', 8);
OWN_NETWORKS.addSubnet('10.0.0.0', 8);
OWN_NETWORKS.addSubnet('172.16.0.0', 12);
OWN_NETWORKS.addSubnet('192.168.0.0', 16);
OWN_NETWORKS.addAddress('::1', 'ipv6');
OWN_NETWORKS.addSubnet('fc00::', 7, 'ipv6');

/** What a proxy writes into what it passes on. */
const FORWARDED = ['x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'forwarded', 'via'];

/**
 * Whether somebody may read the metrics. With a token: who says it, from anywhere. Without: who calls
 * this process directly from the same machine or a private network. A proxy calls from there too, on
 * behalf of the whole world, so what was passed on is refused.
 */
export function mayReadMetrics(
	{ headers, socket }: Pick<IncomingMessage, 'headers'> & { socket: { remoteAddress?: string } },
	token: string | undefined
): boolean {
	if (token !== undefined) {
		const said = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
		return timingSafeEqual(digest(said), digest(token));
	}
	if (FORWARDED.some((name) => headers[name] !== undefined)) return false;
	const address = (socket.remoteAddress ?? '').replace(/^::ffff:/i, '').replace(/%.*$/, '');
	if (address === '') return false;
	return OWN_NETWORKS.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

const digest = (text: string) => createHash('sha256').update(text).digest();
