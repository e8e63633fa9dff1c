import type { conversation, member } from '../../src/lib/server/conversations/schema.ts';
import type { message } from '../../src/lib/server/messages/schema.ts';
import type { reaction } from '../../src/lib/server/reactions/schema.ts';
import type { Notice } from '../../src/lib/shared/messages.ts';
import type { Plan, Username } from './company.ts';
import type { Happening, History } from './history.ts';
import type { Random } from './random.ts';

export interface ConversationRecord {
	conversation: typeof conversation.$inferInsert;
	members: (typeof member.$inferInsert)[];
	messages: (typeof message.$inferInsert)[];
	reactions: (typeof reaction.$inferInsert)[];
}

export interface Company {
	ids: ReadonlyMap<Username, string>;
	/** The line of versions of each person, which every membership moves on. */
	versions: Map<Username, number>;
}

interface Standing {
	role: 'owner' | 'member';
	joinedAt: Date;
	leftAt: Date | null;
	version: number;
	readSeq: number;
}

/** Unread messages of somebody who is behind, at most. */
const BEHIND_MAX = 40;
const BEHIND_CHANCE = 0.55;

const EMOJI = ['👍', '👍', '👍', '❤️', '😂', '🙏', '🎉'];
/** Of a message, that somebody reacts to it; that somebody joins in is more likely. */
const REACTED_CHANCE = 0.1;
/** The same of the last ones, which are seen first. */
const REACTED_LATELY_CHANCE = 0.3;
const LATELY = 12;
const JOINED_CHANCE = 0.35;

/**
 * The rows of a conversation, numbered as the app itself would have done it step by step: every
 * change takes the next version, every message and notice the next place.
 */
export function recordOf(
	plan: Plan,
	{ began, happenings }: History,
	{ ids, versions }: Company,
	random: Random
): ConversationRecord {
	const id = random.uuid(began);
	const idOf = (who: Username) => {
		const found = ids.get(who);
		if (!found) throw new Error(`${who} has no id.`);
		return found;
	};
	const isGroup = plan.name !== null;
	const members = new Map<Username, Standing>();
	const messages: ConversationRecord['messages'] = [];
	let [version, name, changed] = [0, plan.name, 0];

	const join = (people: readonly Username[], at: number) => {
		for (const who of people.toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1))) {
			const role = isGroup && at === began && who === plan.members[0] ? 'owner' : 'member';
			const readSeq = messages.length;
			members.set(who, { role, joinedAt: new Date(at), leftAt: null, version: ++version, readSeq });
		}
	};
	const add = ({ at, who }: Happening, content: { body: string } | { notice: Notice }) => {
		messages.push({
			id: random.uuid(at),
			conversationId: id,
			seq: messages.length + 1,
			version: ++version,
			senderId: idOf(who),
			kind: 'body' in content ? 'text' : 'notice',
			body: 'body' in content ? content.body : null,
			notice: 'notice' in content ? content.notice : null,
			sentAt: new Date(at)
		});
		const sender = members.get(who);
		if (!sender || sender.leftAt)
			throw new Error(`${who} speaks in ${plan.key} without being there.`);
		// Sending is reading.
		sender.readSeq = messages.length;
	};

	join(plan.members, began);
	for (const happening of happenings) {
		switch (happening.kind) {
			case 'said':
				add(happening, { body: happening.body });
				break;
			case 'created':
				changed = 1;
				version++;
				add(happening, { notice: { type: 'created', name: happening.name } });
				break;
			case 'added':
				join(happening.people, happening.at);
				add(happening, { notice: { type: 'added', personIds: happening.people.map(idOf) } });
				break;
			case 'renamed':
				name = happening.name;
				changed = ++version;
				add(happening, { notice: { type: 'renamed', name } });
				break;
			case 'left': {
				const leaver = members.get(happening.who);
				if (leaver) leaver.version = ++version;
				add(happening, { notice: { type: 'left' } });
				if (leaver) leaver.leftAt = new Date(happening.at);
			}
		}
	}
	for (const standing of members.values()) catchUp(standing, messages.length, random);

	const reactions: ConversationRecord['reactions'] = [];
	const present = [...members].flatMap(([who, { leftAt }]) => (leftAt ? [] : idOf(who)));
	for (const said of messages) {
		const isLate = said.seq > messages.length - LATELY;
		const chance = isLate ? REACTED_LATELY_CHANCE : REACTED_CHANCE;
		if (said.kind !== 'text' || !random.chance(chance)) continue;
		const others = present.filter((personId) => personId !== said.senderId);
		const [first, ...joining] = random.shuffled(others);
		const emoji = random.pick(EMOJI);
		const reacting = joining.filter(() => random.chance(JOINED_CHANCE));
		for (const personId of [first ?? [], reacting].flat()) {
			said.version = ++version;
			said.changed = true;
			reactions.push({ conversationId: id, messageId: said.id, personId, emoji, version });
		}
	}

	return {
		conversation: {
			id,
			kind: isGroup ? 'group' : 'direct',
			name,
			pair: isGroup ? null : plan.members.map(idOf).toSorted().join(':'),
			version,
			lastSeq: messages.length,
			settledSeq: messages.length,
			changed,
			createdAt: new Date(began),
			activeAt: messages.at(-1)?.sentAt ?? new Date(began)
		},
		members: [...members].map(([who, standing]) => {
			const personVersion = (versions.get(who) ?? 0) + 1;
			versions.set(who, personVersion);
			return { conversationId: id, personId: idOf(who), personVersion, ...standing };
		}),
		messages,
		reactions
	};
}

/** How far somebody has read: to the end, or not quite. */
function catchUp(standing: Standing, lastSeq: number, random: Random): void {
	if (standing.leftAt) return;
	const own = Math.max(standing.readSeq, lastSeq - BEHIND_MAX);
	const isBehind = own < lastSeq && random.chance(BEHIND_CHANCE);
	standing.readSeq = isBehind ? random.whole(own, lastSeq - 1) : lastSeq;
}
