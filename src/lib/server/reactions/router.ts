import { reactInput } from '#lib/shared/reactions.ts';
import { router, viewerProcedure } from '../trpc/procedures.ts';
import { react } from './reactions.ts';

export const reactionsRouter = router({
	set: viewerProcedure
		.input(reactInput)
		.mutation(({ ctx, input }) => react(ctx.services, ctx.viewer.id, input))
});
