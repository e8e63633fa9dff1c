import { expect, test } from 'vitest';
import { countTests, isWanted } from './test-report.ts';

const report = {
	numPassedTests: 3,
	numFailedTests: 0,
	numPendingTests: 1,
	numTodoTests: 1,
	testResults: [{ status: 'passed', assertionResults: [{}] }]
};

test('tests are counted', () => {
	expect(countTests(report, 0)).toEqual({ passed: 3, failed: 0, skipped: 2 });
});

test('a file that does not load counts as failed', () => {
	const broken = { status: 'failed', assertionResults: [] };
	const withBroken = { ...report, testResults: [...report.testResults, broken] };
	expect(countTests(withBroken, 1)).toEqual({ passed: 3, failed: 1, skipped: 2 });
});

test('a run that died counts as failed, with or without a report', () => {
	expect(countTests(report, null).failed).toBe(1);
	expect(countTests(undefined, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test.each([
	[[], true],
	[['tests/e2e'], true],
	[['./tests/e2e/talk.e2e.ts'], true],
	[['--project', 'e2e'], true],
	[['--project=e2e', '-t', 'two people'], true],
	[['-t', 'two people'], true],
	[['src/lib/shared'], false],
	[['--project=unit'], false],
	[['--project', 'unit', 'tests/e2e'], false]
])('with %j the end-to-end tests run: %s', (args, wanted) => {
	expect(isWanted('tests/e2e/talk.e2e.ts', args)).toBe(wanted);
});
