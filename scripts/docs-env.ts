/**
 * `pnpm docs:env`: writes docs/configuration.md from the settings in src/env.ts. With `--check` it
 * only says whether the file is what it would write.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { variables } from '../src/env.ts';
import { Problem, runScript } from './lib/problem.ts';

const FILE = path.resolve(import.meta.dirname, '../docs/configuration.md');

const PREFACE = `<!-- Written by “pnpm docs:env” from src/env.ts; change it there. -->

# Configuration

Tertulia is configured by environment variables alone. An empty one counts as not set. What is
wrong is said at the start, one line per setting, and nothing is started then.

| setting | default | what |
| --- | --- | --- |
`;

await runScript(() => {
	const wanted = PREFACE + Object.entries(variables).map(row).join('');
	if (!process.argv.includes('--check')) {
		writeFileSync(FILE, wanted);
	} else if (!existsSync(FILE) || readFileSync(FILE, 'utf8') !== wanted) {
		throw new Problem('docs/configuration.md is not what src/env.ts says: run “pnpm docs:env”.');
	}
});

function row([name, { description, schema, shownDefault }]: [
	string,
	(typeof variables)[keyof typeof variables]
]): string {
	const value = schema.safeParse(undefined).data;
	const fallback = shownDefault ?? (value === undefined ? 'none' : `\`${plain(value)}\``);
	return `| \`${name}\` | ${fallback} | ${description} |\n`;
}

function plain(value: string | number | boolean): string | number {
	return typeof value === 'boolean' ? Number(value) : value;
}
