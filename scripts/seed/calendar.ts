import type { Random } from './random.ts';

const MINUTE = 60_000;
const DAY_BEGINS = 8 * 60 + 40;
const DAY_ENDS = 18 * 60 + 40;

const isWeekend = (day: Date) => day.getDay() % 6 === 0;
const midnight = (time: number) => new Date(time).setHours(0, 0, 0, 0);
const minuteOfDay = (time: number) => (time - midnight(time)) / MINUTE;
const atMinute = (day: number, minute: number) => midnight(day) + minute * MINUTE;

/** So many minutes of office hours ago; never later than `now`. */
export function workingMinutesBefore(now: number, minutes: number): number {
	let left = minutes;
	for (let day = midnight(now); ; day = midnight(day - MINUTE)) {
		if (isWeekend(new Date(day))) continue;
		const end = Math.min(now, atMinute(day, DAY_ENDS));
		const available = (end - atMinute(day, DAY_BEGINS)) / MINUTE;
		if (available >= left) return end - left * MINUTE;
		left -= Math.max(0, available);
	}
}

/** The morning of that day, or of the working day before it. */
export function workingMorning(time: number, random: Random): number {
	let day = midnight(time);
	while (isWeekend(new Date(day))) day = midnight(day - MINUTE);
	return atMinute(day, DAY_BEGINS + random.whole(10, 90));
}

/** `time`, or the next morning where the day is over by then. */
export function notAtNight(time: number, random: Random): number {
	const minute = minuteOfDay(time);
	if (minute >= DAY_BEGINS - 60 && minute <= DAY_ENDS + 120) return time;
	let next = minute < DAY_BEGINS ? midnight(time) : midnight(midnight(time) + 26 * 60 * MINUTE);
	while (isWeekend(new Date(next))) next = midnight(next + 26 * 60 * MINUTE);
	return atMinute(next, DAY_BEGINS + random.whole(0, 70));
}

/** When people talk: office hours, with days on which much happens and days on which little does. */
export class Calendar {
	readonly #random: Random;
	readonly #days: { day: number; until: number }[] = [];
	readonly #social: boolean;

	constructor(from: number, to: number, random: Random, social: boolean) {
		this.#random = random;
		this.#social = social;
		let weight = 0;
		for (let day = midnight(from); day <= to; day = midnight(day + 26 * 60 * MINUTE)) {
			const usual = isWeekend(new Date(day)) ? (social ? 0.3 : 0) : 1;
			// Squared, so that a few days have a lot and many have almost nothing.
			weight += usual * (0.05 + random.next() ** 2 * 2);
			this.#days.push({ day, until: weight });
		}
	}

	/** A moment that lies `part` (0 to 1) of the way through all the talk. */
	moment(part: number, hours: { from: number; to: number } | null): number {
		const total = this.#days.at(-1)?.until ?? 0;
		// What has its hour belongs to the office.
		const days = hours ? this.#days.filter(({ day }) => !isWeekend(new Date(day))) : this.#days;
		const found = days.find(({ until }) => until >= part * total) ?? days[0];
		if (!found) throw new Error('A calendar needs a day.');
		const [from, to] = hours ? [hours.from * 60, hours.to * 60] : this.#hours();
		return atMinute(found.day, this.#random.whole(from, to - 1)) + this.#random.whole(0, 59_999);
	}

	/** The middle of the morning and of the afternoon are the busiest. */
	#hours(): [from: number, to: number] {
		const chance = this.#random.next();
		if (this.#social && chance < 0.25) return [19 * 60, 22 * 60];
		if (chance < 0.55) return [DAY_BEGINS + 40, 13 * 60];
		if (chance < 0.85) return [15 * 60, 17 * 60 + 30];
		return [DAY_BEGINS, DAY_ENDS];
	}
}
