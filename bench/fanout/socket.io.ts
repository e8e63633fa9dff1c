/** Socket.IO 4 as its documentation shows it, with its advice for less memory, WebSocket only. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import type { Socket } from 'node:net';
import { nextEvent, ROOM, serveRoom } from './room.ts';

const QUIET_MS = 3_600_000;

const server = createServer();
const io = new Server(server, {
	transports: ['websocket'],
	perMessageDeflate: false,
	pingInterval: QUIET_MS,
	pingTimeout: QUIET_MS
});
const sockets = new Set<Socket>();
server.on('upgrade', (_req, socket: Socket) => {
	sockets.add(socket);
	socket.on('close', () => sockets.delete(socket));
});
// https://socket.io/docs/v4/memory-usage: the first request of each is not needed any more.
io.engine.on('connection', (raw: { request: unknown }) => (raw.request = null));
io.on('connection', (socket) => void socket.join(ROOM));

await serveRoom(server, {
	broadcast: () => io.to(ROOM).emit('event', nextEvent()),
	streams: () => io.engine.clientsCount,
	unread: () => Math.max(...[...sockets].map((socket) => socket.writableLength))
});
