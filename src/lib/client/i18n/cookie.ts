/**
 * Choices that the server must know before it renders. They are no secrets, so script may write
 * them; `hooks.server.ts` believes only values that it knows.
 */
export function rememberChoice(name: 'locale' | 'theme' | 'timezone', value: string): void {
	const year = 365 * 24 * 60 * 60;
	document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=${year}; samesite=lax`;
}
