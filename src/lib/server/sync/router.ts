import { sinceInput } from '#lib/shared/sync.ts';
import { router, viewerProcedure } from '../trpc/procedures.ts';
import { since } from './sync.ts';

export const syncRouter = router({
	// A mutation only because what a client knows may be too much for a URL. It changes nothing.
	since: viewerProcedure
		.input(sinceInput)
		.mutation(({ ctx, input }) => since(ctx.services, ctx.viewer.id, input))
});
