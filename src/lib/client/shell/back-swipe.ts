/**
 * The way back on a phone: a finger that comes in from the edge takes the pane along with it, and
 * lets it fall back or go when it lifts. Pulling is the finger's own motion and stays with reduced
 * motion; the slide that finishes it does not.
 */
const EDGE = 32;
/** Pixels before it is decided whether the finger scrolls or goes back. */
const SLACK = 8;
/** Pixels per millisecond that mean it, however short the way. */
const FLING = 0.4;
const DURATION = 180;

export interface BackSwipe {
	/** Whether there is anywhere to go back to in this layout. */
	enabled(): boolean;
	/** The pane has begun to move: what lies under it must be seen. */
	onstart(): void;
	/** It has come to rest; `went` when it is out of sight and its route is to be left. */
	onend(went: boolean): void;
}

/** Attachment of the pane. */
export function backSwipe(options: BackSwipe) {
	return (pane: HTMLElement) => {
		let start: { x: number; y: number; at: number; id: number } | undefined;
		let moving = false;
		let way = 0;

		const sign = () => (getComputedStyle(pane).direction === 'rtl' ? -1 : 1);
		const fromEdge = (x: number) => (sign() === 1 ? x : innerWidth - x);

		const down = (event: TouchEvent) => {
			const touch = event.touches[0];
			if (!touch || event.touches.length > 1 || !options.enabled()) return;
			if (fromEdge(touch.clientX) > EDGE) return;
			start = { x: touch.clientX, y: touch.clientY, at: event.timeStamp, id: touch.identifier };
			way = 0;
		};

		const move = (event: TouchEvent) => {
			const touch = [...event.touches].find(({ identifier }) => identifier === start?.id);
			if (!start || !touch) return;
			way = Math.max(0, (touch.clientX - start.x) * sign());
			const down = Math.abs(touch.clientY - start.y);
			if (!moving) {
				if (down > SLACK && down > way) {
					start = undefined;
					return;
				}
				if (way < SLACK) return;
				moving = true;
				options.onstart();
			}
			// From here on it is not scrolling.
			if (event.cancelable) event.preventDefault();
			pane.style.translate = `${way * sign()}px 0`;
		};

		const up = (event: TouchEvent) => {
			if (!start) return;
			const speed = way / Math.max(1, event.timeStamp - start.at);
			const goes = moving && event.type === 'touchend' && (way > innerWidth / 2 || speed > FLING);
			start = undefined;
			if (!moving) return;
			moving = false;
			// One that went stays out of sight until its route is left.
			void slide(pane, way * sign(), goes ? innerWidth * sign() : 0).then(() => {
				if (!goes) pane.style.translate = '';
				options.onend(goes);
			});
		};

		pane.addEventListener('touchstart', down, { passive: true });
		pane.addEventListener('touchmove', move, { passive: false });
		pane.addEventListener('touchend', up);
		pane.addEventListener('touchcancel', up);
		return () => {
			pane.removeEventListener('touchstart', down);
			pane.removeEventListener('touchmove', move);
			pane.removeEventListener('touchend', up);
			pane.removeEventListener('touchcancel', up);
		};
	};
}

/** Moves an element from one distance to another; at once where motion is not wanted. */
export async function slide(element: HTMLElement, from: number, to: number): Promise<void> {
	element.style.translate = `${to}px 0`;
	if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
	await element
		.animate(
			{ translate: [`${from}px 0`, `${to}px 0`] },
			{ duration: DURATION, easing: 'cubic-bezier(0.2, 0, 0, 1)' }
		)
		.finished.catch(() => undefined);
}
