import { getTRPCErrorFromUnknown, initTRPC, type TRPCError } from '@trpc/server';
import { AppError } from '#lib/shared/errors.ts';
import type { Services } from '../services.ts';
import type { Context } from './context.ts';
import { reasonFor, shapeError, toTrpcError } from './errors.ts';

const t = initTRPC.context<Context>().create({
	errorFormatter: ({ shape, error }) => shapeError(shape, error)
});

export const router = t.router;
export const createCallerFactory = t.createCallerFactory;

/**
 * Turns our own errors into tRPC's, and keeps everything else to the log. One step and not a
 * middleware of its own: tRPC copies the context for each (`bench/write`).
 */
async function speaking<R extends { ok: true } | { ok: false; error: TRPCError }>(
	{ metrics, log }: Services,
	path: string,
	proceed: () => Promise<R>
): Promise<R> {
	const began = performance.now();
	const result = await proceed().catch((cause: unknown) => ({
		ok: false as const,
		error: getTRPCErrorFromUnknown(cause)
	}));
	metrics.procedures.since(began, path);
	if (result.ok) return result;
	const error = toTrpcError(result.error, (cause) =>
		log.error({ err: cause, path }, 'A procedure failed.')
	);
	metrics.errors.add(1, reasonFor(error));
	throw error;
}

/** For anybody. */
export const publicProcedure = t.procedure.use(({ ctx, next, path }) =>
	speaking(ctx.services, path, () => next())
);

/** For who is signed in: `ctx.viewer` is who is asking. */
export const viewerProcedure = t.procedure.use(({ ctx, next, path }) =>
	speaking(ctx.services, path, async () => {
		const { session } = ctx;
		if (!session) throw new AppError('not_signed_in');
		return next({ ctx: { session, viewer: session.viewer } });
	})
);
