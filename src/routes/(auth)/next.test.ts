import { expect, test } from 'vitest';
import { safeNext } from './next.ts';

test.each(['/', '/settings', '/c/018f3c5e-7b1a-7000-8000-000000000001?at=12#m', '/a%2F%2Fb'])(
	'%s is followed',
	(next) => {
		expect(safeNext(next)).toBe(next);
	}
);

test.each([
	null,
	'',
	'settings',
	'https://evil.example/',
	'//evil.example',
	'/\\evil.example',
	'/\t/evil.example',
	'/ok\\..\\..//evil.example',
	'javascript:alert(1)',
	'/.//evil.example',
	'/sign-in?next=/sign-in'
])('%s leads home', (next) => {
	expect(safeNext(next)).toBe('/');
});
