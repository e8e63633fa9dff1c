/** What every door of the server does with a request's headers. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';

/**
 * The visitor's address. Every proxy appends the address that it was called from to
 * `X-Forwarded-For`, so only the last `trustedProxies` entries were written by proxies of our own;
 * what stands to the left of them anybody can have made up.
 */
export function clientAddress(
	request: { headers: IncomingHttpHeaders; socket: { remoteAddress?: string | undefined } },
	trustedProxies: number
): string {
	const peer = bareAddress(request.socket.remoteAddress ?? '') ?? '';
	if (trustedProxies === 0) return peer;
	const forwarded = String(request.headers['x-forwarded-for'] ?? '')
		.split(',')
		.map((entry) => entry.trim())
		.filter((entry) => entry !== '');
	// Fewer entries than proxies: one of them was called directly, and its entry is the first.
	const entry = forwarded[Math.max(0, forwarded.length - trustedProxies)];
	return (entry !== undefined && bareAddress(entry)) || peer;
}

/** Without port and brackets, and an IPv4 address as such; undefined when it is no address. */
function bareAddress(text: string): string | undefined {
	const address = text
		.replace(/^\[([^\]]*)\](?::\d+)?$/, '$1')
		.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
		.replace(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i, '$1')
		.replace(/%.*$/, '');
	return isIP(address) ? address.toLowerCase() : undefined;
}

/**
 * What limits are counted by. One household or rented machine has a whole /64 of IPv6 addresses;
 * counted one by one, they would be 2⁶⁴ fresh starts.
 */
export function networkOf(address: string): string {
	if (!isIPv6(address)) return address;
	// The URL parser writes an address in its one canonical form.
	const [before = '', after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
	const head = before ? before.split(':') : [];
	const tail = after ? after.split(':') : [];
	const zeros = after === undefined ? 0 : 8 - head.length - tail.length;
	const groups = [...head, ...Array<string>(zeros).fill('0'), ...tail];
	return `${groups.slice(0, 4).join(':')}::/64`;
}

/** The value of a cookie; the first where there are several. Others that are malformed do no harm. */
export function readCookie(header: string | null | undefined, name: string): string | undefined {
	for (const pair of (header ?? '').split(';')) {
		const at = pair.indexOf('=');
		if (at < 0 || pair.slice(0, at).trim() !== name) continue;
		const value = pair.slice(at + 1).trim();
		try {
			return decodeURIComponent(value);
		} catch {
			return undefined; // Not one of ours: we encode what we set.
		}
	}
	return undefined;
}

/**
 * Whether a request may change something: it has to come from our own pages. Every browser tells
 * the origin of such a request, so one that tells none is refused as well; a program can say it.
 */
export function originAllowed(
	method: string,
	headers: IncomingHttpHeaders,
	ownOrigin: string | undefined
): boolean {
	if (['GET', 'HEAD', 'OPTIONS'].includes(method)) return true;
	const { origin, host } = headers;
	if (origin === undefined) return headers['sec-fetch-site'] === 'same-origin';
	if (ownOrigin !== undefined) return origin === ownOrigin;
	// In development the app has whatever address it is opened by.
	return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

/** For every answer; pages add their own Content-Security-Policy, with its nonce. */
export function securityHeaders(ownOrigin: string | undefined): Record<string, string> {
	return {
		'x-content-type-options': 'nosniff',
		'x-frame-options': 'DENY',
		// An address names a conversation: other sites are not told where a link was followed.
		'referrer-policy': 'same-origin',
		'cross-origin-opener-policy': 'same-origin',
		'cross-origin-resource-policy': 'same-origin',
		'origin-agent-cluster': '?1',
		'permissions-policy':
			'camera=(), microphone=(), display-capture=(), geolocation=(), payment=(), usb=()',
		...(ownOrigin?.startsWith('https:') && { 'strict-transport-security': 'max-age=63072000' })
	};
}

/** For answers that are data: should one ever be opened as a page, it can do nothing. */
export function dataHeaders(ownOrigin: string | undefined): Record<string, string> {
	return {
		...securityHeaders(ownOrigin),
		'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
		'cache-control': 'no-store'
	};
}

/** The body of a request; undefined when it is larger than that many bytes. */
export async function readBody(
	request: IncomingMessage,
	sizeMax: number
): Promise<string | undefined> {
	return new Promise((resolve, reject) => {
		const parts: Buffer[] = [];
		let size = 0;
		request.on('data', (part: Buffer) => {
			size += part.length;
			if (size > sizeMax) {
				request.pause();
				resolve(undefined);
			} else parts.push(part);
		});
		request.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
		request.on('error', reject);
	});
}

/** The same as JSON; undefined when it is too large or no JSON. */
export async function readJson(request: IncomingMessage, sizeMax: number): Promise<unknown> {
	const text = await readBody(request, sizeMax);
	if (text === undefined) return undefined;
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
