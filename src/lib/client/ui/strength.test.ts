import { expect, test } from 'vitest';
import { passwordStrength } from './strength.ts';

test.each([
	['nine char', 'short'],
	['aaaaaaaaaaaaaaaa', 'weak'],
	['password1234', 'weak'],
	['1234567890', 'weak'],
	['abababababab', 'weak'],
	['anaruiz2026', 'weak'],
	['ana.ruiz@casa', 'weak'],
	['brisa mapa 7', 'fair'],
	['cuchara lenta bajo el puente', 'strong'],
	['xK9#vLq2!pRz8wTn', 'strong']
])('%s is %s', (password, expected) => {
	expect(passwordStrength(password, 10, ['Ana Ruiz', 'ana.ruiz', 'ana@casa.org'])).toBe(expected);
});
