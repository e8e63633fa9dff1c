import { lookInput, showPresenceInput, type LookAnswer } from '#lib/shared/presence.ts';
import { showsPresence } from '../accounts/accounts.ts';
import { router, viewerProcedure } from '../trpc/procedures.ts';

export const presenceRouter = router({
	// A mutation: it is what the viewer is told of from now on.
	look: viewerProcedure
		.input(lookInput)
		.mutation(({ ctx, input }): Promise<LookAnswer> =>
			ctx.services.presence.look(ctx.viewer.id, ctx.session.id, input)
		),

	/** Whether others are told when the viewer is online. */
	shows: viewerProcedure.query(({ ctx }): Promise<boolean> =>
		showsPresence(ctx.services, ctx.viewer.id)
	),

	show: viewerProcedure
		.input(showPresenceInput)
		.mutation(({ ctx, input }): Promise<void> =>
			ctx.services.presence.show(ctx.viewer.id, input.shows)
		)
});
