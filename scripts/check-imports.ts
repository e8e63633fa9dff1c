/** Holds every file under src/ against the import map (see lib/import-rules.ts). */
import { globSync, readFileSync } from 'node:fs';
import { importsOf, violations, zoneOf } from './lib/import-rules.ts';

const files = globSync('src/**/*.{ts,svelte}').map((file) => file.replaceAll('\\', '/'));
const modules = new Map(files.map((file) => [file, importsOf(file, readFileSync(file, 'utf8'))]));

const found = [
	...violations(modules),
	// A file that no rule knows would be free to import anything.
	...files
		.filter((file) => zoneOf(file) === 'elsewhere' && !file.endsWith('.d.ts'))
		.map((file) => `${file} has no place on the map: see scripts/lib/import-rules.ts`)
];
for (const line of found) console.error(line);
process.exitCode = found.length > 0 ? 1 : 0;
