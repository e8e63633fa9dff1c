/** When the browser has nothing better to do. */
export function idle(): Promise<void> {
	return new Promise((resolve) => {
		if ('requestIdleCallback' in window) requestIdleCallback(() => resolve(), { timeout: 2000 });
		else setTimeout(resolve, 200);
	});
}

/** When the next frame is out, or at once where nobody looks; returns what cancels it. */
export function afterFrame(work: () => void): () => void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const soon = () => (timer = setTimeout(work));
	if (document.visibilityState === 'hidden') soon();
	const frame = timer === undefined ? requestAnimationFrame(soon) : 0;
	return () => {
		cancelAnimationFrame(frame);
		clearTimeout(timer);
	};
}
