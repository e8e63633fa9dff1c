import {
	deleteInput,
	editInput,
	pageInput,
	sendInput,
	sendManyInput,
	textsInput,
	type SendInput
} from '#lib/shared/messages.ts';
import { router, straight, viewerProcedure, type ViewerCall } from '../trpc/procedures.ts';
import {
	deleteMessage,
	editMessage,
	messagePage,
	messageTexts,
	sendMessage,
	sendMessages
} from './messages.ts';

const send = ({ ctx, input }: ViewerCall<SendInput>) =>
	sendMessage(ctx.services, ctx.viewer.id, input);

export const messagesRouter = router({
	send: straight(viewerProcedure.input(sendInput).mutation(send), sendInput, send),
	sendMany: viewerProcedure
		.input(sendManyInput)
		.mutation(({ ctx, input }) => sendMessages(ctx.services, ctx.viewer.id, input)),
	edit: viewerProcedure
		.input(editInput)
		.mutation(({ ctx, input }) => editMessage(ctx.services, ctx.viewer.id, input)),
	delete: viewerProcedure
		.input(deleteInput)
		.mutation(({ ctx, input }) => deleteMessage(ctx.services, ctx.viewer.id, input)),
	texts: viewerProcedure
		.input(textsInput)
		.query(({ ctx, input }) => messageTexts(ctx.services, ctx.viewer.id, input)),
	page: viewerProcedure
		.input(pageInput)
		.query(({ ctx, input }) => messagePage(ctx.services, ctx.viewer.id, input))
});
