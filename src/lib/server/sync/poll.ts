import type { StreamEvent } from '#lib/shared/events.ts';
import type { PollInput } from '#lib/shared/sync.ts';
import { encodeFrame } from '../realtime/frame.ts';
import type { PollStream } from '../realtime/poll.ts';
import type { Services } from '../services.ts';
import { since } from './sync.ts';

/**
 * Waits until there is something that the client does not know, and answers it in the words of the
 * event stream. It subscribes first and then compares, so nothing falls between two requests, and
 * each of them may reach another process.
 */
export async function poll(
	services: Services,
	stream: PollStream,
	{ conversations, personVersion }: PollInput
): Promise<Buffer> {
	await services.realtime.hub.open(stream);
	// The session has ended meanwhile, or the process is about to: the next request will hear which.
	if (stream.closed) return frames([]);
	stream.listen();
	const missed = await since(services, stream.personId, { conversations, personVersion });
	const events: StreamEvent[] = missed.deltas.map((delta) => ({
		type: 'conversation.advanced',
		delta
	}));
	const { snapshots, gone } = missed;
	if (snapshots.length > 0 || gone.length > 0 || missed.personVersion !== personVersion) {
		// More than events can tell: the client syncs, as it does when a stream opens.
		events.push({ type: 'stream.opened' });
	}
	if (events.length > 0) stream.end();
	return Buffer.concat([frames(events), await stream.heard()]);
}

/** The first request only asks whether it gets through. */
export const opened = (): Buffer => frames([{ type: 'stream.opened' }]);

const frames = (events: StreamEvent[]): Buffer =>
	Buffer.concat(events.map((event) => encodeFrame(event).bare));
