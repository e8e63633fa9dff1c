/** `pnpm build`: the production build, and what its first page costs a visitor. */
import { createBuilder } from 'vite';
import { reportBundleSize } from './lib/bundle-size.ts';
import { runScript } from './lib/problem.ts';

await runScript(async () => {
	process.env.NODE_ENV = 'production';
	const builder = await createBuilder({ logLevel: 'warn' });
	await builder.buildApp();
	await reportBundleSize();
});
