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
	/** What was promised, where something was. */
	target?: number;
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
	const rows = new Map<string, { name: string; cells: Map<string, number>; target?: number }>();
	for (const { subject, metric, unit, value, at, target } of measurements) {
		const name = [subject, ...Object.values(at)].join(', ');
		const row = rows.get(name) ?? { name, cells: new Map<string, number>() };
		rows.set(name, row);
		row.cells.set(`${metric} (${unit})`, value);
		row.target ??= target;
	}
	const hasTargets = measurements.some(({ target }) => target !== undefined);
	const lines = [
		['', ...metrics, ...(hasTargets ? ['target'] : [])],
		...[...rows.values()].map(({ name, cells, target }) => [
			name,
			...metrics.map((metric) => shown(cells.get(metric))),
			...(hasTargets ? [target === undefined ? '' : `< ${target}`] : [])
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
	const sorted = times.toSorted((a, b) => a - b);
	const quantile = (part: number) =>
		sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
	return [
		{ ...what, metric: 'p50', unit: 'ms', value: quantile(0.5), target },
		{ ...what, metric: 'p95', unit: 'ms', value: quantile(0.95), target },
		{ ...what, metric: 'max', unit: 'ms', value: quantile(1), target }
	];
}

const rounded = (value: number) => Number(value.toPrecision(4));
const shown = (value: number | undefined) => (value === undefined ? '' : String(rounded(value)));
