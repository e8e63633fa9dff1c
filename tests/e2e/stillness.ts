/**
 * Watches, in the page, that what is read stays where it is. After each frame it looks where the
 * message in the middle of the viewport was and is. It may have moved by what the person scrolled,
 * and by nothing else: a correction that the app makes must undo exactly what it changed.
 */
import type { Locator, Page } from 'playwright';

export interface Stillness {
	frames: number;
	/** The worst move that nobody scrolled, in pixels, and what was going on. */
	worst: number;
	at: string;
	/** Messages in the document at once. */
	most: number;
	/** Corrections that the app made: without any, nothing was tested. */
	corrections: number;
}

interface Watch extends Stillness {
	stop(): void;
}

declare global {
	var stillness: Watch | undefined;
}

export async function watchStillness(timeline: Locator): Promise<void> {
	await timeline.evaluate((viewport) => {
		const watch: Watch = { frames: 0, worst: 0, at: '', most: 0, corrections: 0, stop };
		globalThis.stillness = watch;

		// What the app itself scrolls since the last frame.
		let corrected = 0;
		const { get, set } = Object.getOwnPropertyDescriptor(Element.prototype, 'scrollTop')!;
		const top = () => get!.call(viewport) as number;
		Object.defineProperty(viewport, 'scrollTop', {
			configurable: true,
			get,
			set(value: number) {
				const before = top();
				set!.call(viewport, value);
				if (top() === before) return;
				corrected += top() - before;
				watch.corrections++;
			}
		});

		const middle = () => {
			const { top, height } = viewport.getBoundingClientRect();
			const line = top + height / 2;
			const messages = [...viewport.querySelectorAll<HTMLElement>('[data-message]')];
			watch.most = Math.max(watch.most, messages.length);
			let nearest: HTMLElement | undefined;
			let distance = Infinity;
			for (const message of messages) {
				const box = message.getBoundingClientRect();
				const away = Math.abs(box.top + box.height / 2 - line);
				if (away < distance) [nearest, distance] = [message, away];
			}
			return nearest;
		};
		// By its id: the element itself may be made anew.
		const placeOf = (id: string) => {
			const message = viewport.querySelector(`[data-message="${id}"]`);
			// The lower edge: above the text a name or a line may come and go.
			return message ? message.getBoundingClientRect().bottom : undefined;
		};

		let last: { id: string; place: number; top: number } | undefined;
		const look = () => {
			watch.frames++;
			if (last) {
				const place = placeOf(last.id);
				const scrolled = top() - last.top - corrected;
				const moved = place === undefined ? NaN : place - last.place;
				const shift = Math.abs(moved + scrolled);
				if (!(shift <= watch.worst)) {
					watch.worst = Number.isNaN(shift) ? Infinity : shift;
					watch.at = `${viewport.querySelector(`[data-message="${last.id}"]`)?.textContent}: moved ${moved}, scrolled ${scrolled}, corrected ${corrected}, top ${top()}`;
				}
			}
			corrected = 0;
			const id = middle()?.dataset['message'];
			const place = id === undefined ? id : placeOf(id);
			last = id !== undefined && place !== undefined ? { id, place, top: top() } : undefined;
		};

		// A task of its own right after the frame: layout and the app's corrections are done, and what
		// is measured is what was painted.
		const channel = new MessageChannel();
		channel.port1.onmessage = look;
		let frame = requestAnimationFrame(function next() {
			channel.port2.postMessage(null);
			frame = requestAnimationFrame(next);
		});
		function stop() {
			cancelAnimationFrame(frame);
			channel.port1.close();
			Reflect.deleteProperty(viewport, 'scrollTop');
		}
	});
}

export function endStillness(page: Page): Promise<Stillness> {
	return page.evaluate(() => {
		const { stop, ...seen } = globalThis.stillness!;
		stop();
		return seen;
	});
}
