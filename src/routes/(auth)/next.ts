/**
 * Where to go after signing in. Only a path of our own: `?next=//evil.example` in a link that
 * somebody sends must not carry a person, just signed in, to a copy of this page.
 */
export function safeNext(next: string | null): string {
	// Browsers read a backslash as a slash and drop control characters before they look.
	if (!next || !/^\/(?![/\\])[^\\\p{Cc}]*$/u.test(next)) return '/';
	const here = 'http://here.invalid';
	if (!URL.canParse(next, here)) return '/';
	const url = new URL(next, here);
	if (url.origin !== here || /^\/sign-(in|up)(\/|$)/.test(url.pathname)) return '/';
	const path = url.pathname + url.search + url.hash;
	// `/.//evil.example` becomes `//evil.example` once its dots are resolved.
	return path.startsWith('//') ? '/' : path;
}
