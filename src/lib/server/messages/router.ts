import { pageInput, sendInput, sendManyInput } from '#lib/shared/messages.ts';
import { router, viewerProcedure } from '../trpc/procedures.ts';
import { messagePage, sendMessage, sendMessages } from './messages.ts';

export const messagesRouter = router({
	send: viewerProcedure
		.input(sendInput)
		.mutation(({ ctx, input }) => sendMessage(ctx.services, ctx.viewer.id, input)),
	sendMany: viewerProcedure
		.input(sendManyInput)
		.mutation(({ ctx, input }) => sendMessages(ctx.services, ctx.viewer.id, input)),
	page: viewerProcedure
		.input(pageInput)
		.query(({ ctx, input }) => messagePage(ctx.services, ctx.viewer.id, input))
});
