import { expect } from 'vitest';
import { test, useStage } from './stage.ts';

/** As in docs/architecture.md. */
const SCRIPT_MAX = 120_000;

const stage = useStage();

test('the first load of a conversation is small, waits for its own CSS alone, and asks nobody else', async () => {
	const ana = await stage.person('Budget Ana');
	const bruno = await stage.person('Budget Bruno');
	await ana.startDirect(bruno.name);
	await ana.say('How heavy is this page?');
	await ana.hasSent('How heavy is this page?');

	// A browser that has never been here, but is signed in.
	const fresh = await stage.signedIn(ana.account);
	const hosts = new Set<string>();
	fresh.page.on('request', (request) => hosts.add(new URL(request.url()).host));
	const debug = await fresh.context.newCDPSession(fresh.page);
	const scripts = new Map<string, number>();
	const kinds = new Map<string, string>();
	debug.on('Network.responseReceived', ({ requestId, type }) => kinds.set(requestId, type));
	// What came over the wire, headers and compression included.
	debug.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
		if (kinds.get(requestId) === 'Script') scripts.set(requestId, encodedDataLength);
	});
	await debug.send('Network.enable');
	await fresh.goto(ana.path);
	await fresh.sees('How heavy is this page?');
	await fresh.page.waitForLoadState('load');

	const size = [...scripts.values()].reduce((sum, bytes) => sum + bytes, 0);
	console.warn(`JavaScript of the first load: ${size} bytes in ${scripts.size} files.`);
	expect(scripts.size).toBeGreaterThan(0);
	expect(size).toBeLessThan(SCRIPT_MAX);
	expect([...hosts]).toEqual([new URL(stage.url).host]);

	const blocking = await fresh.page.evaluate(() =>
		performance
			.getEntriesByType('resource')
			// Not yet among TypeScript's types: https://w3c.github.io/resource-timing
			.filter(
				(entry) => 'renderBlockingStatus' in entry && entry.renderBlockingStatus === 'blocking'
			)
			.map(({ name }) => new URL(name).pathname)
	);
	expect(blocking.filter((path) => !path.endsWith('.css'))).toEqual([]);
	expect(blocking.length).toBeGreaterThan(0);
});
