/**
 * Preloaded into the torture (`--import`), so that plain Node runs the client's code as a browser
 * does: modules with runes are compiled by Svelte, with Svelte's own build for browsers.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { compileModule } from 'svelte/compiler';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const compilerOptions = {
	target: ScriptTarget.ESNext,
	module: ModuleKind.ESNext,
	verbatimModuleSyntax: true
};

registerHooks({
	resolve(specifier, context, nextResolve) {
		const isSvelte =
			/^svelte(\/|$)/.test(specifier) || context.parentURL?.includes('/node_modules/svelte/');
		if (!isSvelte) return nextResolve(specifier, context);
		return nextResolve(specifier, {
			...context,
			conditions: [...context.conditions, 'browser']
		});
	},
	load(url, context, nextLoad) {
		if (!url.endsWith('.svelte.ts')) return nextLoad(url, context);
		const filename = fileURLToPath(url);
		const source = readFileSync(filename, 'utf8');
		const { outputText } = transpileModule(source, { fileName: filename, compilerOptions });
		const { js } = compileModule(outputText, { filename, generate: 'client' });
		return { format: 'module', source: js.code, shortCircuit: true };
	}
});
