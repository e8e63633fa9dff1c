import { createContext } from 'svelte';
import { PAGE_OPENED } from '#lib/shared/shell.ts';

/** A page that stays open for days looks so often whether the app has changed. */
const LOOK_EVERY_MS = 60 * 60 * 1000;

/** Keeps the service worker, and knows when it has brought a newer app than the one that runs here. */
export class AppVersion {
	#newer = $state(false);
	#incomplete = $state(false);

	/** The next reload shows another version. */
	get newer(): boolean {
		return this.#newer;
	}

	/**
	 * Code that was asked for late, a dialog's, did not come: the network, or no worker kept it and the
	 * server has another version by now. A browser need not ask again for what has failed once.
	 */
	get incomplete(): boolean {
		return this.#incomplete;
	}

	/** Called once in the browser, in production; returns what stops it. */
	keep(): () => void {
		const stop = new AbortController();
		const { signal } = stop;
		window.addEventListener('vite:preloadError', () => (this.#incomplete = true), { signal });
		this.#keepWorker(signal);
		return () => stop.abort();
	}

	#keepWorker(signal: AbortSignal): void {
		const { serviceWorker } = navigator as { serviceWorker?: ServiceWorkerContainer };
		if (!serviceWorker) return;
		// The first worker takes over too, and brings nothing new.
		let controlled = serviceWorker.controller !== null;
		const takenOver = () => {
			this.#newer = controlled;
			controlled = true;
		};
		serviceWorker.addEventListener('controllerchange', takenOver, { signal });

		serviceWorker.controller?.postMessage(PAGE_OPENED);

		let looked = Date.now();
		const look = () => {
			if (document.visibilityState !== 'visible' || Date.now() - looked < LOOK_EVERY_MS) return;
			looked = Date.now();
			// Without a network there is nothing newer to be had.
			serviceWorker.ready.then((registration) => registration.update()).catch(() => {});
		};
		document.addEventListener('visibilitychange', look, { signal });
		// After the page itself, which needs the line and the processor more.
		if (document.readyState === 'complete') register(serviceWorker);
		else window.addEventListener('load', () => register(serviceWorker), { once: true, signal });
	}
}

/** In development: what a production build at this address has left would answer for the server. */
export function forgetWorkers(): void {
	const { serviceWorker } = navigator as { serviceWorker?: ServiceWorkerContainer };
	void serviceWorker?.getRegistrations().then(async (all) => {
		for (const registration of all) await registration.unregister();
	});
}

function register(serviceWorker: ServiceWorkerContainer): void {
	// Forbidden, or no network: then the app is as it is without one.
	serviceWorker.register('/service-worker.js').catch(() => {});
}

const [useAppVersion, setAppVersion] = createContext<AppVersion>();

export { useAppVersion };

/** Called once, by the root layout. */
export const provideAppVersion = (): AppVersion => setAppVersion(new AppVersion());
