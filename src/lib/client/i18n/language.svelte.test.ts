import { expect, test } from 'vitest';
import { en } from './en.ts';
import { Language } from './index.svelte.ts';

test('an error names the limit that was passed, or the seconds to wait, and neither for the other', () => {
	const language = new Language('en', en, 'Europe/Madrid');
	const facts = { seconds: 7, max: 20 };
	expect(language.error('too_many_reactions', facts)).toBe(en.errors.too_many_reactions(20));
	expect(language.error('too_long', facts)).toBe(en.errors.too_long(20));
	expect(language.error('sending_too_fast', facts)).toBe(en.errors.sending_too_fast(7));
	expect(language.error('of_a_newer_server', facts)).toBe(en.errors.internal);
});
