/**
 * `pnpm test [vitest's arguments]`: everything, or what is named (`pnpm test src/lib/shared`).
 * Ends on the line `N passed, N failed, N skipped`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { provideChromium } from './lib/chromium.ts';
import { countTests, isWanted, type Count, type VitestReport } from './lib/test-report.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const E2E_FILES = globSync('tests/e2e/**/*.e2e.ts', { cwd: ROOT });

const args = process.argv.slice(2);
const total: Count = { passed: 0, failed: 0, skipped: 0 };
const leftOut: string[] = [];

// Ctrl-C reaches the child as well, which stops what it started; the line at the end still comes.
process.on('SIGINT', () => undefined);

if (E2E_FILES.some((file) => isWanted(file, args))) {
	if (!provideChromium()) leaveOutEndToEnd();
	else if (!build()) leftOut.push('--project=!e2e');
}
runVitest();
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

function leaveOutEndToEnd(): void {
	const list = vitest(['list', '--project=e2e', ...args, '--json'], 'pipe');
	const tests = JSON.parse(list.stdout || '[]') as { name: string }[];
	console.log('\nThere is no Chromium and none could be installed; skipped for that reason:');
	for (const { name } of tests) console.log(`  ${name}`);
	total.skipped += tests.length;
	leftOut.push('--project=!e2e', '--passWithNoTests');
}

/** The size limit fails the run, but the end-to-end tests can still tell more. */
function build(): boolean {
	const handler = path.join(ROOT, 'build/handler.js');
	rmSync(handler, { force: true });
	const { status } = node(['scripts/build.ts'], 'inherit');
	if (status === 0) return true;
	total.failed++;
	console.log('\nThe build failed.');
	return existsSync(handler);
}

function runVitest(): void {
	const folder = mkdtempSync(path.join(tmpdir(), 'tertulia-report-'));
	const report = path.join(folder, 'report.json');
	const { status } = vitest(
		[
			'run',
			'--reporter=default',
			'--reporter=json',
			`--outputFile.json=${report}`,
			...leftOut,
			...args
		],
		'inherit'
	);
	const count = countTests(
		existsSync(report) ? (JSON.parse(readFileSync(report, 'utf8')) as VitestReport) : undefined,
		status
	);
	for (const kind of ['passed', 'failed', 'skipped'] as const) total[kind] += count[kind];
	rmSync(folder, { recursive: true });
}

function vitest(args: string[], stdout: 'inherit' | 'pipe') {
	return node(['node_modules/vitest/vitest.mjs', ...args], stdout);
}

function node(args: string[], stdout: 'inherit' | 'pipe') {
	return spawnSync(process.execPath, args, {
		cwd: ROOT,
		stdio: ['ignore', stdout, 'inherit'],
		encoding: 'utf8'
	});
}
