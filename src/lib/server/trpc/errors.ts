import { TRPCError, type TRPC_ERROR_CODE_KEY } from '@trpc/server';
import { isOutOfReach } from '../platform/db.ts';
import { AppError, type ErrorCode, type ErrorDetails } from '#lib/shared/errors.ts';

/** The one place where our codes become tRPC's. */
const TRPC_CODES: Record<ErrorCode, TRPC_ERROR_CODE_KEY> = {
	not_found: 'NOT_FOUND',
	not_signed_in: 'UNAUTHORIZED',
	wrong_credentials: 'UNAUTHORIZED',
	wrong_password: 'BAD_REQUEST',
	too_many_attempts: 'TOO_MANY_REQUESTS',
	sending_too_fast: 'TOO_MANY_REQUESTS',
	username_taken: 'CONFLICT',
	email_taken: 'CONFLICT',
	invalid_input: 'BAD_REQUEST',
	too_long: 'PAYLOAD_TOO_LARGE',
	not_allowed: 'FORBIDDEN',
	changed_meanwhile: 'CONFLICT',
	too_many_reactions: 'CONFLICT',
	server_busy: 'SERVICE_UNAVAILABLE',
	origin_refused: 'FORBIDDEN',
	internal: 'INTERNAL_SERVER_ERROR'
};

/** A Postgres that starts anew takes about so long. */
const AWAY_SECONDS = 2;

/** What a client reads in `error.data`. */
export interface SpokenError extends ErrorDetails {
	code: TRPC_ERROR_CODE_KEY;
	httpStatus: number;
	reason: ErrorCode;
}

export function toTrpcError(error: TRPCError, report: (cause: unknown) => void): TRPCError {
	const cause = error.cause;
	if (cause instanceof AppError) return spoken(cause);
	if (error.code !== 'INTERNAL_SERVER_ERROR') return error;
	report(cause ?? error);
	// What went wrong inside is for the log, not for who is asking, but for that they may come back.
	return spoken(
		isOutOfReach(cause)
			? new AppError('server_busy', { retryAfter: AWAY_SECONDS })
			: new AppError('internal')
	);
}

const spoken = (cause: AppError): TRPCError =>
	new TRPCError({ code: TRPC_CODES[cause.code], message: cause.code, cause });

/** What a client is told of an error. */
export function reasonFor(error: TRPCError): ErrorCode {
	return error.cause instanceof AppError ? error.cause.code : reasonOf(error.code);
}

export function shapeError<S extends { code: number; message: string; data: object }>(
	shape: S,
	error: TRPCError
) {
	const cause = error.cause instanceof AppError ? error.cause : undefined;
	const reason = reasonFor(error);
	const data: SpokenError = {
		...cause?.details,
		code: error.code,
		httpStatus: 'httpStatus' in shape.data ? Number(shape.data.httpStatus) : 500,
		reason
	};
	return { code: shape.code, message: reason, data };
}

function reasonOf(code: TRPC_ERROR_CODE_KEY): ErrorCode {
	if (code === 'BAD_REQUEST' || code === 'PARSE_ERROR') return 'invalid_input';
	if (code === 'NOT_FOUND' || code === 'METHOD_NOT_SUPPORTED') return 'not_found';
	if (code === 'PAYLOAD_TOO_LARGE') return 'too_long';
	return 'internal';
}
