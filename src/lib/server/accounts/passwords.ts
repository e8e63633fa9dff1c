import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';
import { AppError } from '#lib/shared/errors.ts';

/**
 * OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, 2 passes, 1 lane. The algorithm is the
 * library's default, and its enum cannot be imported by code whose types are stripped.
 */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Half of libuv's four threads at most: files and name look-ups need the others. */
const AT_ONCE = Math.max(1, Math.min(2, availableParallelism() - 1));
/** At about 25 ms each the last one waits for some two seconds; more is a flood, not a crowd. */
const WAITING_MAX = 100;

let running = 0;
const waiting: (() => void)[] = [];

/** One at a time or two: a flood of sign-ins takes neither all memory nor all threads. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
	if (running >= AT_ONCE) {
		if (waiting.length >= WAITING_MAX) throw new AppError('server_busy', { retryAfter: 2 });
		// Whoever finishes hands its place on.
		await new Promise<void>((resolve) => waiting.push(resolve));
	} else {
		running++;
	}
	try {
		return await work();
	} finally {
		const next = waiting.shift();
		if (next) next();
		else running--;
	}
}

/** The same password from keyboards that compose accents differently is the same (NIST 800-63B). */
const canonical = (password: string) => password.normalize('NFKC');

/** In PHC form. Throws `server_busy` when too many are waiting. */
export function hashPassword(password: string): Promise<string> {
	return inTurn(() => hash(canonical(password), PARAMETERS));
}

let decoy: Promise<string> | undefined;

/**
 * Whether the password is right. Null stands for a person that does not exist: the same work is
 * done, for nothing, so that the time taken does not tell who has an account.
 */
export async function verifyPassword(
	passwordHash: string | null,
	password: string
): Promise<boolean> {
	// Awaited for everybody, or the first unknown name would take twice as long.
	decoy ??= hash(randomBytes(32), PARAMETERS);
	const against = await decoy;
	const right = await inTurn(() => verify(passwordHash ?? against, canonical(password)));
	return right && passwordHash !== null;
}
