/** One number that a benchmark found out. */
export interface Measurement {
	/** What was measured: `tertulia`, a peer, or the `limit` that nothing can pass. */
	subject: string;
	/** `p50`, `p95`, `max`, `messages_per_second`, `time_per_event` … */
	metric: string;
	unit: string;
	value: number;
	/** Under which circumstances; what is printed as the name of the row. */
	at: Record<string, string | number>;
	/** What was promised, where something was: no more than this … */
	target?: number;
	/** … or no less than this. */
	atLeast?: number;
}

/** One JSON object a line, for machines. */
export function jsonLines(bench: string, measurements: Measurement[]): string {
	return measurements
		.map(({ subject, metric, unit, value, at }) =>
			JSON.stringify({ bench, subject, metric, unit, value: rounded(value), at })
		)
		.join('\n');
}

/** A row for each subject and circumstances, a column for each metric. */
export function table(measurements: Measurement[]): string {
	const metrics = [...new Set(measurements.map(({ metric, unit }) => `${metric} (${unit})`))];
	const rows = new Map<string, { name: string; cells: Map<string, number>; targets: string[] }>();
	for (const { subject, metric, unit, value, at, target, atLeast } of measurements) {
		const name = [subject, ...Object.entries(at).map(circumstance)].join(', ');
		const row = rows.get(name) ?? { name, cells: new Map<string, number>(), targets: [] };
		rows.set(name, row);
		row.cells.set(`${metric} (${unit})`, value);
		if (target !== undefined) row.targets.push(`${metric} < ${shown(target)}`);
		if (atLeast !== undefined) row.targets.push(`${metric} > ${shown(atLeast)}`);
	}
	const hasTargets = [...rows.values()].some(({ targets }) => targets.length > 0);
	const lines = [
		['', ...metrics, ...(hasTargets ? ['target'] : [])],
		...[...rows.values()].map(({ name, cells, targets }) => [
			name,
			...metrics.map((metric) => shown(cells.get(metric))),
			...(hasTargets ? [targets.join(', ')] : [])
		])
	];
	const widths = lines[0]!.map((_, column) =>
		Math.max(...lines.map((line) => (line[column] ?? '').length))
	);
	return lines
		.map((line) =>
			line
				.map((cell, column) =>
					column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)
				)
				.join('   ')
				.trimEnd()
		)
		.join('\n');
}

/** `p50`, `p95` and `max` of times in milliseconds. */
export function distribution(
	times: number[],
	{ target, ...what }: Pick<Measurement, 'subject' | 'at' | 'target'>
): Measurement[] {
	return [
		{ ...what, metric: 'p50', unit: 'ms', value: quantile(times, 0.5), target },
		{ ...what, metric: 'p95', unit: 'ms', value: quantile(times, 0.95), target },
		{ ...what, metric: 'max', unit: 'ms', value: quantile(times, 1), target }
	];
}

export function quantile(values: number[], part: number): number {
	const sorted = values.toSorted((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

export const median = (values: number[]) => quantile(values, 0.5);

/** Words stand for themselves, numbers need the name. */
const circumstance = ([name, value]: [string, string | number]) =>
	typeof value === 'number' ? `${value} ${name}` : value;

const rounded = (value: number) => Number(value.toPrecision(4));
const shown = (value: number | undefined) => (value === undefined ? '' : String(rounded(value)));
