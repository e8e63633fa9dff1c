import { tick } from 'svelte';

const LONG_PRESS_MS = 450;

/**
 * The message that the viewer is at: pointed at, focused, or held. Its menu can be opened. A finger
 * that holds a message opens it.
 */
export class PointedMessage {
	#id = $state<string | null>(null);
	#viewport: HTMLElement | null = null;
	#timer: ReturnType<typeof setTimeout> | undefined;
	/** Held long enough. It opens when the finger lifts, because that closes whatever is open. */
	#held: HTMLElement | null = null;

	get id(): string | null {
		return this.#id;
	}

	/** Attachment of the element that the messages are in. */
	readonly attach = (viewport: HTMLElement) => {
		this.#viewport = viewport;
		const listening = new AbortController();
		const on = <Type extends keyof HTMLElementEventMap>(
			type: Type,
			listener: (event: HTMLElementEventMap[Type]) => void
		) => viewport.addEventListener(type, listener, { signal: listening.signal });
		on('focusin', (event) => this.#focused(event));
		on('pointerleave', ({ pointerType }) => pointerType === 'mouse' && this.#point(null));
		on('pointerdown', (event) => this.#press(event));
		on('pointermove', (event) => this.#glide(event));
		on('pointerup', () => clearTimeout(this.#timer));
		on('pointercancel', () => this.#release());
		on('touchend', (event) => this.#lift(event));
		on('contextmenu', contextMenu);
		return () => {
			listening.abort();
			this.#release();
			this.#viewport = null;
		};
	};

	async openMenu(message: HTMLElement): Promise<void> {
		this.#id = message.dataset['message'] ?? null;
		await tick();
		message.querySelector<HTMLElement>('[aria-haspopup=menu]')?.click();
	}

	/** By the keyboard: what a finger touches has the focus too, and wants no menu. */
	#focused({ target }: FocusEvent): void {
		if (target instanceof Element && target.matches(':focus-visible')) this.#point(target);
	}

	#point(target: EventTarget | null): void {
		// An open menu keeps its message.
		if (this.#viewport?.querySelector(':popover-open')) return;
		this.#id = messageOf(target)?.dataset['message'] ?? null;
	}

	#press({ pointerType, target }: PointerEvent): void {
		this.#release();
		if (pointerType !== 'touch') return;
		this.#id = null;
		const message = messageOf(target);
		if (!message || isControl(target)) return;
		this.#timer = setTimeout(() => {
			navigator.vibrate?.(8);
			this.#held = message;
			this.#id = message.dataset['message'] ?? null;
		}, LONG_PRESS_MS);
	}

	#lift(event: TouchEvent): void {
		const message = this.#held;
		this.#release();
		if (!message) return;
		// Or a click would follow, which takes the focus and closes the menu.
		event.preventDefault();
		void this.openMenu(message);
	}

	/**
	 * Not `pointerover`: that comes as well when the page moves under a mouse at rest, and would take
	 * the menu away from the message that the keyboard is at.
	 */
	#glide({ pointerType, target, movementX, movementY }: PointerEvent): void {
		if (pointerType === 'mouse') this.#point(target);
		else if (Math.abs(movementX) > 2 || Math.abs(movementY) > 2) this.#release();
	}

	#release(): void {
		clearTimeout(this.#timer);
		this.#held = null;
	}
}

/** The phone's own menu of a long press stays where it has something to offer: at links. */
function contextMenu(event: MouseEvent): void {
	const touched = event instanceof PointerEvent && event.pointerType === 'touch';
	if (touched && !isControl(event.target)) event.preventDefault();
}

const messageOf = (target: EventTarget | null) =>
	target instanceof Element ? target.closest<HTMLElement>('[data-message]') : null;

const isControl = (target: EventTarget | null) =>
	target instanceof Element && target.closest('a, button') !== null;
