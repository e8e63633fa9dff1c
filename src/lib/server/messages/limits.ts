import type { Env } from '#env';
import { AppError } from '#lib/shared/errors.ts';
import type { Services } from '../services.ts';

/** Of messages, and of what is done to them, in all conversations of a person together. */
export const sendLimit = ({ SEND_LIMIT_PER_MINUTE: perMinute, SEND_BURST: burst }: Env) => ({
	name: 'send',
	burst: Math.min(burst, perMinute),
	perMinute
});

/** Counts one; throws `sending_too_fast` with the seconds to wait. */
export async function takeSending({ env, limits }: Services, viewerId: string): Promise<void> {
	const retryAfter = await limits.take(sendLimit(env), viewerId);
	if (retryAfter > 0) throw new AppError('sending_too_fast', { retryAfter });
}
