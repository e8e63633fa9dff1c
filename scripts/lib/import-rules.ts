/**
 * Who may import what: the map of the code in docs/architecture.md, enforced by `pnpm check`.
 *
 * It reads the sources rather than what they compile to, since a compiled component has lost its
 * type imports, and these are held to the same map.
 */
import path from 'node:path';
import ts from 'typescript';

export interface Import {
	/** A path from the root of the repository, or the name of a package. */
	target: string;
	typeOnly: boolean;
	names: string[];
}

type Zone =
	| 'env'
	| 'shared'
	| 'platform'
	| 'realtime'
	| 'jobs'
	| 'feature'
	| 'feature router'
	| 'trpc'
	| 'root router'
	| 'services'
	| 'app'
	| 'client'
	| 'page'
	| 'server route'
	| 'start'
	| 'test'
	| 'elsewhere';

/** Lower features never call upper ones; what is not named here stands above all of these. */
const FEATURE_ORDER = ['accounts', 'conversations', 'messages'];

/** What may be imported from each zone, as value or type. Features among each other: `featureRule`. */
const ALLOWED: Record<Zone, Zone[]> = {
	env: [],
	shared: ['shared'],
	platform: ['platform', 'env'],
	realtime: ['realtime', 'platform', 'shared', 'env'],
	jobs: ['jobs', 'platform', 'shared', 'env'],
	feature: ['feature', 'realtime', 'jobs', 'platform', 'shared', 'env'],
	'feature router': ['feature', 'trpc', 'realtime', 'jobs', 'platform', 'shared', 'env'],
	trpc: ['trpc', 'feature', 'platform', 'shared', 'env'],
	'root router': ['trpc', 'feature router'],
	services: ['feature', 'realtime', 'jobs', 'platform', 'shared', 'env'],
	app: [
		'services',
		'root router',
		'trpc',
		'feature',
		'realtime',
		'jobs',
		'platform',
		'shared',
		'env'
	],
	client: ['client', 'shared'],
	page: ['page', 'client', 'shared'],
	'server route': [
		'server route',
		'page',
		'client',
		'shared',
		'app',
		'services',
		'trpc',
		'feature',
		'platform',
		'env'
	],
	start: ['app', 'services', 'trpc', 'feature', 'platform', 'client', 'shared', 'env', 'start'],
	test: [],
	elsewhere: []
};

export function zoneOf(file: string): Zone {
	if (/\.test\.ts$|\/testing\.ts$/.test(file)) return 'test';
	const server = /^src\/lib\/server\/(.+)$/.exec(file)?.[1];
	if (server !== undefined) return serverZoneOf(server);
	if (file === 'src/env.ts') return 'env';
	if (file.startsWith('src/lib/shared/')) return 'shared';
	if (file.startsWith('src/lib/client/')) return 'client';
	if (/^src\/routes\/.*\+[\w@]*\.?server\.ts$/.test(file)) return 'server route';
	if (file.startsWith('src/routes/')) return 'page';
	if (file.startsWith('src/service-worker')) return 'client';
	if (/^src\/(entry|hooks\.server)\.ts$/.test(file)) return 'start';
	if (/^src\/hooks(\.client)?\.ts$/.test(file)) return 'page';
	return 'elsewhere';
}

function serverZoneOf(file: string): Zone {
	const [folder, name] = file.split('/');
	if (name === undefined) return folder === 'app.ts' ? 'app' : 'services';
	if (folder === 'platform' || folder === 'realtime' || folder === 'jobs') return folder;
	if (folder === 'trpc') return name === 'router.ts' ? 'root router' : 'trpc';
	return name === 'router.ts' ? 'feature router' : 'feature';
}

/** One sentence for each import that is against the map, and for each circle of imports. */
export function violations(modules: Map<string, Import[]>): string[] {
	const found: string[] = [];
	for (const [file, imports] of modules) {
		for (const one of imports) {
			const reason = isOurs(one.target) ? ruleOn(file, one) : packageRule(file, one.target);
			if (reason) found.push(`${file} imports ${one.target}: ${reason}`);
		}
	}
	return [...found, ...circles(modules)];
}

const isOurs = (target: string) => /^(src|scripts|tests|bench)\//.test(target);

function ruleOn(file: string, { target, typeOnly, names }: Import): string | undefined {
	const [from, to] = [zoneOf(file), zoneOf(target)];
	if (from === 'test' || from === 'elsewhere') return undefined;
	if (to === 'root router' && (from === 'client' || from === 'page')) {
		const onlyTheType = typeOnly && names.every((name) => name === 'AppRouter');
		return onlyTheType ? undefined : 'of the server, only “import type { AppRouter }”';
	}
	// A feature's verbs are given the context of who asks; how it is made is no concern of theirs.
	if (target === 'src/lib/server/trpc/context.ts' && typeOnly && from === 'feature') {
		return undefined;
	}
	// Everybody on the server is given the services; who they are is known to app.ts alone.
	if (to === 'services' && typeOnly && ['feature', 'feature router', 'trpc'].includes(from)) {
		return undefined;
	}
	if (!ALLOWED[from].includes(to)) return `${from} may not import ${to}`;
	if (from === 'feature' || from === 'feature router') return featureRule(file, target);
	return undefined;
}

function featureRule(file: string, target: string): string | undefined {
	const [own, other] = [featureOf(file), featureOf(target)];
	if (!other || own === other) return undefined;
	const name = path.basename(target);
	if (name === 'schema.ts') return undefined;
	if (name !== `${other}.ts`) return `${other} is entered through ${other}.ts (or schema.ts)`;
	if (rank(other) > rank(own!)) return `${own} stands below ${other}, and lower never calls upper`;
	return undefined;
}

function featureOf(file: string): string | undefined {
	return zoneOf(file).startsWith('feature') ? file.split('/')[3] : undefined;
}

function rank(feature: string): number {
	const place = FEATURE_ORDER.indexOf(feature);
	return place === -1 ? FEATURE_ORDER.length : place;
}

function packageRule(file: string, target: string): string | undefined {
	const zone = zoneOf(file);
	const isKit = target.startsWith('$');
	if (zone === 'shared' && target !== 'zod') return 'shared knows zod and itself alone';
	if (file.startsWith('src/lib/server/') && isKit) return 'the server half runs without SvelteKit';
	if ((zone === 'client' || zone === 'page') && target.startsWith('node:')) {
		return 'this runs in browsers';
	}
	return undefined;
}

/** Types may go round in circles: nothing runs through them. */
function circles(modules: Map<string, Import[]>): string[] {
	const found: string[] = [];
	const done = new Set<string>();
	const visit = (file: string, trail: string[]) => {
		const start = trail.indexOf(file);
		if (start !== -1) found.push(`a circle: ${[...trail.slice(start), file].join(' → ')}`);
		if (start !== -1 || done.has(file)) return;
		for (const { target, typeOnly } of modules.get(file) ?? []) {
			if (!typeOnly) visit(target, [...trail, file]);
		}
		done.add(file);
	};
	for (const file of modules.keys()) visit(file, []);
	return found;
}

/** Every import and re-export of a TypeScript file or a Svelte component. */
export function importsOf(file: string, text: string): Import[] {
	const script = file.endsWith('.svelte') ? scriptsOf(text) : text;
	const found: Import[] = [];
	const add = (specifier: ts.Node | undefined, typeOnly: boolean, names: string[]) => {
		if (!specifier || !ts.isStringLiteralLike(specifier)) return;
		const target = resolve(file, specifier.text);
		if (target) found.push({ target, typeOnly, names });
	};
	const visit = (node: ts.Node): void => {
		if (ts.isImportDeclaration(node)) {
			add(node.moduleSpecifier, ...namesOf(node.importClause));
		} else if (ts.isExportDeclaration(node)) {
			add(node.moduleSpecifier, node.isTypeOnly, []);
		} else if (ts.isImportTypeNode(node)) {
			const literal = ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
			add(literal, true, node.qualifier ? [node.qualifier.getText()] : ['*']);
		} else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
			add(node.arguments[0], false, ['*']);
		}
		ts.forEachChild(node, visit);
	};
	visit(ts.createSourceFile(`${file}.ts`, script, ts.ScriptTarget.Latest, true));
	return found;
}

function scriptsOf(component: string): string {
	return [...component.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map(([, s]) => s).join('\n');
}

function namesOf(clause: ts.ImportClause | undefined): [typeOnly: boolean, names: string[]] {
	if (!clause) return [false, []];
	const bindings = clause.namedBindings;
	const named = bindings && ts.isNamedImports(bindings) ? [...bindings.elements] : [];
	const names = named.map(({ propertyName, name }) => (propertyName ?? name).text);
	if (clause.name) names.push('default');
	if (bindings && ts.isNamespaceImport(bindings)) names.push('*');
	const everyNameIsType = named.length > 0 && !clause.name && named.every((n) => n.isTypeOnly);
	const typeOnly = clause.phaseModifier === ts.SyntaxKind.TypeKeyword || everyNameIsType;
	return [typeOnly, names];
}

/** As package.json's `imports` has it. SvelteKit's generated `./$types` concern nobody. */
function resolve(file: string, specifier: string): string | undefined {
	if (specifier.endsWith('/$types')) return undefined;
	if (specifier === '#env') return 'src/env.ts';
	if (specifier.startsWith('#lib/')) return specifier.replace('#lib/', 'src/lib/');
	if (specifier.startsWith('.')) return path.posix.join(path.posix.dirname(file), specifier);
	return specifier;
}
