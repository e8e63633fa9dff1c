import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
	test: {
		globalSetup: 'tests/setup/global.ts',
		maxWorkers: 2,
		projects: [
			{
				test: {
					name: 'unit',
					include: ['{src,scripts,tests/setup,tests/torture}/**/*.test.ts'],
					exclude: ['src/**/*.svelte.test.ts'],
					testTimeout: 20_000,
					hookTimeout: 30_000
				}
			},
			{
				plugins: [svelte({ configFile: false })],
				// Runes in a browser's build of Svelte; there is no DOM, so state classes and not components.
				resolve: { conditions: ['browser'] },
				test: {
					name: 'client',
					environment: './tests/setup/client-environment.ts',
					include: ['src/**/*.svelte.test.ts']
				}
			},
			{
				test: {
					name: 'e2e',
					include: ['tests/e2e/**/*.e2e.ts'],
					// After the others, with one browser and one server at a time: two cores suffice for that.
					sequence: { groupOrder: 1 },
					fileParallelism: false,
					testTimeout: 90_000,
					hookTimeout: 90_000
				}
			}
		]
	}
});
