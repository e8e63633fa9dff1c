/**
 * The app's own doors (`/trpc`, `/events`, health) on a plain `node:http` server, as `src/entry.ts`
 * has them, without the pages: what is measured needs no build. Settings come from the environment;
 * the address is printed once it listens. `/memory` answers what JavaScript holds after a collection,
 * in bytes.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { initTRPC } from '@trpc/server';
import { nodeHTTPRequestHandler } from '@trpc/server/adapters/node-http';
import { startApp } from '../src/lib/server/app.ts';

/** A procedure that does nothing, by tRPC's own adapter: what any other is compared with. */
const t = initTRPC.create();
const empty = t.router({ nothing: t.procedure.mutation(() => null) });

const app = startApp();
await app.services.realtime.listening();

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (how: object) => void;

const server = createServer((req, res) => {
	if (app.handle(req, res)) return;
	const path = req.url ?? '';
	if (path === '/memory') {
		collect({ type: 'major', flavor: 'last-resort' });
		return void res.end(String(process.memoryUsage().heapUsed));
	}
	if (!path.startsWith('/empty/')) return void res.writeHead(404).end();
	void nodeHTTPRequestHandler({
		router: empty,
		req,
		res,
		path: path.slice('/empty/'.length),
		createContext: () => ({})
	});
});
// Who measures by turns comes back to a connection after a while.
server.keepAliveTimeout = 600_000;
server.listen(app.services.env.PORT, '127.0.0.1', () => {
	console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

process.on('SIGTERM', () => {
	server.close();
	server.closeAllConnections();
	void app.close().then(() => process.exit(0));
});
