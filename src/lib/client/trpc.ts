/** The typed way to the server's procedures. */
import { createTRPCClient, type TRPCLink } from '@trpc/client';
import { httpBatchLink } from '@trpc/client/links/httpBatchLink';
import { observable } from '@trpc/server/observable';
import type { AppRouter } from '#lib/server/trpc/router.ts';
import type { ErrorCode, ErrorDetails } from '#lib/shared/errors.ts';

/** On a dead network a request would hang for minutes; every call can be repeated safely. */
const TIMEOUT_MS = 20_000;

const signedOutListeners = new Set<() => void>();

/** Tells when the server no longer knows who is asking, whichever call found out. */
export function onSignedOut(listener: () => void): () => void {
	signedOutListeners.add(listener);
	return () => signedOutListeners.delete(listener);
}

const noticeSignedOut: TRPCLink<AppRouter> =
	() =>
	({ op, next }) =>
		observable((observer) =>
			next(op).subscribe({
				next: (value) => observer.next(value),
				error(error) {
					if (errorReason(error) === 'not_signed_in') for (const tell of signedOutListeners) tell();
					observer.error(error);
				},
				complete: () => observer.complete()
			})
		);

let speaker: string | undefined;

/**
 * For whom this page speaks from now on. Whoever signs in later in another tab has the same cookie
 * jar: the server refuses what this page then says, and the page ends.
 */
export function speakFor(personId: string): void {
	speaker = personId;
}

export const api = createTRPCClient<AppRouter>({
	links: [
		noticeSignedOut,
		httpBatchLink({
			url: '/trpc',
			maxURLLength: 4000,
			// What several conversations have to send goes in one body, and a server takes 512 KiB.
			maxItems: 8,
			headers: () => (speaker === undefined ? {} : { 'x-tertulia-person': speaker }),
			fetch: (url, options) => fetch(url, { ...options, signal: withTimeout(options?.signal) })
		})
	]
});

function withTimeout(signal: AbortSignal | null | undefined): AbortSignal {
	const timeout = AbortSignal.timeout(TIMEOUT_MS);
	return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

/** Why a call failed. Whatever did not come from our procedures is the network's doing. */
export function errorReason(error: unknown): ErrorCode | 'network' {
	return spoken(error)?.reason ?? 'network';
}

/** What the server said beside the reason: seconds to wait, the field, the limit. */
export function errorDetails(error: unknown): ErrorDetails {
	return spoken(error) ?? {};
}

export { errorReason as errorCode };

/** Seconds until another try makes sense. */
export function errorSeconds(error: unknown): number | undefined {
	return errorDetails(error).retryAfter;
}

function spoken(error: unknown): (ErrorDetails & { reason: ErrorCode }) | undefined {
	if (!(error instanceof Error) || !('data' in error)) return undefined;
	const data = error.data as (ErrorDetails & { reason?: ErrorCode }) | null | undefined;
	return data?.reason ? { ...data, reason: data.reason } : undefined;
}
