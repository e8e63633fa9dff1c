/** `ws`: a bare WebSocket per listener, the event turned into bytes once. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { nextEvent, serveRoom } from './room.ts';

const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

await serveRoom(server, {
	broadcast() {
		const bytes = Buffer.from(JSON.stringify(nextEvent()));
		for (const socket of sockets.clients) socket.send(bytes, { binary: false });
	},
	streams: () => sockets.clients.size,
	unread: () => Math.max(...[...sockets.clients].map((socket) => socket.bufferedAmount))
});
