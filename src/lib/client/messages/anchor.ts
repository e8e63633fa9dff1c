/**
 * Keeps what one reads where it is, whatever happens to the contents: older messages put in above,
 * newer ones below, either end trimmed, a composer that grows, a keyboard that opens.
 *
 * The browser's own scroll anchoring is off (`overflow-anchor: none`): Safari has none, and two that
 * correct the same shift correct it twice. The rule is the same everywhere:
 *
 * - at the very end of the conversation one stays at the end;
 * - anywhere else, the first message in sight keeps its distance from the top of the viewport. Its
 *   lower edge counts, because its upper one moves when a name above the text comes or goes.
 *
 * Changes of the contents: `remember()` before the DOM changes, `restore()` after, before the paint.
 * Changes of size: a ResizeObserver, which runs after layout and before the paint too.
 */
const ITEM = '[data-anchor]';
/** Pixels from the end that still count as the end. */
const NEAR = 4;

interface Landmark {
	element: HTMLElement;
	/** From the top of the viewport to the lower edge of the element, in pixels. */
	offset: number;
}

export class ScrollAnchor {
	#viewport: HTMLElement | null = null;
	#landmarks: Landmark[] = [];
	#pinned = false;
	#lastTop = 0;
	/** Whether the end of the contents is the end of the conversation. */
	readonly #isWhole: () => boolean;
	readonly #onmove: () => void;

	constructor(isWhole: () => boolean, onmove: () => void) {
		this.#isWhole = isWhole;
		this.#onmove = onmove;
	}

	/** True while the end is held on to. */
	get pinned(): boolean {
		return this.#pinned;
	}

	/** Attachment of the element that scrolls; its only child holds the contents. */
	readonly attach = (viewport: HTMLElement) => {
		this.#viewport = viewport;
		const onscroll = () => {
			this.#pinned = this.#atEnd(viewport);
			this.#look(viewport);
			this.#onmove();
		};
		const sizes = new ResizeObserver(() => {
			this.#resized(viewport);
			this.#onmove();
		});
		viewport.addEventListener('scroll', onscroll, { passive: true });
		sizes.observe(viewport);
		if (viewport.firstElementChild) sizes.observe(viewport.firstElementChild);
		return () => {
			viewport.removeEventListener('scroll', onscroll);
			sizes.disconnect();
			this.#viewport = null;
		};
	};

	/** Just before the DOM changes. */
	remember(): void {
		const viewport = this.#viewport;
		if (!viewport) return;
		// Scrolled up since the last scroll event: the end is not wanted any more. Otherwise what we
		// know stays true, although the contents may have outgrown the viewport in this very frame.
		if (this.#pinned && viewport.scrollTop < this.#lastTop - 1) {
			this.#pinned = this.#atEnd(viewport);
		}
		this.#look(viewport);
	}

	/** Just after the DOM has changed. `scrolled`: by how much it was meant to move meanwhile. */
	restore(scrolled = 0): void {
		const viewport = this.#viewport;
		if (!viewport) return;
		if (this.#pinned && this.#isWhole()) return this.toEnd();
		// What was trimmed away cannot guide: the next one that is still there does.
		const landmark = this.#landmarks.find(({ element }) => element.isConnected);
		if (!landmark) return;
		const shift = lowerEdge(landmark.element, viewport) - (landmark.offset - scrolled);
		if (Math.abs(shift) >= 0.5) viewport.scrollTop += shift;
		this.#look(viewport);
	}

	/** To the end, and stay there. */
	toEnd(): void {
		const viewport = this.#viewport;
		if (!viewport) return;
		viewport.scrollTop = viewport.scrollHeight;
		this.#pinned = this.#isWhole();
		this.#look(viewport);
	}

	/** Puts an element at a part (0 to 1) of the height of the viewport. */
	placeAt(element: HTMLElement, part: number): void {
		const viewport = this.#viewport;
		if (!viewport) return;
		const top = element.getBoundingClientRect().top - viewport.getBoundingClientRect().top;
		viewport.scrollTop += top - viewport.clientHeight * part;
		this.#pinned = this.#atEnd(viewport);
		this.#look(viewport);
	}

	/** The messages in sight, from the top. */
	visible(): HTMLElement[] {
		return this.#landmarks.map(({ element }) => element).filter((element) => element.isConnected);
	}

	/** Script may have scrolled in this very frame, whose scroll event comes with the next. */
	#resized(viewport: HTMLElement): void {
		const scrolled = viewport.scrollTop - this.#lastTop;
		if (this.#pinned && scrolled < -1) this.#pinned = this.#atEnd(viewport);
		this.restore(scrolled);
	}

	#atEnd({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean {
		return this.#isWhole() && scrollHeight - scrollTop - clientHeight <= NEAR;
	}

	#look(viewport: HTMLElement): void {
		this.#lastTop = viewport.scrollTop;
		const items = viewport.querySelectorAll<HTMLElement>(ITEM);
		this.#landmarks = [];
		for (let i = firstInSight(items, viewport); i < items.length; i++) {
			const element = items[i];
			if (!element) break;
			const offset = lowerEdge(element, viewport);
			// The one that is cut off by the lower edge still counts as in sight by its top.
			if (offset - element.offsetHeight >= viewport.clientHeight) break;
			this.#landmarks.push({ element, offset });
		}
	}
}

/** They lie one below the other, so halving finds the first whose lower edge is in sight. */
function firstInSight(items: ArrayLike<HTMLElement>, viewport: HTMLElement): number {
	let low = 0;
	let high = items.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const item = items[middle];
		if (item && lowerEdge(item, viewport) <= 0) low = middle + 1;
		else high = middle;
	}
	return low;
}

function lowerEdge(element: HTMLElement, viewport: HTMLElement): number {
	return element.getBoundingClientRect().bottom - viewport.getBoundingClientRect().top;
}
