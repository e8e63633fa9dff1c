/**
 * A notification is a doorbell: it names what has changed and up to where, never what it says.
 *
 *   «process» c:«conversation»:«base»:«count»,p:«person»:«base»:«count»,s:«session»,r:«session»,
 *     d:«conversation»:«person»:«person»…
 *
 * Losing one costs time, never correctness: every reader compares versions with the tables.
 */

export const CHANNEL = 'tertulia';

/** Postgres refuses payloads of 8,000 bytes and more. */
const PAYLOAD_MAX = 7900;

/** Something went from version `base` to `version`. */
export interface Range {
	id: string;
	base: number;
	version: number;
}

/** How far this person has received or read this conversation has changed. */
export interface ReceiptRing {
	conversationId: string;
	personId: string;
}

/** People in one part of a payload, of which several must fit. */
const PEOPLE_MAX = 100;

/** What one transaction (or batch) changed. */
export interface Ring {
	conversations: Range[];
	people: Range[];
	/** Sessions that have ended. */
	sessions: string[];
	/** Sessions whose token was replaced: the old one is refused, streams are left alone. */
	renewed?: string[];
	receipts?: ReceiptRing[];
}

/** As many payloads as the ring needs. */
export function encodeRing(processId: string, ring: Ring): string[] {
	const parts = [
		...ring.conversations.map((r) => `c:${r.id}:${r.base}:${r.version - r.base}`),
		...ring.people.map((r) => `p:${r.id}:${r.base}:${r.version - r.base}`),
		...ring.sessions.map((id) => `s:${id}`),
		...(ring.renewed ?? []).map((id) => `r:${id}`),
		...receiptParts(ring.receipts ?? [])
	];
	const payloads: string[] = [];
	let payload = '';
	for (const part of parts) {
		if (payload === '') payload = `${processId} ${part}`;
		else if (payload.length + part.length + 1 > PAYLOAD_MAX) {
			payloads.push(payload);
			payload = `${processId} ${part}`;
		} else payload += `,${part}`;
	}
	if (payload !== '') payloads.push(payload);
	return payloads;
}

/** A conversation is named once for many people. */
function receiptParts(receipts: ReceiptRing[]): string[] {
	const parts: string[] = [];
	const groups = Map.groupBy(receipts, ({ conversationId }) => conversationId);
	for (const [conversationId, of] of groups) {
		for (let at = 0; at < of.length; at += PEOPLE_MAX) {
			const people = of.slice(at, at + PEOPLE_MAX).map(({ personId }) => personId);
			parts.push(`d:${conversationId}:${people.join(':')}`);
		}
	}
	return parts;
}

/** Reads a payload. What it does not understand (a newer process may say more) it skips. */
export function decodeRing(payload: string): { processId: string; ring: Ring } {
	const ring: Ring = { conversations: [], people: [], sessions: [] };
	const space = payload.indexOf(' ');
	for (const part of payload.slice(space + 1).split(',')) {
		const [kind, id, ...rest] = part.split(':');
		if (!id) continue;
		if (kind === 'd') {
			for (const personId of rest) (ring.receipts ??= []).push({ conversationId: id, personId });
			continue;
		}
		const [base, count] = rest;
		if (kind === 's') ring.sessions.push(id);
		if (kind === 'r') (ring.renewed ??= []).push(id);
		const from = Number(base);
		const version = from + Number(count);
		if (!Number.isSafeInteger(version)) continue;
		if (kind === 'c') ring.conversations.push({ id, base: from, version });
		if (kind === 'p') ring.people.push({ id, base: from, version });
	}
	return { processId: payload.slice(0, space), ring };
}
