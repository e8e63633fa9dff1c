/** The languages that Tertulia speaks, and which of them a visitor gets. */
export const locales = ['en', 'es'] as const;

export type Locale = (typeof locales)[number];

export const isLocale = (value: unknown): value is Locale =>
	(locales as readonly unknown[]).includes(value);

/**
 * The person's own choice (the cookie) comes first, then the browser's wishes in their order of
 * preference (RFC 9110 §12.5.4), then English.
 */
export function negotiateLocale(acceptLanguage: string | null, cookie: string | undefined): Locale {
	if (isLocale(cookie)) return cookie;
	return wishes(acceptLanguage ?? '').find(isLocale) ?? 'en';
}

/** Primary language tags, most wanted first; `q=0` means 'not this one'. */
function wishes(header: string): string[] {
	return header
		.split(',')
		.map((part) => {
			const [tag = '', ...parameters] = part
				.trim()
				.toLowerCase()
				.split(/\s*;\s*/);
			const q = parameters.find((p) => p.startsWith('q='));
			const weight = q ? Number(q.slice(2)) : 1;
			return { language: tag.split('-')[0] ?? '', weight: Number.isNaN(weight) ? 0 : weight };
		})
		.filter(({ weight }) => weight > 0)
		.sort((a, b) => b.weight - a.weight)
		.map(({ language }) => language);
}

/** The time zone that the browser told us in a cookie, if it is one at all; else UTC. */
export function knownTimeZone(cookie: string | undefined): string {
	if (!cookie || !/^[\w+-]+(\/[\w+-]+){0,2}$/.test(cookie)) return 'UTC';
	try {
		new Intl.DateTimeFormat('en', { timeZone: cookie });
		return cookie;
	} catch {
		return 'UTC';
	}
}
