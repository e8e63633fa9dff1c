import { getTRPCErrorFromUnknown, initTRPC, TRPCError } from '@trpc/server';
import type { z } from 'zod';
import { AppError } from '#lib/shared/errors.ts';
import type { Services } from '../services.ts';
import type { ViewerView } from '#lib/shared/accounts.ts';
import type { Context, ViewerSession } from './context.ts';
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

/** A call by who is signed in. */
export interface ViewerCall<Input> {
	ctx: Context & { session: ViewerSession; viewer: ViewerView };
	input: Input;
}

type Straight = (ctx: Context, path: string, input: unknown) => Promise<unknown>;
const straights = new WeakMap<object, Straight>();

/**
 * Lets the door call a procedure without tRPC's steps, each of which copies the call. For what is
 * called most; `input` and `verb` are the procedure's own.
 */
export function straight<Procedure extends object, Input>(
	procedure: Procedure,
	input: z.ZodType<Input>,
	verb: (call: ViewerCall<Input>) => Promise<unknown>
): Procedure {
	straights.set(procedure, async (ctx, path, given) => {
		const { data } = await speaking(ctx.services, path, async () => {
			const { session } = ctx;
			if (!session) throw new AppError('not_signed_in');
			const call = { ctx: { ...ctx, session, viewer: session.viewer }, input: parse(input, given) };
			return { ok: true as const, data: await verb(call) };
		});
		return data;
	});
	return procedure;
}

export const straightOf = (procedure: unknown): Straight | undefined =>
	typeof procedure === 'function' ? straights.get(procedure) : undefined;

function parse<Input>(type: z.ZodType<Input>, given: unknown): Input {
	try {
		return type.parse(given);
	} catch (cause) {
		throw new TRPCError({ code: 'BAD_REQUEST', cause });
	}
}
