import { readCorpus, type Line, type Scene } from './corpus.ts';
import { Wording, type Values } from './dialogue.ts';
import { Bag, Random } from './random.ts';

/** Small talk without end, for people by whatever name. */
export class Talk {
	readonly #names: readonly string[];
	readonly #random: Random;
	readonly #wording: Wording;
	readonly #scenes: Bag<Scene>;
	#lines: Line[] = [];
	#values: Values = {};
	#parts = new Map<string, string>();

	constructor(names: readonly string[], seed: string) {
		this.#names = names;
		this.#random = new Random(seed);
		this.#wording = new Wording(this.#random, 'en');
		this.#scenes = new Bag(this.#random, readCorpus('small-talk.txt').get('en') ?? []);
	}

	next(): { name: string; body: string } {
		for (;;) {
			const line = this.#lines.shift();
			if (!line) this.#begin();
			else if (line.kind === 'says') {
				const body = this.#wording.say(line.text, this.#values);
				return { name: this.#parts.get(line.who) ?? '', body };
			}
		}
	}

	#begin(): void {
		this.#lines = [...this.#scenes.draw().lines];
		this.#values = this.#wording.values(Date.now());
		const actors = this.#random.shuffled(this.#names);
		this.#parts = new Map(
			['a', 'b', 'c'].flatMap((part, index) => {
				const actor = actors[index % actors.length];
				return actor === undefined ? [] : [[part, actor] as const];
			})
		);
	}
}
