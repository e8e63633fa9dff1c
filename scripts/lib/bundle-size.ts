/** What a browser fetches before the conversation page runs for the first time, compressed. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { Problem } from './problem.ts';

/** Promised in docs/architecture.md. */
const LIMIT_GZIP_KB = 120;
const ROUTE = '/(app)/c/[id]';
const OUTPUT = path.resolve(import.meta.dirname, '../../.svelte-kit/output');

/** A part of Vite's manifest: https://vite.dev/guide/backend-integration */
export type ViteManifest = Record<string, { file: string; imports?: string[]; css?: string[] }>;

interface RouteManifest {
	client: { imports: string[] };
	routes: {
		id: string;
		page: { layouts: (number | undefined)[]; errors: (number | undefined)[]; leaf: number } | null;
	}[];
}

/** Prints it in one line; above the limit it is a `Problem`. */
export async function reportBundleSize(): Promise<void> {
	const { script, style } = await firstLoad(ROUTE);
	const [brotli, gzip] = [sum(script, brotliCompressSync), sum(script, gzipSync)];
	const line = `First load of the conversation page: ${kB(brotli)} kB JavaScript (brotli), ${kB(gzip)} kB (gzip), ${kB(sum(style, gzipSync))} kB CSS`;
	console.log(line);
	if (gzip > LIMIT_GZIP_KB * 1000) {
		throw new Problem(`That is more than the ${LIMIT_GZIP_KB} kB (gzip) that it may be.`);
	}
}

async function firstLoad(route: string): Promise<{ script: string[]; style: string[] }> {
	const { manifest } = (await import(path.join(OUTPUT, 'server/manifest-full.js'))) as {
		manifest: RouteManifest;
	};
	const page = manifest.routes.find(({ id }) => id === route)?.page;
	if (!page) throw new Problem(`The build has no page ${route}.`);
	const chunks = JSON.parse(
		readFileSync(path.join(OUTPUT, 'client/.vite/manifest.json'), 'utf8')
	) as ViteManifest;

	// SvelteKit's client fetches the error pages of a route together with the page.
	const nodes = [...page.layouts, ...page.errors, page.leaf].filter((node) => node !== undefined);
	const entries = Object.keys(chunks).filter(
		(key) =>
			nodes.some((node) => key.endsWith(`/nodes/${node}.js`)) ||
			manifest.client.imports.includes(chunks[key]!.file)
	);
	return staticFiles(chunks, entries);
}

/** All that the entries import without asking, each file once. */
export function staticFiles(
	chunks: ViteManifest,
	entries: string[]
): { script: string[]; style: string[] } {
	const seen = new Set<string>();
	const style = new Set<string>();
	const visit = (key: string) => {
		if (seen.has(key)) return;
		seen.add(key);
		for (const file of chunks[key]?.css ?? []) style.add(file);
		chunks[key]?.imports?.forEach(visit);
	};
	entries.forEach(visit);
	return { script: [...seen].map((key) => chunks[key]!.file), style: [...style] };
}

function sum(files: string[], compress: (content: Buffer) => Buffer): number {
	return files
		.map((file) => compress(readFileSync(path.join(OUTPUT, 'client', file))).length)
		.reduce((total, size) => total + size, 0);
}

const kB = (bytes: number) => Math.round(bytes / 100) / 10;
