import { z } from 'zod';
import {
	changePasswordInput,
	findPeopleInput,
	signInInput,
	signUpInput,
	type PersonView,
	type SessionView,
	type ViewerView
} from '#lib/shared/accounts.ts';
import type { Context } from '../trpc/context.ts';
import { publicProcedure, router, viewerProcedure } from '../trpc/procedures.ts';
import {
	changePassword,
	demoPeople,
	findPeople,
	signIn,
	signInAsDemo,
	signUp,
	type Entrance
} from './accounts.ts';
import {
	endOtherSessions,
	endSession,
	leaveSession,
	listSessions,
	SESSION_ID
} from './sessions.ts';

export const accountsRouter = router({
	signUp: publicProcedure
		.input(signUpInput)
		.mutation(async ({ ctx, input }): Promise<ViewerView> =>
			enter(ctx, await signUp(ctx.services, input, ctx))
		),

	signIn: publicProcedure
		.input(signInInput)
		.mutation(async ({ ctx, input }): Promise<ViewerView> =>
			enter(ctx, await signIn(ctx.services, input, ctx))
		),

	/** Also for whose session is over already: the cookie goes. */
	signOut: publicProcedure.mutation(async ({ ctx }): Promise<void> => {
		await leave(ctx);
		ctx.setSessionCookie(null);
	}),

	demoPeople: publicProcedure.query(({ ctx }): Promise<PersonView[] | null> =>
		demoPeople(ctx.services)
	),

	signInAsDemo: publicProcedure
		.input(z.object({ personId: z.uuid() }))
		.mutation(async ({ ctx, input }): Promise<ViewerView> =>
			enter(ctx, await signInAsDemo(ctx.services, input.personId, ctx))
		),

	viewer: viewerProcedure.query(({ ctx }): ViewerView => ctx.viewer),

	changePassword: viewerProcedure
		.input(changePasswordInput)
		.mutation(async ({ ctx, input }): Promise<void> => {
			ctx.setSessionCookie(await changePassword(ctx.services, ctx.session, input));
		}),

	sessions: viewerProcedure.query(({ ctx }): Promise<SessionView[]> =>
		listSessions(ctx.services, ctx.viewer.id, ctx.session.id)
	),

	endSession: viewerProcedure
		.input(z.object({ id: z.string().regex(SESSION_ID) }))
		.mutation(async ({ ctx, input }): Promise<void> => {
			await endSession(ctx.services, ctx.viewer.id, input.id);
			if (input.id === ctx.session.id) ctx.setSessionCookie(null);
		}),

	endOtherSessions: viewerProcedure.mutation(async ({ ctx }): Promise<void> => {
		await endOtherSessions(ctx.services, ctx.viewer.id, ctx.session.id);
	}),

	findPeople: viewerProcedure
		.input(findPeopleInput)
		.query(({ ctx, input }): Promise<PersonView[]> =>
			findPeople(ctx.services, ctx.viewer.id, input.query)
		)
});

/** The session that this browser had is ended, or it would live on with nobody to hold it. */
async function enter(ctx: Context, { viewer, token }: Entrance): Promise<ViewerView> {
	await leave(ctx);
	ctx.setSessionCookie(token);
	return viewer;
}

async function leave({ services, session }: Context): Promise<void> {
	if (session) await leaveSession(services, session);
}
