/**
 * `{@attach tooltip('Search', 'Ctrl K')}`: shows the text beside the element on hover after a
 * moment, and on keyboard focus at once. The element needs a label of its own. There is one tooltip
 * for the page, made when it is first wanted.
 */
import { flushSync, mount } from 'svelte';
import type { Attachment } from 'svelte/attachments';
import { place, type Side } from './place.ts';
import Tooltip from './Tooltip.svelte';

const DELAY = 500;
/** Moving on to the next button shows its tooltip without waiting. */
const WARM = 300;

class Bubble {
	#props = $state<{ text: string; shortcut: string | undefined; element: HTMLElement | undefined }>(
		{
			text: '',
			shortcut: undefined,
			element: undefined
		}
	);
	/** What it is shown for. */
	owner: Element | undefined;
	hiddenAt = 0;

	constructor() {
		mount(Tooltip, { target: document.body, props: this.#props });
		flushSync();
		document.addEventListener('keydown', (event) => event.key === 'Escape' && this.hide());
		document.addEventListener('scroll', () => this.hide(), { capture: true, passive: true });
	}

	show(owner: Element, text: string, shortcut: string | undefined, side: Side): void {
		this.#props.text = text;
		this.#props.shortcut = shortcut;
		this.owner = owner;
		flushSync();
		const { element } = this.#props;
		if (!element) return;
		// Shown anew, so that it lies above a dialog opened since.
		if (element.matches(':popover-open')) element.hidePopover();
		element.showPopover();
		place(element, owner.getBoundingClientRect(), { side, align: 'center', gap: 6 });
	}

	hide(owner = this.owner): void {
		if (!owner || owner !== this.owner) return;
		this.owner = undefined;
		this.hiddenAt = performance.now();
		if (this.#props.element?.matches(':popover-open')) this.#props.element.hidePopover();
	}
}

let bubble: Bubble | undefined;

export function tooltip(
	text: string | undefined,
	shortcut?: string,
	side: Side = 'below'
): Attachment<HTMLElement> {
	return (node) => {
		if (!text) return;
		let timer: ReturnType<typeof setTimeout> | undefined;

		const show = () => {
			bubble ??= new Bubble();
			bubble.show(node, text, shortcut, side);
		};
		const enter = (event: PointerEvent) => {
			// A finger has no hover: its tooltip would stay after the tap.
			if (event.pointerType === 'touch') return;
			const warm = bubble && (bubble.owner || performance.now() - bubble.hiddenAt < WARM);
			timer = setTimeout(show, warm ? 0 : DELAY);
		};
		const focus = () => {
			if (!node.matches(':focus-visible')) return;
			// Not at once: the focus may come back from a popover in the middle of its closing, and then
			// the browser lets no other open.
			timer = setTimeout(show);
		};
		const leave = () => {
			clearTimeout(timer);
			bubble?.hide(node);
		};

		node.addEventListener('pointerenter', enter);
		node.addEventListener('focus', focus);
		for (const end of ['pointerleave', 'pointerdown', 'blur']) node.addEventListener(end, leave);
		return () => {
			leave();
			node.removeEventListener('pointerenter', enter);
			node.removeEventListener('focus', focus);
			for (const end of ['pointerleave', 'pointerdown', 'blur']) {
				node.removeEventListener(end, leave);
			}
		};
	};
}
