/**
 * A notification is a doorbell: it names what has changed and up to where, never what it says.
 *
 *   «process» c:«conversation»:«base»:«count»,p:«person»:«base»:«count»,s:«session»,r:«session»
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

/** What one transaction (or batch) changed. */
export interface Ring {
	conversations: Range[];
	people: Range[];
	/** Sessions that have ended. */
	sessions: string[];
	/** Sessions whose token was replaced: the old one is refused, streams are left alone. */
	renewed?: string[];
}

/** As many payloads as the ring needs. */
export function encodeRing(processId: string, ring: Ring): string[] {
	const parts = [
		...ring.conversations.map((r) => `c:${r.id}:${r.base}:${r.version - r.base}`),
		...ring.people.map((r) => `p:${r.id}:${r.base}:${r.version - r.base}`),
		...ring.sessions.map((id) => `s:${id}`),
		...(ring.renewed ?? []).map((id) => `r:${id}`)
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

/** Reads a payload. What it does not understand (a newer process may say more) it skips. */
export function decodeRing(payload: string): { processId: string; ring: Ring } {
	const ring: Ring = { conversations: [], people: [], sessions: [] };
	const space = payload.indexOf(' ');
	for (const part of payload.slice(space + 1).split(',')) {
		const [kind, id, base, count] = part.split(':');
		if (!id) continue;
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
