import { accountsRouter } from '../accounts/router.ts';
import { conversationsRouter } from '../conversations/router.ts';
import { messagesRouter } from '../messages/router.ts';
import { presenceRouter } from '../presence/router.ts';
import { reactionsRouter } from '../reactions/router.ts';
import { receiptsRouter } from '../receipts/router.ts';
import { syncRouter } from '../sync/router.ts';
import { createCallerFactory, router } from './procedures.ts';

export const appRouter = router({
	accounts: accountsRouter,
	conversations: conversationsRouter,
	messages: messagesRouter,
	presence: presenceRouter,
	reactions: reactionsRouter,
	receipts: receiptsRouter,
	sync: syncRouter
});

/** The procedures as types: all that a client may know of this file. */
export type AppRouter = typeof appRouter;

export const createCaller = createCallerFactory(appRouter);
