import { expect, test } from 'vitest';
import { knownTimeZone, negotiateLocale } from './locale.ts';

test.each([
	['nothing said', null, undefined, 'en'],
	['Spanish of Mexico', 'es-MX,es;q=0.9,en;q=0.8', undefined, 'es'],
	['the heavier wish, whatever its place', 'en;q=0.4, es;q=0.9', undefined, 'es'],
	['the first of two equal wishes', 'en, es', undefined, 'en'],
	['a language that we lack, then one that we have', 'ca, fr;q=0.9, ES;q=0.5', undefined, 'es'],
	['only languages that we lack', 'ca, fr', undefined, 'en'],
	['a refusal', 'es;q=0, en;q=0.1', undefined, 'en'],
	['anything at all', '*', undefined, 'en'],
	['nonsense', ';;q=x,,=', undefined, 'en'],
	['the own choice over the wishes of the browser', 'en', 'es', 'es'],
	['a cookie that somebody made up', 'es', '../../etc', 'es']
])('%s', (_, header, cookie, expected) => {
	expect(negotiateLocale(header, cookie)).toBe(expected);
});

test.each([
	['Europe/Madrid', 'Europe/Madrid'],
	['America/Argentina/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
	['Mars/Olympus', 'UTC'],
	['<script>', 'UTC'],
	['', 'UTC'],
	[undefined, 'UTC']
])('the time zone %s is taken as %s', (cookie, expected) => {
	expect(knownTimeZone(cookie)).toBe(expected);
});
