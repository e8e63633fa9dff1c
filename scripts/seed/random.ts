/** Chance that can be repeated: the same seed gives the same numbers on every machine. */
export class Random {
	#state: number;

	constructor(seed: string) {
		// FNV-1a
		let hash = 0x811c9dc5;
		for (let i = 0; i < seed.length; i++) {
			hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
		}
		this.#state = hash >>> 0;
	}

	/** From 0 up to, and without, 1 (mulberry32). */
	next(): number {
		this.#state = (this.#state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	}

	/** A whole number, both ends included. */
	whole(from: number, to: number): number {
		return from + Math.floor(this.next() * (to - from + 1));
	}

	chance(probability: number): boolean {
		return this.next() < probability;
	}

	/** Mostly small, now and then large; `mean` on average. */
	exponential(mean: number): number {
		return -Math.log(1 - this.next()) * mean;
	}

	pick<T>(from: readonly T[]): T {
		const picked = from[Math.floor(this.next() * from.length)];
		if (picked === undefined) throw new Error('There is nothing to pick from.');
		return picked;
	}

	shuffled<T>(from: readonly T[]): T[] {
		return from
			.map((value) => ({ value, place: this.next() }))
			.toSorted((a, b) => a.place - b.place)
			.map(({ value }) => value);
	}

	/** A UUIDv7 of that time. */
	uuid(time: number): string {
		const hex = (bits: number) => Math.floor(this.next() * 2 ** bits).toString(16);
		const stamp = Math.floor(time).toString(16).padStart(12, '0');
		const a = hex(12).padStart(3, '0');
		const b = (0x8000 + Math.floor(this.next() * 0x4000)).toString(16);
		const c = hex(24).padStart(6, '0') + hex(24).padStart(6, '0');
		return `${stamp.slice(0, 8)}-${stamp.slice(8)}-7${a}-${b}-${c}`;
	}
}

/** Gives everything once, in some order, before anything twice. */
export class Bag<T> {
	readonly #random: Random;
	readonly #all: readonly T[];
	#left: T[] = [];

	constructor(random: Random, all: readonly T[]) {
		this.#random = random;
		this.#all = all;
	}

	draw(): T {
		if (this.#left.length === 0) this.#left = this.#random.shuffled(this.#all);
		const drawn = this.#left.pop();
		if (drawn === undefined) throw new Error('The bag is empty.');
		return drawn;
	}
}
