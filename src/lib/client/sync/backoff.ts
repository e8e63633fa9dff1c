const FIRST_MS = 500;
/** Somebody may be sitting in front of it, and the jitter already spreads thousands of them. */
const LONGEST_MS = 10_000;

/** Anything that gives numbers in [0, 1): `Math.random`, or a test's own. */
export type Random = () => number;

/**
 * Milliseconds to wait after so many failures in a row (from 1): exponential with full jitter, so
 * that thousands of clients that lost the same server do not come back in step.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoff(failures: number, random: Random): number {
	return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
}
