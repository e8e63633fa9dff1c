import { CHOICE_CHANGED } from '#lib/shared/shell.ts';

/** `person` is who is signed in: the session's own cookie is not for script to read. */
type Choice = 'locale' | 'theme' | 'timezone' | 'person';

/**
 * Choices that the server must know before it renders. They are no secrets, so script may write
 * them; `hooks.server.ts` believes only values that it knows.
 */
export function rememberChoice(name: Choice, value: string): void {
	const year = 365 * 24 * 60 * 60;
	document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=${year}; samesite=lax`;
	if (name === 'person') return;
	// There is none where the page is not secure.
	const { serviceWorker } = navigator as { serviceWorker?: ServiceWorkerContainer };
	serviceWorker?.controller?.postMessage(CHOICE_CHANGED);
}

/** What the cookie says now; a page that was kept may have been made before. */
export function rememberedChoice(name: Choice): string | undefined {
	const pair = document.cookie.split('; ').find((pair) => pair.startsWith(`${name}=`));
	return pair && decodeURIComponent(pair.slice(name.length + 1));
}
