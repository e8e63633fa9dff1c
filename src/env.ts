/**
 * Every setting of the app, in one place: name, meaning, default, check.
 *
 * `variables` has the form that SvelteKit expects of `src/env.ts`; nothing here is public, so none
 * of it reaches a browser. `docs/configuration.md` is generated from it by `pnpm docs:env`.
 */
import { z } from 'zod';

interface Setting<T> {
	description: string;
	schema: z.ZodType<T>;
	/** Shown in the docs in place of the value, where the default depends on something. */
	shownDefault?: string;
}

const setting = <T>(description: string, schema: z.ZodType<T>, shownDefault?: string) =>
	({ description, schema, shownDefault }) satisfies Setting<T>;

const count = (fallback: number, min = 0) =>
	z.coerce.number().int().min(min).default(fallback) as z.ZodType<number>;

/** The password of the embedded development database; never accepted in production. */
export const DEVELOPMENT_PASSWORD = 'tertulia-development';

export const variables = {
	NODE_ENV: setting(
		'`production` turns on all the checks of a real installation.',
		z.enum(['development', 'test', 'production']).default('development')
	),
	ORIGIN: setting(
		'The address that people open, such as `https://chat.example.org`. Required in production, where it must be https (except for localhost). Mutations from any other origin are refused.',
		z.url({ protocol: /^https?$/ }).optional(),
		'the host of the request (development only)'
	),
	HOST: setting('The address to listen on.', z.string().default('0.0.0.0')),
	PORT: setting('The port to listen on. 0 takes a free one.', count(3000)),
	DATABASE_URL: setting(
		'Postgres, version 15 or newer. The only thing that the app cannot run without.',
		// Empty only while building, where SvelteKit reads this file too; `readEnv` wants a value.
		z.union([z.literal(''), z.url({ protocol: /^postgres(ql)?$/ })]).default(''),
		'none: required'
	),
	DATABASE_DIRECT_URL: setting(
		'Postgres itself, where `DATABASE_URL` leads to a pooler such as PgBouncer: for migrations, and for the one connection that listens. To PgBouncer before 1.21 add `?prepare=false` to `DATABASE_URL`.',
		z.url({ protocol: /^postgres(ql)?$/ }).optional(),
		'the same as `DATABASE_URL`'
	),
	DATABASE_POOL: setting('Connections to Postgres per process.', count(10, 2)),
	REDIS_URL: setting(
		'Redis, needed when several processes run: limits are then counted together, and who is online is known together.',
		z.url({ protocol: /^rediss?$/ }).optional(),
		'none: kept in memory'
	),
	TRUSTED_PROXIES: setting(
		'How many proxies of your own stand in front. The address of a visitor is read that far from the right of `X-Forwarded-For`; with 0 the header is ignored.',
		count(0)
	),
	SESSION_DAYS: setting('Days without use after which a session ends.', count(30, 1)),
	SEND_LIMIT_PER_MINUTE: setting('Messages that one person may send in a minute.', count(120, 1)),
	SEND_BURST: setting('Of these, how many at once.', count(30, 1)),
	SIGN_IN_LIMIT_PER_ADDRESS: setting(
		'Failed sign-ins and sign-ups from one address in a quarter of an hour.',
		count(60, 1)
	),
	SIGN_IN_LIMIT_PER_ACCOUNT: setting(
		'Failed sign-ins into one account in a quarter of an hour.',
		count(10, 1)
	),
	STREAM_BUFFER_KIB: setting(
		'What a slow event stream may leave unread before it is closed and told to sync.',
		count(256, 16)
	),
	SHUTDOWN_SECONDS: setting('How long a stop waits for requests that are under way.', count(10)),
	DEMO: setting(
		'`1` offers the demonstration people on the sign-in page, without a password. Refused in production.',
		z
			.enum(['0', '1'])
			.default('0')
			.transform((v) => v === '1') as unknown as z.ZodType<boolean>
	),
	METRICS_TOKEN: setting(
		'What a scraper has to say (`Authorization: Bearer …`) to read `/metrics`. Without it they are told to who calls a process directly from the same machine or a private network, and to nobody who comes through a proxy.',
		z.string().min(16, 'at least 16 characters').optional(),
		'none: private networks alone'
	),
	LOG_LEVEL: setting(
		'`silent`, `error`, `warn`, `info` or `debug`. Bodies of messages are logged at none of them.',
		z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info')
	)
} as const;

export type Env = { [K in keyof typeof variables]: z.output<(typeof variables)[K]['schema']> };

export class SettingsError extends Error {
	override name = 'SettingsError';
}

/** Parses the environment; throws `SettingsError` with one line per wrong setting. */
export function readEnv(source: Record<string, string | undefined>): Env {
	const problems: string[] = [];
	const env: Record<string, unknown> = {};
	for (const [name, { schema }] of Object.entries(variables)) {
		const parsed = schema.safeParse(source[name] || undefined);
		if (parsed.success) env[name] = parsed.data;
		else problems.push(`${name}: ${parsed.error.issues.map((i) => i.message).join('; ')}`);
	}
	const result = env as Env;
	if (result.DATABASE_URL === '') problems.push('DATABASE_URL: required');
	if (problems.length === 0 && result.NODE_ENV === 'production') {
		problems.push(...productionProblems(result));
	}
	if (problems.length > 0) {
		throw new SettingsError(`These settings need attention:\n  ${problems.join('\n  ')}`);
	}
	return result;
}

/** What asks for a connection of its own, and not one from a pooler. */
export const directUrl = ({ DATABASE_DIRECT_URL, DATABASE_URL }: Env) =>
	DATABASE_DIRECT_URL ?? DATABASE_URL;

function productionProblems(env: Env): string[] {
	const problems: string[] = [];
	if (!env.ORIGIN) {
		problems.push('ORIGIN: required in production, such as https://chat.example.org');
	} else {
		const { protocol, hostname, origin } = new URL(env.ORIGIN);
		if (protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)) {
			problems.push('ORIGIN: must be https, or the session cookie could be read on the way');
		}
		if (origin !== env.ORIGIN) problems.push(`ORIGIN: write it as ${origin}, without a path`);
	}
	for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL'] as const) {
		const url = env[name];
		const password = url && decodeURIComponent(new URL(url).password);
		if (
			password &&
			[DEVELOPMENT_PASSWORD, 'postgres', 'password', 'change-me'].includes(password)
		) {
			problems.push(`${name}: has a default password; choose one of your own`);
		}
	}
	if (env.DEMO) problems.push('DEMO: lets anybody in without a password; not in production');
	return problems;
}
