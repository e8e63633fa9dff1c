import { describe, expect, test } from 'vitest';
import {
	dayKey,
	formatAgo,
	formatDay,
	formatListTime,
	formatMoment,
	formatNumber,
	formatTime,
	type Place
} from './format.ts';

const madrid: Place = { locale: 'es', timeZone: 'Europe/Madrid' };
const london: Place = { locale: 'en', timeZone: 'Europe/London' };
const auckland: Place = { locale: 'en', timeZone: 'Pacific/Auckland' };

const at = (iso: string) => Date.parse(iso);
const now = at('2026-05-13T12:00:00Z');

test('the time is told where the reader is', () => {
	expect(formatTime(at('2026-05-13T12:05:00Z'), madrid)).toBe('14:05');
	expect(formatTime(at('2026-05-13T12:05:00Z'), london)).toBe('13:05');
	expect(formatTime(at('2026-05-12T22:00:00Z'), madrid)).toBe('00:00');
});

test('a day is a day where the reader is', () => {
	const evening = at('2026-05-13T23:30:00Z');
	expect(dayKey(evening, london)).toBe('2026-05-14');
	expect(dayKey(at('2026-05-13T11:00:00Z'), auckland)).toBe('2026-05-13');
	expect(dayKey(at('2026-05-13T12:30:00Z'), auckland)).toBe('2026-05-14');
});

describe('day separators', () => {
	test.each([
		['2026-05-13T06:00:00Z', 'Today', 'Hoy'],
		['2026-05-12T08:00:00Z', 'Yesterday', 'Ayer'],
		['2026-05-09T08:00:00Z', 'Saturday', 'Sábado'],
		['2026-05-01T08:00:00Z', '1 May', '1 de mayo'],
		['2024-05-01T08:00:00Z', '1 May 2024', '1 de mayo de 2024']
	])('%s', (iso, english, spanish) => {
		expect(formatDay(at(iso), now, london)).toBe(english);
		expect(formatDay(at(iso), now, madrid)).toBe(spanish);
	});

	test('the night in which the clocks change is still one night', () => {
		const before = at('2026-03-28T12:00:00Z');
		const after = at('2026-03-29T10:00:00Z');
		expect(formatDay(before, after, london)).toBe('Yesterday');
	});
});

test('times in the list grow shorter with distance', () => {
	expect(formatListTime(at('2026-05-13T09:30:00Z'), now, london)).toBe('10:30');
	expect(formatListTime(at('2026-05-12T09:30:00Z'), now, london)).toBe('Yesterday');
	expect(formatListTime(at('2026-05-09T09:30:00Z'), now, london)).toBe('Sat');
	expect(formatListTime(at('2026-02-09T09:30:00Z'), now, london)).toBe('9 Feb');
	expect(formatListTime(at('2024-02-09T09:30:00Z'), now, london)).toBe('09/02/2024');
});

test('a clock that is ahead of ours does not make the future', () => {
	expect(formatListTime(now + 90_000, now, london)).toBe('13:01');
	expect(formatAgo(now + 90_000, now, london)).toBe('now');
});

test('how long ago', () => {
	expect(formatAgo(now - 20_000, now, london)).toBe('now');
	expect(formatAgo(now - 3 * 60_000, now, madrid)).toBe('hace 3 min');
	expect(formatAgo(now - 2 * 3_600_000, now, madrid)).toBe('hace 2 h');
	expect(formatAgo(now - 26 * 3_600_000, now, madrid)).toBe('ayer');
	expect(formatAgo(now - 90 * 86_400_000, now, london)).toBe('12 Feb');
});

test('the whole moment, and numbers', () => {
	expect(formatMoment(now, london)).toMatch(/^Wednesday,? 13 May 2026(,| at) 13:00$/);
	expect(formatNumber(12345, 'en')).toBe('12,345');
	expect(formatNumber(12345, 'es')).toBe('12.345');
});
