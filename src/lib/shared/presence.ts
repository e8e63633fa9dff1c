import { z } from 'zod';

/** People at whom one tab may look at a time. */
export const LOOK_MAX = 100;
/** Milliseconds for which a tab is told of those at whom it looks; it renews that in half the time. */
export const LOOK_LEASE_MS = 60_000;

export const lookInput = z.object({
	/** Names the tab among those of its session. */
	tab: z.string().min(1).max(36),
	/** In place of those before; nobody ends it. */
	personIds: z.array(z.uuid()).max(LOOK_MAX)
});
export type LookInput = z.infer<typeof lookInput>;

export const lookAnswer = z.object({
	/** Those of them who are online. Of the others nothing can be told, whatever the reason. */
	online: z.array(z.uuid())
});
export type LookAnswer = z.infer<typeof lookAnswer>;

export const showPresenceInput = z.object({ shows: z.boolean() });
