/**
 * A set that mostly has one element, and for that one needs no `Set`: with ten thousand idle streams
 * three of those for each are a twentieth of all their memory (`bench/memory`).
 */
export class Few<T extends object | string> {
	#only: T | undefined;
	#many: Set<T> | undefined;

	get size(): number {
		return this.#many?.size ?? (this.#only === undefined ? 0 : 1);
	}

	has(element: T): boolean {
		return this.#many?.has(element) ?? this.#only === element;
	}

	add(element: T): void {
		if (this.#many) this.#many.add(element);
		else if (this.#only !== undefined && this.#only !== element) {
			this.#many = new Set([this.#only, element]);
			this.#only = undefined;
		} else this.#only = element;
	}

	delete(element: T): void {
		if (this.#many) this.#many.delete(element);
		else if (this.#only === element) this.#only = undefined;
	}

	*[Symbol.iterator](): Iterator<T> {
		if (this.#many) yield* this.#many;
		else if (this.#only !== undefined) yield this.#only;
	}

	/** Without the cost of an iterator for each element. */
	forEach(visit: (element: T) => void): void {
		if (this.#many) this.#many.forEach(visit);
		else if (this.#only !== undefined) visit(this.#only);
	}

	clear(): void {
		this.#only = this.#many = undefined;
	}
}
