export interface Count {
	passed: number;
	failed: number;
	skipped: number;
}

/** The part that we read of what vitest's JSON reporter writes. */
export interface VitestReport {
	numPassedTests: number;
	numFailedTests: number;
	numPendingTests: number;
	numTodoTests: number;
	testResults: { status: string; assertionResults: unknown[] }[];
}

/** Tests, and what failed without being one: a file that does not load, a run that died. */
export function countTests(report: VitestReport | undefined, exitStatus: number | null): Count {
	const brokenFiles = report?.testResults.filter(
		({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0
	);
	const failed = (report?.numFailedTests ?? 0) + (brokenFiles?.length ?? 0);
	return {
		passed: report?.numPassedTests ?? 0,
		failed: exitStatus !== 0 && failed === 0 ? 1 : failed,
		skipped: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0)
	};
}

/** Whether vitest, given these arguments, would run the file. */
export function isWanted(file: string, args: string[]): boolean {
	const projects = args.flatMap((arg, index) =>
		arg === '--project' ? [args[index + 1] ?? ''] : (/^--project=(.*)$/.exec(arg)?.slice(1) ?? [])
	);
	if (projects.length > 0 && !projects.includes('e2e')) return false;
	// Vitest takes what is not an option as a part of the path.
	const parts = args.filter(
		(arg, index) => !arg.startsWith('-') && !['--project', '-t'].includes(args[index - 1] ?? '')
	);
	return parts.length === 0 || parts.some((part) => file.includes(part.replace(/^\.\//, '')));
}
