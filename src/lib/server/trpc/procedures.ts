import { initTRPC } from '@trpc/server';
import { AppError } from '#lib/shared/errors.ts';
import type { Context } from './context.ts';
import { reasonFor, shapeError, toTrpcError } from './errors.ts';

const t = initTRPC.context<Context>().create({
	errorFormatter: ({ shape, error }) => shapeError(shape, error)
});

export const router = t.router;
export const createCallerFactory = t.createCallerFactory;

/** Turns our own errors into tRPC's, and keeps everything else to the log. */
const speaking = t.middleware(async ({ ctx, next, path }) => {
	const { metrics, log } = ctx.services;
	const began = performance.now();
	const result = await next();
	metrics.procedures.since(began, path);
	if (result.ok) return result;
	const error = toTrpcError(result.error, (cause) =>
		log.error({ err: cause, path }, 'A procedure failed.')
	);
	metrics.errors.add(1, reasonFor(error));
	throw error;
});

/** For anybody. */
export const publicProcedure = t.procedure.use(speaking);

/** For who is signed in: `ctx.viewer` is who is asking. */
export const viewerProcedure = publicProcedure.use(({ ctx, next }) => {
	if (!ctx.session) throw new AppError('not_signed_in');
	return next({ ctx: { ...ctx, session: ctx.session, viewer: ctx.session.viewer } });
});
