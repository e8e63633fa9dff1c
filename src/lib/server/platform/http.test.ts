import { describe, expect, test } from 'vitest';
import {
	clientAddress,
	dataHeaders,
	networkOf,
	originAllowed,
	readCookie,
	securityHeaders
} from './http.ts';

describe('the address of a visitor', () => {
	const from = (forwarded: string | undefined, peer = '10.0.0.9') => ({
		headers: { 'x-forwarded-for': forwarded },
		socket: { remoteAddress: peer }
	});

	test.each([
		['without proxies the header is anybody’s invention', from('6.6.6.6'), 0, '10.0.0.9'],
		['one proxy: its entry is the last', from('6.6.6.6, 1.2.3.4'), 1, '1.2.3.4'],
		['two proxies: the last but one', from('6.6.6.6, 1.2.3.4, 10.0.0.1'), 2, '1.2.3.4'],
		['a proxy of two was called directly', from('1.2.3.4'), 2, '1.2.3.4'],
		['the proxy itself asks', from(undefined), 1, '10.0.0.9'],
		['an empty header', from(' , '), 1, '10.0.0.9'],
		['nonsense', from('<script>'), 1, '10.0.0.9'],
		['a port', from('1.2.3.4:5678'), 1, '1.2.3.4'],
		['IPv6 with a port', from('[2001:DB8::1]:443'), 1, '2001:db8::1'],
		['IPv4 in IPv6', from(undefined, '::ffff:1.2.3.4'), 0, '1.2.3.4'],
		['a link-local zone', from(undefined, 'fe80::1%eth0'), 0, 'fe80::1']
	])('%s', (_, request, proxies, expected) => {
		expect(clientAddress(request, proxies)).toBe(expected);
	});

	test('a socket that is already closed has none', () => {
		expect(clientAddress({ headers: {}, socket: {} }, 0)).toBe('');
	});
});

test.each([
	['1.2.3.4', '1.2.3.4'],
	['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
	['2001:db8:1:2::', '2001:db8:1:2::/64'],
	['2001:0DB8:0001:0002:ffff::1', '2001:db8:1:2::/64'],
	['2001:db8::1', '2001:db8:0:0::/64'],
	['::1', '0:0:0:0::/64'],
	['64:ff9b::1.2.3.4', '64:ff9b:0:0::/64'],
	['', '']
])('limits count %s as %s', (address, network) => {
	expect(networkOf(address)).toBe(network);
});

test.each([
	['session=abc', 'abc'],
	['theme=dark; session=abc; locale=es', 'abc'],
	['theme=dark;session=abc', 'abc'],
	['session=a%20b', 'a b'],
	['session=a=b', 'a=b'],
	['broken=%E0%A4%A; session=abc', 'abc'],
	['session=%E0%A4%A', undefined],
	['xsession=abc', undefined],
	['session', undefined],
	['session=first; session=second', 'first'],
	['', undefined],
	[undefined, undefined]
])('the cookie in %j is %j', (header, value) => {
	expect(readCookie(header, 'session')).toBe(value);
});

describe('what may change something', () => {
	const own = 'https://chat.example.org';

	test.each([
		['our own page', { origin: own }, true],
		['another site', { origin: 'https://evil.example' }, false],
		['a name that begins like ours', { origin: 'https://chat.example.org.evil.example' }, false],
		['our name without TLS', { origin: 'http://chat.example.org' }, false],
		['our name on another port', { origin: 'https://chat.example.org:8443' }, false],
		['a sandboxed frame', { origin: 'null' }, false],
		['nobody in particular', {}, false],
		['no origin, but the browser vouches', { 'sec-fetch-site': 'same-origin' as const }, true],
		['a sibling host', { 'sec-fetch-site': 'same-site' as const }, false],
		['a forged host', { origin: 'https://evil.example', host: 'evil.example' }, false]
	])('%s', (_, headers, allowed) => {
		expect(originAllowed('POST', headers, own)).toBe(allowed);
		expect(originAllowed('GET', headers, own), 'reading is not changing').toBe(true);
	});

	test('in development any address that the app was opened by', () => {
		const host = '192.168.1.5:3000';
		expect(originAllowed('POST', { origin: `http://${host}`, host }, undefined)).toBe(true);
		expect(originAllowed('POST', { origin: 'http://evil.example', host }, undefined)).toBe(false);
		expect(originAllowed('POST', { origin: 'http://undefined' }, undefined)).toBe(false);
	});
});

test('only an installation with TLS promises TLS', () => {
	expect(securityHeaders('https://chat.example.org')).toHaveProperty('strict-transport-security');
	expect(securityHeaders('http://localhost:3000')).not.toHaveProperty('strict-transport-security');
	expect(securityHeaders(undefined)).toMatchObject({ 'x-content-type-options': 'nosniff' });
	expect(dataHeaders(undefined)['content-security-policy']).toContain("default-src 'none'");
});
