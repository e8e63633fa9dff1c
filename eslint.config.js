import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import { defineConfig } from 'eslint/config';
import ts from 'typescript-eslint';

export default defineConfig(
	{ ignores: ['node_modules/', '.svelte-kit/', 'build/', '.data/', 'static/', 'drizzle/'] },
	js.configs.recommended,
	ts.configs.strictTypeChecked,
	svelte.configs.recommended,
	{
		languageOptions: {
			parserOptions: {
				projectService: { allowDefaultProject: ['eslint.config.js'] },
				tsconfigRootDir: import.meta.dirname,
				extraFileExtensions: ['.svelte']
			}
		},
		linterOptions: { reportUnusedDisableDirectives: 'error' },
		rules: {
			// The compiler knows the names better.
			'no-undef': 'off',
			'@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
			'@typescript-eslint/switch-exhaustiveness-check': [
				'error',
				{ considerDefaultExhaustiveForUnions: true }
			],
			'@typescript-eslint/no-unused-vars': [
				'error',
				{ argsIgnorePattern: '^_', varsIgnorePattern: '^_' }
			],
			// `${port}` is what one means.
			'@typescript-eslint/restrict-template-expressions': [
				'error',
				{ allowNumber: true, allowBoolean: true }
			],
			// `noUncheckedIndexedAccess` asks for a word where the program knows better.
			'@typescript-eslint/no-non-null-assertion': 'off',
			// `() => stop()` reads well in a handler.
			'@typescript-eslint/no-confusing-void-expression': 'off',
			'@typescript-eslint/no-empty-function': 'off',
			// Nothing else tells that Safari's Enter ended a composition.
			'@typescript-eslint/no-deprecated': ['error', { allow: [{ from: 'lib', name: 'keyCode' }] }],
			// It takes what was checked before an `await` for still true, which is where races are.
			'@typescript-eslint/no-unnecessary-condition': 'off',
			// An implementation that need not wait still keeps the promise of its interface.
			'@typescript-eslint/require-await': 'off',
			// Interfaces here are written as methods, and their objects taken apart.
			'@typescript-eslint/unbound-method': 'off',
			'@typescript-eslint/no-unnecessary-type-parameters': 'off',
			// The environment is such an object.
			'@typescript-eslint/no-dynamic-delete': 'off',
			eqeqeq: 'error',
			'no-console': ['error', { allow: ['error', 'warn'] }]
		}
	},
	{
		files: ['**/*.svelte', '**/*.svelte.ts'],
		languageOptions: { parserOptions: { parser: ts.parser } },
		rules: {
			// Nothing that a person types can run as markup.
			'svelte/no-at-html-tags': 'error',
			// The policy of the pages forbids inline styles; a class or a data attribute says the same.
			'no-restricted-syntax': [
				'error',
				{ selector: 'SvelteAttribute[key.name="style"]', message: 'The CSP blocks inline styles.' }
			],
			// What is not watched is a plain Map on purpose: state is replaced, not changed.
			'svelte/prefer-svelte-reactivity': 'off',
			// There is no base path.
			'svelte/no-navigation-without-resolve': 'off',
			'svelte/require-each-key': 'error',
			'svelte/button-has-type': 'error',
			// `void value` names what an effect depends on.
			'@typescript-eslint/no-meaningless-void-operator': 'off'
		}
	},
	{
		// The types within markup (events, snippets) are known to svelte-check alone; here they are any.
		files: ['**/*.svelte'],
		rules: {
			'@typescript-eslint/no-unsafe-argument': 'off',
			'@typescript-eslint/no-unsafe-assignment': 'off',
			'@typescript-eslint/no-unsafe-call': 'off',
			'@typescript-eslint/no-unsafe-member-access': 'off',
			'@typescript-eslint/no-unsafe-return': 'off'
		}
	},
	{
		files: ['scripts/**', 'tests/torture/**', 'bench/**', 'src/entry.ts'],
		rules: { 'no-console': 'off' }
	},
	{ files: ['eslint.config.js'], extends: [ts.configs.disableTypeChecked] }
);
