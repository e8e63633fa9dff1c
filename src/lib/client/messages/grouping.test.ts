import { expect, test } from 'vitest';
import type { MessageView } from '#lib/shared/messages.ts';
import { GROUP_MS, groupTimeline, type Bubble, type Day, type Row } from './grouping.ts';

const ANA = 'ana';
const LUIS = 'luis';
const NOON = Date.UTC(2026, 4, 12, 12);
const context = {
	viewerId: ANA,
	firstUnreadSeq: null as number | null,
	hasOlder: false,
	dayKey: (at: number) => new Date(at).toISOString().slice(0, 10)
};

const text = (seq: number, senderId: string, at: number): MessageView => ({
	kind: 'text',
	id: `m${seq}`,
	conversationId: 'c',
	seq,
	version: seq,
	senderId,
	sentAt: at,
	body: `Text ${seq}`
});

const left = (seq: number, at: number): MessageView => ({
	...text(seq, LUIS, at),
	kind: 'notice',
	notice: { type: 'left' }
});

const rows = (days: Day[]): Row[] => days.flatMap((day) => day.rows);
const bubbles = (days: Day[]): Bubble[] => rows(days).filter((row) => row.kind === 'bubble');
const shape = (days: Day[]) =>
	bubbles(days).map(({ id, first, last }) => `${first ? '[' : ''}${id}${last ? ']' : ''}`);

test('one person within five minutes is one group', () => {
	const days = groupTimeline(
		[text(1, LUIS, NOON), text(2, LUIS, NOON + 1000), text(3, ANA, NOON + 2000)],
		[],
		context
	);
	expect(shape(days)).toEqual(['[m1', 'm2]', '[m3]']);
	expect(bubbles(days).map((bubble) => bubble.own)).toEqual([false, false, true]);
});

test('five minutes of silence part a group', () => {
	const days = groupTimeline(
		[text(1, LUIS, NOON), text(2, LUIS, NOON + GROUP_MS - 1), text(3, LUIS, NOON + 2 * GROUP_MS)],
		[],
		context
	);
	expect(shape(days)).toEqual(['[m1', 'm2]', '[m3]']);
});

test('midnight parts days and groups', () => {
	const midnight = Date.UTC(2026, 4, 13);
	const days = groupTimeline(
		[text(1, LUIS, midnight - 1000), text(2, LUIS, midnight + 1000)],
		[],
		context
	);
	expect(days.map((day) => day.key)).toEqual(['2026-05-12', '2026-05-13']);
	expect(shape(days)).toEqual(['[m1]', '[m2]']);
});

test('a notice stands alone', () => {
	const days = groupTimeline(
		[text(1, LUIS, NOON), left(2, NOON), text(3, LUIS, NOON)],
		[],
		context
	);
	expect(rows(days).map((row) => row.kind)).toEqual(['bubble', 'notice', 'bubble']);
	expect(shape(days)).toEqual(['[m1]', '[m3]']);
});

test('what is left of a deleted message keeps its place in the group, without a text', () => {
	const gone = { ...text(2, LUIS, NOON + 1000), kind: 'deleted' } as const;
	const days = groupTimeline(
		[text(1, LUIS, NOON), gone, text(3, LUIS, NOON + 2000)],
		[{ id: 'm2', body: 'Text 2', createdAt: NOON, state: 'pending' }],
		context
	);
	expect(shape(days)).toEqual(['[m1', 'm2', 'm3]']);
	expect(bubbles(days).map(({ body, state, message }) => [body, state, message?.id])).toEqual([
		['Text 1', 'sent', 'm1'],
		['', 'deleted', undefined],
		['Text 3', 'sent', 'm3']
	]);
});

test('the unread line is above the first unread message and parts a group', () => {
	const days = groupTimeline([text(1, LUIS, NOON), text(2, LUIS, NOON), text(3, LUIS, NOON)], [], {
		...context,
		firstUnreadSeq: 2
	});
	expect(rows(days).map((row) => row.id)).toEqual(['m1', 'unread', 'm2', 'm3']);
	expect(shape(days)).toEqual(['[m1]', '[m2', 'm3]']);
});

test('what is being sent comes last, in the group of what was sent', () => {
	const days = groupTimeline(
		[text(1, ANA, NOON)],
		[
			{ id: 'o1', body: 'On its way', createdAt: NOON + 1000, state: 'pending' },
			{ id: 'o2', body: 'Stuck', createdAt: NOON + 2000, state: 'failed', reason: 'not_found' }
		],
		context
	);
	expect(shape(days)).toEqual(['[m1', 'o1', 'o2]']);
	expect(bubbles(days).map((bubble) => [bubble.seq, bubble.state, bubble.reason])).toEqual([
		[1, 'sent', undefined],
		[null, 'pending', undefined],
		[null, 'failed', 'not_found']
	]);
});

test('a message that has arrived is not shown twice', () => {
	const days = groupTimeline(
		[{ ...text(1, ANA, NOON), id: 'o1' }],
		[{ id: 'o1', body: 'Text 1', createdAt: NOON, state: 'pending' }],
		context
	);
	expect(bubbles(days)).toHaveLength(1);
});

test('a clock that is slow opens no earlier day', () => {
	const days = groupTimeline(
		[text(1, LUIS, Date.UTC(2026, 4, 13, 0, 1))],
		[{ id: 'o1', body: 'Hm', createdAt: Date.UTC(2026, 4, 12, 23, 59), state: 'pending' }],
		context
	);
	expect(days.map((day) => day.key)).toEqual(['2026-05-13']);
});

test('where there is more above, the first message only says what the second comes after', () => {
	const newer = [text(2, LUIS, NOON), text(3, LUIS, NOON + 1000), text(4, ANA, NOON + 2000)];
	const before = groupTimeline(newer, [], { ...context, hasOlder: true });
	expect(shape(before)).toEqual(['m3]', '[m4]']);
	// So nothing that was drawn looks different when the rest has come.
	const after = groupTimeline([text(1, LUIS, NOON), ...newer], [], context);
	expect(shape(after)).toEqual(['[m1', 'm2', 'm3]', '[m4]']);
});

test('a first message that is alone in its day takes the day with it', () => {
	const tomorrow = NOON + 24 * 60 * 60_000;
	const days = groupTimeline([text(1, LUIS, NOON), text(2, LUIS, tomorrow)], [], {
		...context,
		hasOlder: true
	});
	expect(days.map((day) => day.key)).toEqual(['2026-05-13']);
});

test('a message that is all there is, is shown', () => {
	expect(
		bubbles(groupTimeline([text(9, LUIS, NOON)], [], { ...context, hasOlder: true }))
	).toHaveLength(1);
});
