import { Calendar, notAtNight, workingMinutesBefore, workingMorning } from './calendar.ts';
import { PEOPLE, type Plan, type Username } from './company.ts';
import type { Corpus, Line, Scene } from './corpus.ts';
import { inHand, Wording, type Values } from './dialogue.ts';
import type { Bag, Random } from './random.ts';

/** Something that happened in a conversation, at `at` (milliseconds since the epoch). */
export type Happening = { at: number; who: Username } & (
	| { kind: 'said'; body: string }
	| { kind: 'created'; name: string }
	| { kind: 'added'; people: Username[] }
	| { kind: 'renamed'; name: string }
	| { kind: 'left' }
);

export interface History {
	began: number;
	/** In order of time. */
	happenings: Happening[];
}

interface Episode {
	/** When it would begin, if nobody else is talking. */
	at: number;
	scene: Scene;
	isSmallTalk: boolean;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 86_400 * SECOND;

/** Weaves the scenes of one conversation into the months behind `now`. */
export function weave(
	plan: Plan,
	corpus: Corpus,
	smallTalk: Bag<Scene>,
	random: Random,
	now: number
): History {
	const scenes = corpus.get(plan.key) ?? [];
	const last = scenes.find(({ when }) => when === 'last');
	if (!last) throw new Error(`The texts have no last scene for ${plan.key}.`);
	const wording = new Wording(random, plan.language);

	const began = workingMorning(now - plan.began * DAY, random);
	const finale = perform(last.lines, began, wording, random);
	const lastedMs = (finale.at(-1)?.at ?? began) - began;
	const finaleAt = workingMinutesBefore(now, plan.ended) - lastedMs;

	const happenings: Happening[] = [];
	const [creator] = plan.members;
	if (plan.name !== null && creator) {
		happenings.push({ at: began, who: creator, kind: 'created', name: plan.name });
	}
	const present = new Set<string>(plan.members);
	let free = began + MINUTE;
	for (const episode of episodes(plan, scenes, smallTalk, { began, until: finaleAt }, random)) {
		const at = notAtNight(Math.max(episode.at, free), random);
		const lines = episode.isSmallTalk
			? cast(episode.scene.lines, [...present] as Username[], random)
			: episode.scene.lines;
		if (!lines) continue;
		const performed = perform(lines, at, wording, random, episode.isSmallTalk);
		const end = performed.at(-1)?.at ?? at;
		if (end > finaleAt - 5 * MINUTE && episode.scene.when !== 'once') continue;
		happenings.push(...performed);
		follow(present, performed);
		free = end + random.whole(4, 30) * MINUTE;
	}
	const shift = Math.max(finaleAt, free) - began;
	happenings.push(...finale.map((happening) => ({ ...happening, at: happening.at + shift })));
	// A last scene that had to wait for the one before would end in the future.
	const late = Math.max(0, (happenings.at(-1)?.at ?? began) - (now - MINUTE));
	return {
		began: began - late,
		happenings: happenings.map((happening) => ({ ...happening, at: happening.at - late }))
	};
}

/** What is to be played between the beginning and the last scene, in order of time. */
function episodes(
	plan: Plan,
	scenes: Scene[],
	smallTalk: Bag<Scene>,
	{ began, until }: { began: number; until: number },
	random: Random
): Episode[] {
	const calendar = new Calendar(began, until - 60 * MINUTE, random, plan.social ?? false);
	const found: Episode[] = [];
	const add = (scene: Scene, part: number, isSmallTalk = false) =>
		found.push({ at: calendar.moment(part, scene.hours), scene, isSmallTalk });

	const once = scenes.filter(({ when }) => when === 'once');
	for (const [index, scene] of once.entries()) {
		if (index === 0) found.push({ at: began, scene, isSmallTalk: false });
		else add(scene, (index + random.next() * 0.6) / once.length);
	}
	for (const scene of scenes.filter(({ when }) => when === 'often')) {
		for (let i = 0; i < plan.returns; i++)
			add(scene, (i + 0.1 + random.next() * 0.8) / plan.returns);
	}
	for (let i = 0; i < plan.smallTalk; i++) {
		add(smallTalk.draw(), 0.02 + random.next() * 0.98, true);
	}
	return found.toSorted((a, b) => a.at - b.at);
}

/** Gives the parts a, b and c to people who are there; null when there are too few. */
function cast(lines: Line[], present: Username[], random: Random): Line[] | null {
	const actors = random.shuffled(present);
	const parts = new Map(['a', 'b', 'c'].map((part, index) => [part, actors[index]]));
	const played: Line[] = [];
	for (const line of lines) {
		if (line.kind !== 'says') continue;
		const who = parts.get(line.who);
		if (!who) return null;
		played.push({ ...line, who });
	}
	return played;
}

/** What the lines come to when they begin at a moment; `borrowed` words go through people's hands. */
function perform(
	lines: Line[],
	begin: number,
	wording: Wording,
	random: Random,
	borrowed = false
): Happening[] {
	const values: Values = wording.values(begin);
	const happenings: Happening[] = [];
	let at = begin;
	let previous = '';
	for (const line of lines) {
		if (line.kind === 'pause') {
			at = notAtNight(at + random.whole(35, 150) * MINUTE, random);
			continue;
		}
		if (line.kind === 'says' && line.maybe && random.chance(0.5)) continue;
		const who = usernameOf(line.who);
		if (line.kind === 'does') {
			happenings.push({ at, who, ...deed(line) });
		} else {
			const said = wording.say(line.text, values);
			const body = borrowed ? inHand(said, PEOPLE[who].hand) : said;
			if (happenings.length > 0) at += hesitation(body, who === previous, random);
			happenings.push({ at, who, kind: 'said', body });
		}
		at += random.whole(400, 2500);
		previous = who;
	}
	return happenings;
}

/** Reading, thinking and typing, in milliseconds; now and then somebody is away from the screen. */
function hesitation(body: string, samePerson: boolean, random: Random): number {
	const typing = Math.min(body.length, 300) * 90;
	if (samePerson) return typing + random.exponential(4 * SECOND);
	if (random.chance(0.1)) return typing + random.whole(3, 14) * MINUTE;
	return typing + random.exponential(25 * SECOND);
}

function deed({ what, to }: Extract<Line, { kind: 'does' }>) {
	if (what === 'renamed') return { kind: what, name: to } as const;
	if (what === 'added') return { kind: what, people: to.split(', ').map(usernameOf) } as const;
	return { kind: what } as const;
}

function usernameOf(text: string): Username {
	if (!(text in PEOPLE)) throw new Error(`Nobody in the company is called ${text}.`);
	return text as Username;
}

/** Who is there after all this. */
function follow(present: Set<string>, happenings: Happening[]): void {
	for (const happening of happenings) {
		if (happening.kind === 'added') for (const who of happening.people) present.add(who);
		if (happening.kind === 'left') present.delete(happening.who);
	}
}
