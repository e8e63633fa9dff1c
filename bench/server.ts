/**
 * The app's own doors (`/trpc`, `/events`, health) on a plain `node:http` server, as `src/entry.ts`
 * has them, without the pages: what is measured needs no build. Settings come from the environment;
 * the address is printed once it listens.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startApp } from '../src/lib/server/app.ts';

const app = startApp();
await app.services.realtime.listening();

const server = createServer((req, res) => {
	if (!app.handle(req, res)) res.writeHead(404).end();
});
server.listen(app.services.env.PORT, '127.0.0.1', () => {
	console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

process.on('SIGTERM', () => {
	server.close();
	server.closeAllConnections();
	void app.close().then(() => process.exit(0));
});
