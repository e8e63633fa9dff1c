import { uuidv7 } from 'uuidv7';
import { expect, test } from 'vitest';
import { decodeRing, encodeRing, type Ring } from './doorbell.ts';

const ranges = (n: number) =>
	Array.from({ length: n }, (_, i) => ({
		id: uuidv7(),
		base: i * 1000,
		version: i * 1000 + i + 1
	}));

test('what is rung is heard, in as many notifications as Postgres’ limit needs', () => {
	const ring: Ring = {
		conversations: ranges(300),
		people: ranges(200),
		sessions: ['a'.repeat(64), 'b'.repeat(64)]
	};
	const payloads = encodeRing('me', ring);
	expect(payloads.length).toBeGreaterThan(1);
	expect(Math.max(...payloads.map((p) => Buffer.byteLength(p)))).toBeLessThan(8000);
	const heard = payloads.map(decodeRing);
	expect(heard.every(({ processId }) => processId === 'me')).toBe(true);
	expect(heard.flatMap(({ ring: r }) => r.conversations)).toEqual(ring.conversations);
	expect(heard.flatMap(({ ring: r }) => r.people)).toEqual(ring.people);
	expect(heard.flatMap(({ ring: r }) => r.sessions)).toEqual(ring.sessions);
});

test('receipts name a conversation once for many people, and fit too', () => {
	const [talk, other] = [uuidv7(), uuidv7()];
	const receipts = Array.from({ length: 300 }, (_, i) => ({
		conversationId: i % 50 === 7 ? other : talk,
		personId: uuidv7()
	}));
	const payloads = encodeRing('me', { conversations: [], people: [], sessions: [], receipts });
	expect(Math.max(...payloads.map((p) => Buffer.byteLength(p)))).toBeLessThan(8000);
	expect(payloads.join().split(talk)).toHaveLength(4);
	const heard = payloads.flatMap((payload) => decodeRing(payload).ring.receipts ?? []);
	const byPerson = (a: (typeof receipts)[0], b: (typeof receipts)[0]) =>
		a.personId < b.personId ? -1 : 1;
	expect(heard.toSorted(byPerson)).toEqual(receipts.toSorted(byPerson));
});

test('nothing to say is no notification', () => {
	expect(encodeRing('me', { conversations: [], people: [], sessions: [] })).toEqual([]);
});

test('what a newer process says in other words is skipped', () => {
	const { ring } = decodeRing('other x:new:thing,c:one:4:2,c:broken:NaN:1,');
	expect(ring).toEqual({
		conversations: [{ id: 'one', base: 4, version: 6 }],
		people: [],
		sessions: []
	});
});
