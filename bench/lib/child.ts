import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { Problem } from '../../scripts/lib/problem.ts';

/** A process that takes orders on its standard input and answers each by one line of JSON. */
export class Child {
	readonly #name: string;
	readonly #process: ChildProcessByStdio<Writable, Readable, null>;
	readonly #gone: Promise<unknown>;
	readonly #lines: string[] = [];
	readonly #waiting: ((line: string) => void)[] = [];

	constructor(command: string, args: string[], env: Record<string, string> = {}) {
		this.#name = [command, ...args].map((part) => part.split('/').at(-1)).join(' ');
		this.#process = spawn(command, args, {
			stdio: ['pipe', 'pipe', 'inherit'],
			env: { PATH: process.env.PATH, NODE_ENV: 'production', LOG_LEVEL: 'warn', ...env }
		});
		this.#gone = once(this.#process, 'exit');
		createInterface({ input: this.#process.stdout }).on('line', (line) => {
			const wake = this.#waiting.shift();
			if (wake) wake(line);
			else this.#lines.push(line);
		});
	}

	/** A program of ours, on this very Node. */
	static node(file: string, args: string[] = [], env?: Record<string, string>): Child {
		return new Child(process.execPath, ['--expose-gc', file, ...args], env);
	}

	get pid(): number {
		return this.#process.pid ?? 0;
	}

	/** The next thing it says. */
	async hears<T>(): Promise<T> {
		const line =
			this.#lines.shift() ??
			(await Promise.race([
				new Promise<string>((resolve) => this.#waiting.push(resolve)),
				this.#gone.then(() => {
					throw new Problem(`“${this.#name}” has ended before its time.`);
				})
			]));
		return JSON.parse(line) as T;
	}

	ask<T>(order: string): Promise<T> {
		this.#process.stdin.write(`${order}\n`);
		return this.hears<T>();
	}

	async kill(): Promise<void> {
		this.#process.kill('SIGKILL');
		await this.#gone.catch(() => undefined);
	}
}
