/**
 * A frame that the service worker kept, but whose code or styles the device has lost (and the server
 * has another version by now, or cannot be asked), would stand there for ever, and with it the picture
 * of the last screen. Then what is kept of this version goes, but for the page `offline` and the
 * styles that it needs, and the page is loaded again: by the server, or as `offline` without it. What
 * went is kept anew when the app is there again (`service-worker/index.ts`).
 *
 * It runs within the frame, as text, like `drawLastScreen`: it may refer to nothing outside of itself.
 */
export function mendFrame(cacheName: string, offline: string): void {
	let isMending = false;

	// A page that goes stops what it was loading.
	addEventListener('pagehide', () => (isMending = true));
	// Before the app has taken over, what fails to be imported is its start: one import leads to all.
	const startFailed = () => {
		if (document.querySelector('#app > [aria-busy]')) void mend(false);
	};
	addEventListener('unhandledrejection', ({ reason }) => {
		// All browsers say so with this word. Whatever else fails must not cost the device its code.
		if (reason instanceof TypeError && /module/i.test(reason.message)) startFailed();
	});
	addEventListener('vite:preloadError', startFailed);
	// It does not bubble.
	addEventListener(
		'error',
		({ target }) => {
			const isSheet = target instanceof HTMLLinkElement && target.rel === 'stylesheet';
			if (isSheet && target.dataset['styles'] !== undefined) void mend(true);
		},
		true
	);

	async function mend(stylesToo: boolean): Promise<void> {
		if (isMending) return;
		isMending = true;
		// Where nothing can be dropped, the same frame would come again, and again.
		await dropKept(stylesToo).catch(() => dropWorker().catch(() => undefined));
		location.reload();
	}

	async function dropKept(stylesToo: boolean): Promise<void> {
		const cache = await caches.open(cacheName);
		const dropped = (await cache.keys()).filter(({ url }) => {
			const path = new URL(url).pathname;
			return path !== offline && (stylesToo || !path.endsWith('.css'));
		});
		await Promise.all(dropped.map((request) => cache.delete(request)));
	}

	/** Only where the server answers: without it, the worker is all that there is. */
	async function dropWorker(): Promise<void> {
		await fetch(location.href, { method: 'HEAD' });
		const worker = await navigator.serviceWorker.getRegistration();
		await worker?.unregister();
	}
}
