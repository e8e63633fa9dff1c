import { pino, type DestinationStream, type Logger } from 'pino';
import postgres from 'postgres';

export type Log = Logger;

/**
 * Structured lines on standard output. What people write and what lets somebody in is never put
 * into a log call; the redaction is the second lock on that door.
 */
export function openLog(level: string, to?: DestinationStream): Log {
	return pino(
		{
			level,
			base: undefined,
			serializers: { err: errorForLog },
			redact: {
				paths: ['body', '*.body', 'password', '*.password', 'headers.cookie', '*.headers.cookie'],
				censor: '[hidden]'
			}
		},
		to
	);
}

/** Classes 22 and 23 (data, integrity): Postgres quotes what it was given. */
const QUOTING = /^2[23]/;

/**
 * What went wrong and where, without what it went wrong with: the errors of Drizzle and Postgres
 * carry the parameters of the statement, which are what people wrote, and their addresses.
 */
function errorForLog(error: unknown): unknown {
	if (!(error instanceof Error)) return typeof error;
	const said = {
		type: error.name,
		...('code' in error && { code: error.code }),
		stack: framesOf(error),
		...(error.cause !== undefined && { cause: errorForLog(error.cause) })
	};
	if ('query' in error && 'params' in error) return { ...said, query: error.query };
	if (error instanceof postgres.PostgresError) {
		const { severity, routine, table_name: table, constraint_name: constraint } = error;
		const message = QUOTING.test(error.code) ? undefined : error.message;
		return { ...said, message, severity, routine, table, constraint };
	}
	return { ...said, message: error.message };
}

/** The first lines of a stack repeat the message. */
const framesOf = ({ stack = '' }: Error) =>
	stack
		.split('\n')
		.filter((line) => /^\s+at /.test(line))
		.join('\n');
