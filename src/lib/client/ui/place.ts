/**
 * Puts something that floats (in the top layer, `position: fixed`) beside what it belongs to, and
 * keeps it on the screen. Sides and alignment are logical: `start` is the right in Arabic.
 */
export type Side = 'above' | 'below';
export type Align = 'start' | 'center' | 'end';

const EDGE = 8;

export function place(
	floating: HTMLElement,
	anchor: DOMRect,
	{ side = 'below', align = 'start', gap = 4 }: { side?: Side; align?: Align; gap?: number } = {}
): void {
	const { offsetWidth: width, offsetHeight: height } = floating;
	const screen = document.documentElement;
	const room = {
		above: anchor.top - gap - EDGE,
		below: window.innerHeight - anchor.bottom - gap - EDGE
	};
	const other = side === 'above' ? 'below' : 'above';
	const chosen = room[side] < height && room[other] > room[side] ? other : side;
	const top = chosen === 'above' ? anchor.top - gap - height : anchor.bottom + gap;

	const leftToRight = getComputedStyle(floating).direction !== 'rtl';
	const byLeftEdge = align === 'start' ? leftToRight : !leftToRight;
	const left =
		align === 'center'
			? anchor.left + (anchor.width - width) / 2
			: byLeftEdge
				? anchor.left
				: anchor.right - width;

	floating.style.top = `${between(EDGE, top, window.innerHeight - height - EDGE)}px`;
	floating.style.left = `${between(EDGE, left, screen.clientWidth - width - EDGE)}px`;
}

function between(least: number, value: number, most: number): number {
	return Math.max(least, Math.min(value, most));
}
