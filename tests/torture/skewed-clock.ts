/**
 * Preloaded into a process (`--import`) to put its clock wrong by `SKEW_MS`, as seen by everything
 * that asks for the date. Timers go on by the machine's monotonic clock, as they do in real life.
 */
const skewMs = Number(process.env.SKEW_MS ?? 0);
const RealDate = Date;

class SkewedDate extends RealDate {
	constructor(...given: [] | [number | string | Date]) {
		if (given.length === 0) super(SkewedDate.now());
		// `new Date(2026, 10, 21)` comes here too, with more than the one that the type knows.
		else super(...given);
	}

	static override now(): number {
		return RealDate.now() + skewMs;
	}
}

if (skewMs !== 0) globalThis.Date = SkewedDate as DateConstructor;
