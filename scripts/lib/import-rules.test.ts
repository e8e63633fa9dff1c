import { describe, expect, test } from 'vitest';
import { importsOf, violations } from './import-rules.ts';

const judge = (files: Record<string, string>) =>
	violations(new Map(Object.entries(files).map(([file, text]) => [file, importsOf(file, text)])));

const server = 'src/lib/server';

describe('is allowed', () => {
	test.each([
		[
			'shared to shared',
			'src/lib/shared/sync.ts',
			`import { z } from 'zod'; import './events.ts';`
		],
		[
			'an upper feature to a lower one',
			`${server}/messages/messages.ts`,
			`import { findMember } from '../conversations/conversations.ts';`
		],
		[
			'any feature to any schema',
			`${server}/accounts/accounts.ts`,
			`import { message } from '../messages/schema.ts';`
		],
		[
			'a feature to the type of the context',
			`${server}/messages/messages.ts`,
			`import type { Context } from '../trpc/context.ts';`
		],
		[
			'a feature to the type of the services',
			`${server}/messages/messages.ts`,
			`import type { Services } from '../services.ts';`
		],
		[
			'a router to the procedures',
			`${server}/messages/router.ts`,
			`import { router } from '../trpc/procedures.ts';`
		],
		[
			'the root router to routers',
			`${server}/trpc/router.ts`,
			`import { messagesRouter } from '../messages/router.ts';`
		],
		[
			'the client to the router’s type',
			'src/lib/client/trpc.ts',
			`import type { AppRouter } from '#lib/server/trpc/router.ts';`
		],
		[
			'a load function to the server',
			'src/routes/(app)/+layout.server.ts',
			`import { getApp } from '#lib/server/app.ts';`
		],
		[
			'a test to anything',
			`${server}/accounts/accounts.test.ts`,
			`import { send } from '../messages/writer.ts';`
		]
	])('%s', (_, file, text) => {
		expect(judge({ [file]: text })).toEqual([]);
	});
});

describe('is refused', () => {
	test.each([
		['shared to a package', 'src/lib/shared/sync.ts', `import postgres from 'postgres';`],
		[
			'shared to the server',
			'src/lib/shared/sync.ts',
			`import type { A } from '#lib/server/accounts/accounts.ts';`
		],
		[
			'platform to a feature',
			`${server}/platform/db.ts`,
			`import { person } from '../accounts/schema.ts';`
		],
		[
			'realtime to a feature',
			`${server}/realtime/hub.ts`,
			`import { findMember } from '../conversations/conversations.ts';`
		],
		[
			'a lower feature to an upper one',
			`${server}/accounts/accounts.ts`,
			`import { send } from '../messages/messages.ts';`
		],
		[
			'messages to what listens to it',
			`${server}/messages/messages.ts`,
			`import { push } from '../notifications/notifications.ts';`
		],
		[
			'a feature past the door of another',
			`${server}/messages/messages.ts`,
			`import { a } from '../conversations/members.ts';`
		],
		[
			'a feature to a router',
			`${server}/messages/messages.ts`,
			`import { r } from '../accounts/router.ts';`
		],
		[
			'a feature to the procedures',
			`${server}/messages/messages.ts`,
			`import type { procedure } from '../trpc/procedures.ts';`
		],
		[
			'a feature to the services themselves',
			`${server}/messages/messages.ts`,
			`import { make } from '../services.ts';`
		],
		[
			'a feature to the app',
			`${server}/messages/messages.ts`,
			`import { getApp } from '../app.ts';`
		],
		[
			'the server to SvelteKit',
			`${server}/accounts/accounts.ts`,
			`import { dev } from '$app/environment';`
		],
		[
			'a component to the server',
			'src/lib/client/ui/Button.svelte',
			`<script lang="ts">import type { Person } from '#lib/server/accounts/accounts.ts';</script>`
		],
		[
			'a component to more than the router’s type',
			'src/lib/client/trpc.ts',
			`import type { AppRouter, Context } from '#lib/server/trpc/router.ts';`
		],
		[
			'the router as a value',
			'src/lib/client/trpc.ts',
			`import { AppRouter } from '#lib/server/trpc/router.ts';`
		],
		[
			'the server by the back door',
			'src/lib/client/trpc.ts',
			`const load = () => import('../server/app.ts');`
		],
		['a type in passing', 'src/lib/client/trpc.ts', `type A = import('../server/app.ts').App;`],
		[
			'a page to the server',
			'src/routes/(app)/+layout.ts',
			`import { getApp } from '#lib/server/app.ts';`
		],
		['a page to Node', 'src/routes/+page.svelte', `<script>import fs from 'node:fs';</script>`],
		['a re-export', 'src/lib/client/index.ts', `export * from '#lib/server/accounts/accounts.ts';`],
		[
			'the server to what tests are made of',
			`${server}/accounts/accounts.ts`,
			`import { PASSWORD } from './testing.ts';`
		]
	])('%s', (_, file, text) => {
		expect(judge({ [file]: text })).toHaveLength(1);
	});

	test('a circle, but not one of types', () => {
		const a = 'src/lib/shared/a.ts';
		const b = 'src/lib/shared/b.ts';
		expect(
			judge({ [a]: `import { b } from './b.ts';`, [b]: `import { a } from './a.ts';` })
		).toEqual([`a circle: ${a} → ${b} → ${a}`]);
		expect(
			judge({ [a]: `import { b } from './b.ts';`, [b]: `import type { a } from './a.ts';` })
		).toEqual([]);
	});
});
