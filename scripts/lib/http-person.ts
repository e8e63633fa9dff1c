import { createTRPCClient, httpLink, TRPCClientError } from '@trpc/client';
import type { AppRouter } from '../../src/lib/server/trpc/router.ts';
import type { ErrorCode } from '../../src/lib/shared/errors.ts';

/** Somebody at a running server, by the same HTTP procedures as a browser. */
export class HttpPerson {
	readonly call: ReturnType<typeof createTRPCClient<AppRouter>>;
	#cookie = '';

	constructor(url: string) {
		this.call = createTRPCClient<AppRouter>({
			links: [
				httpLink({
					url: `${url}/trpc`,
					headers: () => ({ origin: url, cookie: this.#cookie, 'user-agent': 'Tertulia script' }),
					fetch: async (input, options) => {
						const answer = await fetch(input, options);
						for (const cookie of answer.headers.getSetCookie()) {
							this.#cookie = cookie.split(';', 1)[0] ?? '';
						}
						return answer;
					}
				})
			]
		});
	}
}

/** Why a call was refused, and the seconds to wait where waiting helps. */
export function refusalOf(error: unknown): { reason: ErrorCode | 'network'; retryAfter: number } {
	const data = error instanceof TRPCClientError ? (error.data as RefusalData | null) : null;
	return { reason: data?.reason ?? 'network', retryAfter: data?.retryAfter ?? 0 };
}

interface RefusalData {
	reason?: ErrorCode;
	retryAfter?: number;
}
