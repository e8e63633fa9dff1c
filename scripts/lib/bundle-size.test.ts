import { expect, test } from 'vitest';
import { staticFiles } from './bundle-size.ts';

test('what is imported statically is counted, once, and what is not is left out', () => {
	const chunks = {
		'nodes/0.js': { file: '0.js', imports: ['_shared.js'], css: ['0.css'] },
		'nodes/2.js': {
			file: '2.js',
			imports: ['_shared.js', '_deep.js'],
			dynamicImports: ['_later.js']
		},
		'_shared.js': { file: 'shared.js', imports: ['_deep.js'], css: ['shared.css'] },
		'_deep.js': { file: 'deep.js', imports: ['_shared.js'] },
		'_later.js': { file: 'later.js' }
	};
	expect(staticFiles(chunks, ['nodes/0.js', 'nodes/2.js'])).toEqual({
		script: ['0.js', 'shared.js', 'deep.js', '2.js'],
		style: ['0.css', 'shared.css']
	});
});
