import { createSubscriber } from 'svelte/reactivity';

/** The time as the screen needs it: read inside an effect or a template, it ticks each minute. */
class Clock {
	#subscribe = createSubscriber((update) => {
		let timer: ReturnType<typeof setTimeout>;
		const tick = () => {
			update();
			schedule();
		};
		const schedule = () => {
			timer = setTimeout(tick, 60_000 - (Date.now() % 60_000));
		};
		// A laptop that slept wakes up in another hour.
		const wake = () => {
			if (document.visibilityState === 'visible') update();
		};
		schedule();
		document.addEventListener('visibilitychange', wake);
		return () => {
			clearTimeout(timer);
			document.removeEventListener('visibilitychange', wake);
		};
	});

	/** Milliseconds since the epoch. */
	get now(): number {
		this.#subscribe();
		return Date.now();
	}
}

export const clock = new Clock();
