import { expect, test } from 'vitest';
import { linkify } from './links.ts';

const links = (text: string) =>
	linkify(text).flatMap((part) => (part.type === 'link' ? [part.text] : []));

test('a text without links is one part', () => {
	expect(linkify('Nos vemos a las 8. ¿Sí?')).toEqual([
		{ type: 'text', text: 'Nos vemos a las 8. ¿Sí?' }
	]);
	expect(linkify('')).toEqual([]);
});

test('the parts together are the text, whatever it is', () => {
	for (const text of [
		'a https://example.org/x, b',
		'https://a.example https://b.example',
		'(www.example.org)',
		'<img src=https://x.example onerror=alert(1)>',
		'https://',
		'www.'
	]) {
		expect(
			linkify(text)
				.map((part) => part.text)
				.join('')
		).toBe(text);
	}
});

test.each([
	['see https://example.org/a?b=c#d now', ['https://example.org/a?b=c#d']],
	['www.example.org', ['www.example.org']],
	['HTTPS://Example.org/A', ['HTTPS://Example.org/A']],
	['http://localhost:3000/x and http://127.0.0.1', ['http://localhost:3000/x', 'http://127.0.0.1']],
	['Read https://example.org/a.', ['https://example.org/a']],
	['Really, https://example.org?!', ['https://example.org']],
	['(https://example.org/a)', ['https://example.org/a']],
	['(https://example.org/a_(b))', ['https://example.org/a_(b)']],
	['“https://example.org/a”', ['https://example.org/a']],
	['https://es.wikipedia.org/wiki/Café_(bar)', ['https://es.wikipedia.org/wiki/Café_(bar)']],
	['https://münchen.example/ñ', ['https://münchen.example/ñ']]
])('%s', (text, expected) => {
	expect(links(text)).toEqual(expected);
});

test.each([
	'javascript:alert(1)',
	'data:text/html,<script>alert(1)</script>',
	'file:///etc/passwd',
	'javascript:alert(1)//https',
	'https://bank.example@evil.example/',
	'https://user:secret@example.org/',
	'ana@www.example.org',
	'xhttps://example.org',
	'https://',
	'http://[nonsense',
	'www.',
	'www.x'
])('is no link: %s', (text) => {
	expect(links(text)).toEqual([]);
});

test('what turns the direction of the line ends an address', () => {
	expect(links('https://example.org/\u202Egpj.exe')).toEqual(['https://example.org/']);
	expect(links('https://exam\u200Bple.org')).toEqual(['https://exam']);
});

test('a link is only ever http or https', () => {
	const [part] = linkify('www.example.org/a');
	expect(part).toEqual({
		type: 'link',
		text: 'www.example.org/a',
		href: 'https://www.example.org/a'
	});
});
