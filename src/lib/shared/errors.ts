/**
 * All that can go wrong between the two halves. The server throws these, `trpc/errors.ts` maps them,
 * the client puts them into words. What is missing and what is forbidden are both `not_found`.
 */
export const ERROR_CODES = [
	'not_found',
	'not_signed_in',
	'wrong_credentials',
	'wrong_password',
	'too_many_attempts',
	'sending_too_fast',
	'username_taken',
	'email_taken',
	'invalid_input',
	'too_long',
	'not_allowed',
	'changed_meanwhile',
	'too_many_reactions',
	'server_busy',
	'origin_refused',
	'internal'
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What travels beside a code. */
export interface ErrorDetails {
	/** Seconds until another try makes sense. */
	retryAfter?: number;
	/** The input that is wrong, where one is. */
	field?: string;
	/** The limit that was passed. */
	max?: number;
}

/** An expected failure, with a code that both halves know. */
export class AppError extends Error {
	override name = 'AppError';
	readonly code: ErrorCode;
	readonly details: ErrorDetails;

	constructor(code: ErrorCode, details: ErrorDetails = {}) {
		super(code);
		this.code = code;
		this.details = details;
	}
}

/** The one answer to what is missing and to what is none of the viewer's business. */
export const notFound = () => new AppError('not_found');
