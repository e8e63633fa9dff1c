import type { Environment } from 'vitest/runtime';

/**
 * Plain Node, with Svelte compiled as for a browser: in Vitest's `node` environment it is compiled
 * for rendering on the server, where nothing is reactive.
 */
export default {
	name: 'client',
	viteEnvironment: 'client',
	setup: () => ({ teardown() {} })
} satisfies Environment;
