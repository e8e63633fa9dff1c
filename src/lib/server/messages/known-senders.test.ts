import { expect, test } from 'vitest';
import type { ConversationChange, ConversationDelta } from '#lib/shared/events.ts';
import { KnownSenders } from './known-senders.ts';

const delta = (base: number, ...changes: ConversationChange[]): ConversationDelta => ({
	conversationId: 'c',
	base,
	version: base + changes.length,
	changes
});

const said = (seq: number, version: number): ConversationChange => ({
	type: 'message.changed',
	message: {
		id: `m${seq}`,
		conversationId: 'c',
		seq,
		version,
		senderId: 'cleo',
		sentAt: 0,
		kind: 'text',
		body: 'x'
	}
});

const joinedOrLeft = (version: number): ConversationChange => ({
	type: 'member.changed',
	member: {
		person: { id: 'ben', name: 'Ben', username: 'ben' },
		role: 'member',
		left: true,
		version
	}
});

function known(): KnownSenders {
	const senders = new KnownSenders();
	senders.wrote('c', 9, { version: 10, seq: 5 }, ['ana']);
	return senders;
}

test('who has just written is known where they wrote, and nobody else is', () => {
	const senders = known();
	expect(senders.placeFor('c', ['ana'])).toEqual({ version: 10, seq: 5 });
	expect(senders.placeFor('c', ['ana', 'ben'])).toBeUndefined();
	expect(senders.placeFor('elsewhere', ['ana'])).toBeUndefined();
});

test('those who wrote before are known as long as nothing came in between', () => {
	const senders = known();
	senders.wrote('c', 10, { version: 12, seq: 7 }, ['ben']);
	expect(senders.placeFor('c', ['ana', 'ben'])).toEqual({ version: 12, seq: 7 });
	senders.wrote('c', 13, { version: 14, seq: 8 }, ['ben']);
	expect(senders.placeFor('c', ['ana'])).toBeUndefined();
	expect(senders.placeFor('c', ['ben'])).toEqual({ version: 14, seq: 8 });
});

test('the messages of others move the place', () => {
	const senders = known();
	senders.changed(delta(10, said(6, 11), said(7, 12)));
	expect(senders.placeFor('c', ['ana'])).toEqual({ version: 12, seq: 7 });
	// Heard again, and late.
	senders.changed(delta(10, said(6, 11)));
	expect(senders.placeFor('c', ['ana'])).toEqual({ version: 12, seq: 7 });
});

test('a change of a membership, or one that was missed, forgets them', () => {
	const removed = known();
	removed.changed(delta(10, said(6, 11), joinedOrLeft(12)));
	expect(removed.placeFor('c', ['ana'])).toBeUndefined();
	const behind = known();
	behind.changed(delta(11, said(7, 12)));
	expect(behind.placeFor('c', ['ana'])).toBeUndefined();
});

test('the conversations that were not used for longest are forgotten first', () => {
	const senders = known();
	for (let i = 0; i < 9_999; i++) senders.wrote(`c${i}`, 0, { version: 1, seq: 1 }, ['ana']);
	senders.wrote('c0', 1, { version: 2, seq: 2 }, ['ana']);
	senders.wrote('one more', 0, { version: 1, seq: 1 }, ['ana']);
	expect(senders.placeFor('c', ['ana'])).toBeUndefined();
	expect(senders.placeFor('c0', ['ana'])).toBeDefined();
	expect(senders.placeFor('one more', ['ana'])).toBeDefined();
});
