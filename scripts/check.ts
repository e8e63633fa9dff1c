/** `pnpm check`: everything that can be said of the code without running it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');

/** Two at a time, the longest first. */
const CHECKS: [name: string, command: string, ...args: string[]][] = [
	['lint', 'eslint', '.', '--max-warnings=0'],
	['types', 'svelte-check', '--fail-on-warnings', '--output=human', '--threshold=warning'],
	['types of the service worker', 'tsc', '--project', 'src/service-worker'],
	['unused code', 'knip', '--no-progress'],
	['formatting', 'prettier', '--check', '--log-level=warn', '.'],
	['import map', 'node', 'scripts/check-imports.ts'],
	['settings in the docs', 'node', 'scripts/docs-env.ts', '--check']
];
const AT_ONCE = 2;

process.env.PATH = `${path.join(ROOT, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}`;

// It writes the types that the others read.
const failed = (await run('SvelteKit’s types', 'svelte-kit', ['sync']))
	? []
	: ['SvelteKit’s types'];
const waiting = [...CHECKS];
await Promise.all(Array.from({ length: AT_ONCE }, work));

console.log(failed.length > 0 ? `\nNot in order: ${failed.join(', ')}.` : '\nAll in order.');
process.exitCode = failed.length > 0 ? 1 : 0;

async function work(): Promise<void> {
	for (let next = waiting.shift(); next; next = waiting.shift()) {
		const [name, command, ...args] = next;
		if (!(await run(name, command, args))) failed.push(name);
	}
}

/** What it says is shown only where it fails, in one piece. */
async function run(name: string, command: string, args: string[]): Promise<boolean> {
	const started = performance.now();
	const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => (said += text));
	}
	const [status] = (await once(child, 'close')) as [number | null];
	const seconds = ((performance.now() - started) / 1000).toFixed(1);
	console.log(`${status === 0 ? '✓' : '✗'} ${name} (${seconds} s)`);
	if (status !== 0) console.log(said.trimEnd());
	return status === 0;
}
