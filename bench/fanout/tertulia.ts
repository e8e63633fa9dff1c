/** The app's own hub and streams, over tables that say: everybody is in this one conversation. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { openLog } from '../../src/lib/server/platform/log.ts';
import type { ChangeSource } from '../../src/lib/server/realtime/change-source.ts';
import { Hub } from '../../src/lib/server/realtime/hub.ts';
import { SocketStream } from '../../src/lib/server/realtime/stream.ts';
import { BEGINNING, nextDelta, ROOM, serveRoom } from './room.ts';

const EVERY_HOUR = 3_600_000;
const BUFFER = 256 * 1024;

let heard = BEGINNING;
const source: ChangeSource = {
	standing: async () => ({ version: 1, conversations: [ROOM] }),
	memberVersions: async () => [{ id: ROOM, version: heard, moment: 1 }],
	conversationDeltas: async () => [],
	personDeltas: async () => [],
	conversationVersions: async () => [],
	personVersions: async () => [],
	liveSessions: async (ids) => ids
};
const hub = new Hub(source, openLog('warn'), { sweepMs: EVERY_HOUR });
const sockets = new Set<Socket>();

const server = createServer((req, res) => {
	const listener = { personId: flatId(), sessionId: flatId() };
	sockets.add(req.socket);
	res.on('close', () => sockets.delete(req.socket));
	void hub.open(new SocketStream(req, res, listener, BUFFER));
});

/** In one piece, as it comes from the database; `randomUUID` makes a string of twenty joined ones. */
const flatId = () => Buffer.from(randomUUID()).toString();

await serveRoom(server, {
	broadcast() {
		const delta = nextDelta();
		heard = delta.version;
		hub.publish({ conversations: [delta], people: [], sessions: [] });
	},
	streams: () => hub.streamCount,
	unread: () => Math.max(...[...sockets].map((socket) => socket.writableLength))
});
