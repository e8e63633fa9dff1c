import { expect, test } from 'vitest';
import { HUES, hueOf, initials } from './initials.ts';

test.each([
	['Ana María Ruiz', 'AR'],
	['ana', 'A'],
	['  Óscar   Núñez ', 'ÓN'],
	['(Ana) Ruiz', 'AR'],
	['🦊 Fox', '🦊'],
	['👩‍👩‍👧 Casa', '👩‍👩‍👧'],
	['李 小龙', '李小'],
	['2026 plans', '2P'],
	['', ''],
	['“”', '']
])('%s becomes %s', (name, expected) => {
	expect(initials(name)).toBe(expected);
});

test('a hue stays, and a thousand ids use all of them about equally', () => {
	expect(hueOf('ana')).toBe(hueOf('ana'));
	const counts = Array.from({ length: HUES }, () => 0);
	for (let i = 0; i < 1000; i++) {
		const hue = hueOf(`018f3c5e-7b1a-7000-8000-${String(i).padStart(12, '0')}`);
		counts[hue] = (counts[hue] ?? 0) + 1;
	}
	expect(Math.min(...counts)).toBeGreaterThan(60);
	expect(Math.max(...counts)).toBeLessThan(140);
});
