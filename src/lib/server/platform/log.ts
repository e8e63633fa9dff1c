import { pino, type Logger } from 'pino';

export type Log = Logger;

/**
 * Structured lines on standard output. What people write and what lets somebody in is never put
 * into a log call; the redaction is the second lock on that door.
 */
export function openLog(level: string): Log {
	return pino({
		level,
		base: undefined,
		redact: {
			paths: ['body', '*.body', 'password', '*.password', 'headers.cookie', '*.headers.cookie'],
			censor: '[hidden]'
		}
	});
}
