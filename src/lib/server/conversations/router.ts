import {
	addPeopleInput,
	conversationInput,
	createGroupInput,
	markReadInput,
	removePersonInput,
	renameInput,
	startDirectInput
} from '#lib/shared/conversations.ts';
import { router, viewerProcedure } from '../trpc/procedures.ts';
import {
	addPeople,
	createGroup,
	leaveConversation,
	listMembers,
	markRead,
	removePerson,
	renameConversation,
	startDirect
} from './conversations.ts';

export const conversationsRouter = router({
	startDirect: viewerProcedure
		.input(startDirectInput)
		.mutation(({ ctx, input }) => startDirect(ctx.services, ctx.viewer.id, input.personId)),
	createGroup: viewerProcedure
		.input(createGroupInput)
		.mutation(({ ctx, input }) => createGroup(ctx.services, ctx.viewer.id, input)),
	rename: viewerProcedure
		.input(renameInput)
		.mutation(({ ctx, input }) => renameConversation(ctx.services, ctx.viewer.id, input)),
	addPeople: viewerProcedure
		.input(addPeopleInput)
		.mutation(({ ctx, input }) => addPeople(ctx.services, ctx.viewer.id, input)),
	removePerson: viewerProcedure
		.input(removePersonInput)
		.mutation(({ ctx, input }) => removePerson(ctx.services, ctx.viewer.id, input)),
	leave: viewerProcedure
		.input(conversationInput)
		.mutation(({ ctx, input }) =>
			leaveConversation(ctx.services, ctx.viewer.id, input.conversationId)
		),
	members: viewerProcedure
		.input(conversationInput)
		.query(({ ctx, input }) => listMembers(ctx.services, ctx.viewer.id, input.conversationId)),
	markRead: viewerProcedure
		.input(markReadInput)
		.mutation(({ ctx, input }) => markRead(ctx.services, ctx.viewer.id, input))
});
