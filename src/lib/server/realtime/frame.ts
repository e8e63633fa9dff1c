import type { StreamEvent } from '#lib/shared/events.ts';

/**
 * An event as the bytes that go to a socket: encoded once, written to every stream it concerns.
 * `chunked` is framed for HTTP/1.1; `bare`, the same memory without the frame, serves a proxy that
 * still speaks HTTP/1.0.
 */
export interface Frame {
	chunked: Buffer;
	bare: Buffer;
}

export function encodeFrame(event: StreamEvent): Frame {
	const data = `data: ${JSON.stringify(event)}\n\n`;
	const size = Buffer.byteLength(data);
	const head = `${size.toString(16)}\r\n`;
	const chunked = Buffer.allocUnsafe(head.length + size + 2);
	chunked.write(head, 0, 'latin1');
	chunked.write(data, head.length, 'utf8');
	chunked.write('\r\n', head.length + size, 'latin1');
	return { chunked, bare: chunked.subarray(head.length, head.length + size) };
}
