import adapter from '@sveltejs/adapter-node';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig, isRunnableDevEnvironment, type Plugin } from 'vite';

/**
 * In development the app's own doors (`/events`, `/trpc`, health) stand before SvelteKit in Vite's
 * server, as `src/entry.ts` puts them in production.
 */
function doors(): Plugin {
	return {
		name: 'tertulia-doors',
		apply: 'serve',
		configureServer(server) {
			const { ssr } = server.environments;
			if (!isRunnableDevEnvironment(ssr)) return;
			// The same module graph as SvelteKit's own, so that both find the same app. A change of server
			// code gives a new module: the app of the old one is closed, and its streams come back.
			let latest: object | undefined;
			const loadApp = async () => {
				const module =
					await ssr.runner.import<typeof import('./src/lib/server/app.ts')>(
						'/src/lib/server/app.ts'
					);
				const changed = latest !== undefined && latest !== module;
				latest = module;
				return changed ? module.restartApp() : module.startApp();
			};
			server.middlewares.use((req, res, next) => {
				loadApp().then(
					(app) => app.handle(req, res) || next(),
					(error: unknown) => next(error)
				);
			});
		}
	};
}

export default defineConfig({
	environments: {
		client: {
			build: {
				rolldownOptions: {
					output: {
						codeSplitting: {
							// Each file costs a slow device some milliseconds, also when it comes from the cache: so
							// all styles are one, and what several pages and dialogs use is one too.
							groups: [
								{ name: 'styles', test: /\.css($|\?)|[?&]type=style/ },
								{ name: 'shared', test: /\/(src\/lib|node_modules)\//, minShareCount: 3 }
							]
						}
					}
				}
			}
		}
	},
	plugins: [
		doors(),
		sveltekit({
			adapter: adapter(),
			// The pages that the service worker keeps are shown at addresses of any depth.
			paths: { relative: false },
			// By hand, in production alone: lib/client/shell/app-version.svelte.ts.
			serviceWorker: { register: false },
			csp: {
				mode: 'nonce',
				directives: {
					'default-src': ['none'],
					'script-src': ['self'],
					'style-src': ['self'],
					// One style alone, by its hash: that of SvelteKit's announcer of page changes.
					'style-src-attr': [
						'unsafe-hashes',
						'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo='
					],
					'img-src': ['self', 'data:', 'blob:'],
					'font-src': ['self'],
					'connect-src': ['self'],
					'manifest-src': ['self'],
					'worker-src': ['self'],
					'media-src': ['self', 'blob:'],
					'base-uri': ['none'],
					'form-action': ['self'],
					'frame-ancestors': ['none']
				}
			}
		})
	]
});
