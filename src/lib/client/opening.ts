import { rememberedChoice } from './i18n/cookie.ts';
import type { SessionData } from './session.svelte.ts';
import { browserDevice, DeviceReplica } from './sync/device.ts';
import { api, errorReason } from './trpc.ts';

/**
 * What a page begins with that was not rendered for anybody: what this device kept of the person
 * who is signed in, or else what the server says. `offline` is nothing of either.
 */
export async function openHere(
	conversationId: string | undefined
): Promise<SessionData | 'signed out' | 'offline'> {
	return (await keptHere(conversationId)) ?? askServer();
}

/**
 * The cookie names who is signed in, so that nobody is shown what the device still has of somebody
 * else. Whether the session still lasts, the server says as soon as it can be asked.
 */
async function keptHere(conversationId: string | undefined): Promise<SessionData | null> {
	const personId = rememberedChoice('person');
	const factory = browserDevice();
	if (personId === undefined || !factory) return null;
	try {
		return await DeviceReplica.opening(factory, personId, conversationId);
	} catch {
		// Forbidden or broken: then there is nothing.
		return null;
	}
}

async function askServer(): Promise<SessionData | 'signed out' | 'offline'> {
	try {
		const [viewer, bootstrap] = await Promise.all([
			api.accounts.viewer.query(),
			api.sync.since.mutate({ conversations: {} })
		]);
		return { viewer, bootstrap, opening: null };
	} catch (error) {
		return errorReason(error) === 'not_signed_in' ? 'signed out' : 'offline';
	}
}
