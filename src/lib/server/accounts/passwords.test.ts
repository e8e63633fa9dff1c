import { parseOptions } from '@node-rs/argon2';
import { expect, test } from 'vitest';
import { AppError } from '#lib/shared/errors.ts';
import { hashPassword, verifyPassword } from './passwords.ts';

test('the hash is Argon2id as strong as OWASP asks, with a salt of its own', async () => {
	const [one, other] = await Promise.all([hashPassword('same'), hashPassword('same')]);
	expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
	expect(parseOptions(one).saltLen).toBeGreaterThanOrEqual(16);
	expect(one).not.toBe(other);
});

test('only the password itself is right', async () => {
	const hash = await hashPassword('Contraseña larga');
	expect(await verifyPassword(hash, 'Contraseña larga')).toBe(true);
	expect(await verifyPassword(hash, 'contraseña larga')).toBe(false);
	expect(await verifyPassword(hash, 'Contraseña larga ')).toBe(false);
	expect(await verifyPassword(hash, '')).toBe(false);
});

test('a keyboard that composes accents otherwise types the same password', async () => {
	const hash = await hashPassword('contraseña'.normalize('NFD'));
	expect(await verifyPassword(hash, 'contraseña'.normalize('NFC'))).toBe(true);
});

test('a NUL does not end a password', async () => {
	const hash = await hashPassword('before\0after');
	expect(await verifyPassword(hash, 'before\0after')).toBe(true);
	expect(await verifyPassword(hash, 'before')).toBe(false);
});

test('nobody has no password', async () => {
	expect(await verifyPassword(null, '')).toBe(false);
});

test('a flood is turned away, and those who were let in get their answer', async () => {
	const answers = await Promise.allSettled(
		Array.from({ length: 150 }, () => verifyPassword(null, 'flood'))
	);
	const turnedAway = answers.filter((answer) => answer.status === 'rejected');
	expect(turnedAway.length).toBeGreaterThanOrEqual(48);
	for (const { reason } of turnedAway) {
		expect(reason).toBeInstanceOf(AppError);
		expect(reason).toMatchObject({ code: 'server_busy', details: { retryAfter: 2 } });
	}
	const hash = await hashPassword('afterwards');
	expect(await verifyPassword(hash, 'afterwards'), 'and all is well again').toBe(true);
});
