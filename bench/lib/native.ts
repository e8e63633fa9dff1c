import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Problem } from '../../scripts/lib/problem.ts';

const SOURCES = path.resolve(import.meta.dirname, '../native');

/** Whether C programs can be made here. */
export const hasCompiler = () => spawnSync('cc', ['--version']).status === 0;

/** Runs `work` with programs of `bench/native` compiled on the spot. */
export async function withPrograms<T>(
	names: string[],
	work: (programs: Record<string, string>) => Promise<T>
): Promise<T> {
	const folder = mkdtempSync(path.join(tmpdir(), 'tertulia-bench-'));
	try {
		const programs: Record<string, string> = {};
		for (const name of names) {
			const program = path.join(folder, name);
			const source = path.join(SOURCES, `${name}.c`);
			const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source], {
				encoding: 'utf8'
			});
			if (status !== 0) throw new Problem(`${source} does not compile:\n${stderr}`);
			programs[name] = program;
		}
		return await work(programs);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}
