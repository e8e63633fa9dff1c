import { isAboutRows, type Sql } from './db.ts';

/**
 * How far apart statements begin while several ask at a time, so that those who come meanwhile go
 * together. Each statement more takes time of the server and of Postgres when both have least of it
 * (`bench/sync`); one that is full is followed at once.
 */
const APART_MS = 20;
/** A statement that takes longer no longer holds up the next: its connection may be dead. */
const PATIENCE_MS = 100;

interface Question<Thing, Answer> {
	things: Thing[];
	resolve(answers: Answer[]): void;
	reject(error: unknown): void;
}

/**
 * Makes one statement of what many ask at about the same time. `ask` answers each thing, in the order
 * of the things. There is one statement at a time: who asks while none is under way is answered at
 * once, and those who come meanwhile go together, with up to `most` things in all. So every question
 * is answered by a statement that began after it was put, and what one of them has wrong does not
 * fail the others.
 */
export function gathered<Thing, Answer>(
	ask: (sql: Sql, things: Thing[]) => Promise<Answer[]>,
	{ most }: { most: number }
): (sql: Sql, things: Thing[]) => Promise<Answer[]> {
	const gatherings = new WeakMap<Sql, Gathering<Thing, Answer>>();
	return async (sql, things) => {
		if (things.length === 0) return [];
		let gathering = gatherings.get(sql);
		if (!gathering) {
			gathering = new Gathering((gatheredThings) => ask(sql, gatheredThings), most);
			gatherings.set(sql, gathering);
		}
		return gathering.ask(things);
	};
}

class Gathering<Thing, Answer> {
	readonly #ask: (things: Thing[]) => Promise<Answer[]>;
	readonly #most: number;
	#waiting: Question<Thing, Answer>[] = [];
	/** Names the statement under way. */
	#underWay: object | undefined;
	#due = false;
	#notBefore = 0;

	constructor(ask: (things: Thing[]) => Promise<Answer[]>, most: number) {
		this.#ask = ask;
		this.#most = most;
	}

	ask(things: Thing[]): Promise<Answer[]> {
		return new Promise((resolve, reject) => {
			this.#waiting.push({ things, resolve, reject });
			this.#next();
		});
	}

	#next(): void {
		if (this.#due || this.#underWay || this.#waiting.length === 0) return;
		this.#due = true;
		const begin = () => {
			this.#due = false;
			void this.#run(this.#take());
		};
		const wait = this.#notBefore - performance.now();
		if (wait > 0) setTimeout(begin, wait);
		// The others who ask in this turn of the event loop come along.
		else setImmediate(begin);
	}

	/** Whoever has waited longest; at least one, however much that one asks. */
	#take(): Question<Thing, Answer>[] {
		let things = 0;
		const over = this.#waiting.findIndex(
			(question, index) => (things += question.things.length) > this.#most && index > 0
		);
		return this.#waiting.splice(0, over < 0 ? this.#waiting.length : over);
	}

	async #run(questions: Question<Thing, Answer>[]): Promise<void> {
		const isBusy = questions.length > 1 && this.#waiting.length === 0;
		this.#notBefore = isBusy ? performance.now() + APART_MS : 0;
		const turn = {};
		this.#underWay = turn;
		const makeWay = () => {
			if (this.#underWay !== turn) return;
			this.#underWay = undefined;
			this.#next();
		};
		const patience = setTimeout(makeWay, PATIENCE_MS);
		await this.#answer(questions);
		clearTimeout(patience);
		makeWay();
	}

	async #answer(questions: Question<Thing, Answer>[]): Promise<void> {
		try {
			const answers = await this.#ask(questions.flatMap(({ things }) => things));
			let at = 0;
			for (const { things, resolve } of questions) {
				resolve(answers.slice(at, (at += things.length)));
			}
		} catch (error) {
			if (questions.length > 1 && isAboutRows(error)) {
				await Promise.all(questions.map((question) => this.#answer([question])));
			} else for (const { reject } of questions) reject(error);
		}
	}
}
