import { z } from 'zod';
import { personView } from './accounts.ts';
import { conversationSnapshot } from './conversations.ts';
import { conversationDelta } from './events.ts';

/** Changes in one conversation past which a snapshot is cheaper than a delta. */
export const DELTA_MAX = 200;

const UUID = z.regexes.uuid();

/**
 * Each key an id, each value a version: as a record of `z.uuid()` would have it, which takes several
 * times as long. These are hundreds, and everybody's at once after a deployment.
 */
const versions = z.custom<Record<string, number>>((given: unknown) => {
	if (typeof given !== 'object' || given === null || Array.isArray(given)) return false;
	const versions = given as Record<string, unknown>;
	return Object.keys(versions).every((id) => UUID.test(id) && isVersion(versions[id]));
});

const isVersion = (given: unknown) => Number.isSafeInteger(given) && Number(given) >= 0;

export const sinceInput = z.object({
	/** What the client knows: conversation id → version. Left out ones come as snapshots. */
	conversations: versions,
	/** How far it knows the person's own line; without it all read positions are told. */
	personVersion: z.number().int().min(0).optional()
});
export type SinceInput = z.infer<typeof sinceInput>;

/** Long polling: answered when there is something that the client does not know yet. */
export const pollInput = sinceInput.extend({
	personVersion: z.number().int().min(0),
	/** The first of a row, which is answered at once. */
	opening: z.boolean()
});
export type PollInput = z.infer<typeof pollInput>;

export const syncAnswer = z.object({
	personVersion: z.number().int(),
	/** Conversations that the client knows and that have changed since. */
	deltas: z.array(conversationDelta),
	/** Conversations that are new to the client, or so far behind that it starts afresh (`reset`). */
	snapshots: z.array(conversationSnapshot),
	/** Those of `snapshots` that the client did name: what it has of them is to be dropped. */
	reset: z.array(z.uuid()),
	/** Named by the client and not the viewer's (any more). */
	gone: z.array(z.uuid()),
	/** Own read positions that moved since `personVersion`, in conversations that are known. */
	readSeqs: z.record(z.uuid(), z.number().int()),
	/** Those of `readSeqs` that the viewer has marked as unread. */
	marked: z.array(z.uuid()),
	people: z.array(personView)
});
export type SyncAnswer = z.infer<typeof syncAnswer>;
