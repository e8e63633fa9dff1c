/**
 * Times and numbers in words. Every function takes the locale and the time zone, because the server
 * renders for somebody who is elsewhere, and both must say the same. Moments are milliseconds since
 * the epoch.
 */
import type { Locale } from '#lib/shared/locale.ts';

export interface Place {
	locale: Locale;
	/** An IANA name, such as `Europe/Madrid`. */
	timeZone: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Building an Intl formatter costs tens of microseconds, a timeline needs hundreds. */
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(
	{ locale, timeZone }: Place,
	options: Intl.DateTimeFormatOptions
): Intl.DateTimeFormat {
	const key = `${locale} ${timeZone} ${JSON.stringify(options)}`;
	let found = formatters.get(key);
	if (!found) {
		found = new Intl.DateTimeFormat(REGION[locale], { timeZone, ...options });
		formatters.set(key, found);
	}
	return found;
}

/** Day before month and a 24-hour clock, as most of those who write either language do. */
const REGION: Record<Locale, string> = { en: 'en-GB', es: 'es-ES' };

/** `14:05` */
export function formatTime(at: number, place: Place): string {
	return formatter(place, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);
}

/** `2026-05-03`: the same for all moments of one day where the reader is. For grouping. */
export function dayKey(at: number, place: Place): string {
	const parts = formatter(place, { year: 'numeric', month: '2-digit', day: '2-digit' })
		.formatToParts(at)
		.reduce<Record<string, string>>((all, { type, value }) => ({ ...all, [type]: value }), {});
	return `${parts['year']}-${parts['month']}-${parts['day']}`;
}

/** The separator of days: `Today`, `Yesterday`, `Monday`, `12 May`, `12 May 2024`. */
export function formatDay(at: number, now: number, place: Place): string {
	const days = daysBetween(at, now, place);
	if (days === 0 || days === 1) return capital(relative(place.locale, 'auto').format(-days, 'day'));
	if (days > 1 && days < 7) return capital(formatter(place, { weekday: 'long' }).format(at));
	return formatDate(at, now, place, 'long');
}

/** In the list: `14:05` today, then `Yesterday`, `Mon`, `12 May`, `12/05/2024`. */
export function formatListTime(at: number, now: number, place: Place): string {
	const days = daysBetween(at, now, place);
	if (days <= 0) return formatTime(at, place);
	if (days === 1) return capital(relative(place.locale, 'auto').format(-1, 'day'));
	if (days < 7) return capital(formatter(place, { weekday: 'short' }).format(at));
	return formatDate(at, now, place, 'short');
}

/** All of it, for the tooltip of a time: `Tuesday, 12 May 2026, 14:05`. */
export function formatMoment(at: number, place: Place): string {
	return capital(formatter(place, { dateStyle: 'full', timeStyle: 'short' }).format(at));
}

/** `now`, `3 min ago`, `2 hr ago`, `yesterday`, `5 days ago`; then the date. */
export function formatAgo(at: number, now: number, place: Place): string {
	const past = Math.max(0, now - at);
	const words = relative(place.locale, 'auto');
	if (past < MINUTE) return words.format(0, 'second');
	if (past < HOUR) return words.format(-Math.floor(past / MINUTE), 'minute');
	const days = daysBetween(at, now, place);
	// Late last evening is 'yesterday' only when some hours have passed.
	if (past < 6 * HOUR || days === 0) return words.format(-Math.floor(past / HOUR), 'hour');
	if (days < 30) return words.format(-days, 'day');
	return formatDate(at, now, place, 'short');
}

/** `1,234` or `1234`, as the language writes it. */
export function formatNumber(value: number, locale: Locale): string {
	return new Intl.NumberFormat(REGION[locale]).format(value);
}

function formatDate(at: number, now: number, place: Place, month: 'short' | 'long'): string {
	const sameYear = dayKey(at, place).slice(0, 4) === dayKey(now, place).slice(0, 4);
	if (sameYear) return formatter(place, { day: 'numeric', month }).format(at);
	if (month === 'long') {
		return formatter(place, { day: 'numeric', month, year: 'numeric' }).format(at);
	}
	return formatter(place, { day: '2-digit', month: '2-digit', year: 'numeric' }).format(at);
}

/** Midnights between two moments where the reader is, whatever the clocks did in between. */
function daysBetween(at: number, now: number, place: Place): number {
	return Math.round((Date.parse(dayKey(now, place)) - Date.parse(dayKey(at, place))) / DAY);
}

function relative(locale: Locale, numeric: 'auto' | 'always'): Intl.RelativeTimeFormat {
	return new Intl.RelativeTimeFormat(REGION[locale], { numeric, style: 'short' });
}

function capital(text: string): string {
	return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}
