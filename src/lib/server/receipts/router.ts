import {
	receiptsOfInput,
	receivedInput,
	showReceiptsInput,
	type Receipt
} from '#lib/shared/receipts.ts';
import { router, viewerProcedure } from '../trpc/procedures.ts';

export const receiptsRouter = router({
	/** What a device of the viewer's has now. */
	received: viewerProcedure
		.input(receivedInput)
		.mutation(({ ctx, input }): Promise<void> =>
			ctx.services.receipts.received(ctx.viewer.id, input)
		),

	/** How far the others are, as of now; what changes then is told by the stream. */
	of: viewerProcedure
		.input(receiptsOfInput)
		.query(({ ctx, input }): Promise<Receipt[]> =>
			ctx.services.receipts.of(ctx.viewer.id, input.conversationId)
		),

	/** Whether others are told what the viewer has received and read. */
	shows: viewerProcedure.query(({ ctx }): Promise<boolean> =>
		ctx.services.receipts.shows(ctx.viewer.id)
	),

	show: viewerProcedure
		.input(showReceiptsInput)
		.mutation(({ ctx, input }): Promise<void> =>
			ctx.services.receipts.show(ctx.viewer.id, input.shows)
		)
});
