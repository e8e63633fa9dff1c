/**
 * The timeline as it is drawn: days, in them notices and bubbles, bubbles of one person within five
 * minutes as a group, and the line above what was unread when the conversation was opened.
 */
import type { ErrorCode } from '#lib/shared/errors.ts';
import type { MessageView, Notice, TextMessage } from '#lib/shared/messages.ts';

/** Milliseconds after which the same person starts a new group. */
export const GROUP_MS = 5 * 60_000;

export interface Bubble {
	kind: 'bubble';
	/** The message's id, the same before and after it was sent: its element stays. */
	id: string;
	/** Null until the server has given it its place. */
	seq: number | null;
	senderId: string;
	own: boolean;
	/** Empty when it was deleted. */
	body: string;
	/** As the server has it; missing until then, and when it was deleted. */
	message?: TextMessage;
	at: number;
	state: 'sent' | 'pending' | 'failed' | 'deleted';
	reason?: ErrorCode | undefined;
	/** First and last of its group. */
	first: boolean;
	last: boolean;
}

export interface NoticeRow {
	kind: 'notice';
	id: string;
	seq: number;
	senderId: string;
	notice: Notice;
	at: number;
}

export interface UnreadLine {
	kind: 'unread';
	id: 'unread';
}

export type Row = Bubble | NoticeRow | UnreadLine;

export interface Day {
	/** `2026-05-03` */
	key: string;
	/** The moment of its first message. */
	at: number;
	rows: Row[];
}

/** What the viewer sends and the server does not have yet. */
export interface Outgoing {
	id: string;
	body: string;
	createdAt: number;
	state: 'pending' | 'failed';
	reason?: ErrorCode | undefined;
}

export interface GroupingContext {
	viewerId: string;
	firstUnreadSeq: number | null;
	/**
	 * There is more above. Then the first message is only what the second comes after and is not
	 * drawn itself: whether it begins a group, and so has a name above it, is not known yet, and
	 * nothing that is drawn shall grow when that becomes known.
	 */
	hasOlder: boolean;
	/** The day of a moment where the reader is. */
	dayKey(at: number): string;
}

export function groupTimeline(
	messages: readonly MessageView[],
	outgoing: readonly Outgoing[],
	context: GroupingContext
): Day[] {
	const days: Day[] = [];
	let previous: Bubble | null = null;
	const known = new Set(messages.map((message) => message.id));

	const dayOf = (at: number): Day => {
		const key = context.dayKey(at);
		const current = days.at(-1);
		// Clocks of client and server differ: what is being sent never opens an earlier day.
		if (current && key <= current.key) return current;
		const day: Day = { key, at, rows: [] };
		days.push(day);
		previous = null;
		return day;
	};

	const add = (bubble: Omit<Bubble, 'first' | 'last'>) => {
		const day = dayOf(bubble.at);
		const joins = previous !== null && belongTogether(previous, bubble);
		if (joins && previous) previous.last = false;
		previous = { ...bubble, first: !joins, last: true };
		day.rows.push(previous);
	};

	for (const message of messages) {
		if (message.seq === context.firstUnreadSeq) {
			dayOf(message.sentAt).rows.push({ kind: 'unread', id: 'unread' });
			previous = null;
		}
		const { id, seq, senderId, sentAt: at } = message;
		if (message.kind === 'notice') {
			dayOf(at).rows.push({ kind: 'notice', id, seq, senderId, notice: message.notice, at });
			previous = null;
		} else {
			const own = senderId === context.viewerId;
			const place = { kind: 'bubble', id, seq, senderId, own, at } as const;
			if (message.kind === 'deleted') add({ ...place, body: '', state: 'deleted' });
			else add({ ...place, body: message.body, message, state: 'sent' });
		}
	}
	for (const { id, body, createdAt, state, reason } of outgoing) {
		// It has arrived already: the answer to sending is only later than the event.
		if (known.has(id)) continue;
		const senderId = context.viewerId;
		add({ kind: 'bubble', id, seq: null, senderId, own: true, body, at: createdAt, state, reason });
	}
	return context.hasOlder && messages.length > 1 ? withoutFirst(days) : days;
}

/** Without the first message and what stands above it. */
function withoutFirst([first, ...others]: Day[]): Day[] {
	if (!first) return [];
	const at = first.rows.findIndex((row) => row.kind !== 'unread');
	const rows = first.rows.slice(at + 1);
	return rows.length > 0 ? [{ ...first, rows }, ...others] : others;
}

function belongTogether(before: Bubble, after: Omit<Bubble, 'first' | 'last'>): boolean {
	return before.senderId === after.senderId && after.at - before.at < GROUP_MS;
}
