import type { IncomingMessage, ServerResponse } from 'node:http';
import {
	callTRPCProcedure,
	getTRPCErrorFromUnknown,
	getTRPCErrorShape,
	TRPCError
} from '@trpc/server';
import { getHTTPStatusCodeFromError } from '@trpc/server/http';
import { readBody } from '../platform/http.ts';
import type { Context } from './context.ts';
import { straightOf, type router } from './procedures.ts';

interface Call {
	procedure: string;
	/** Whether it is asked, and so answered, as a batch; ours are of one call. */
	batched: boolean;
}

interface Door {
	router: ReturnType<typeof router>;
	/** Bytes. */
	bodyMax: number;
	createContext(): Promise<Context>;
}

/**
 * The call, if it is of the most frequent kind: one mutation, its input as JSON. tRPC's own adapter
 * does everything, by way of a web `Request`, a `Response` and two streams; for these calls that
 * takes longer than all else together (`bench/write`). Any other call is left to it.
 */
export function plainCall(req: IncomingMessage): Call | null {
	if (req.method !== 'POST') return null;
	if (!req.headers['content-type']?.startsWith('application/json')) return null;
	const [path = '', query] = (req.url ?? '').split('?', 2);
	const procedure = path.slice('/trpc/'.length);
	if (!/^[\w.]+$/.test(procedure)) return null;
	if (query !== undefined && query !== 'batch=1') return null;
	return { procedure, batched: query !== undefined };
}

/** Answers it in the same words as tRPC's adapter. */
export async function answerPlainCall(
	req: IncomingMessage,
	res: ServerResponse,
	{ procedure: path, batched }: Call,
	{ router, bodyMax, createContext }: Door
): Promise<void> {
	let ctx: Context | undefined;
	let input: unknown;
	let status = 200;
	let answer: object;
	try {
		const body = await readInput(req, bodyMax);
		input = batched ? (body as { 0?: unknown } | undefined)?.[0] : body;
		ctx = await createContext();
		const straight = straightOf(router._def.procedures[path]);
		const data: unknown = straight
			? await straight(ctx, path, input)
			: await callTRPCProcedure({
					router,
					path,
					getRawInput: async () => input,
					ctx,
					type: 'mutation',
					signal: undefined,
					batchIndex: 0
				});
		answer = { result: { data } };
	} catch (cause) {
		const error = getTRPCErrorFromUnknown(cause);
		const config = router._def._config;
		status = getHTTPStatusCodeFromError(error);
		answer = { error: getTRPCErrorShape({ config, error, type: 'mutation', path, input, ctx }) };
	}
	if (res.destroyed) return;
	// As a string it goes in one write with the head.
	const text = JSON.stringify(batched ? [answer] : answer);
	res.writeHead(status, {
		'content-type': 'application/json',
		'content-length': Buffer.byteLength(text)
	});
	res.end(text);
}

/** The input, undefined when there is none. */
async function readInput(req: IncomingMessage, sizeMax: number): Promise<unknown> {
	const text = await readBody(req, sizeMax);
	if (text === undefined) throw new TRPCError({ code: 'PAYLOAD_TOO_LARGE' });
	if (text === '') return undefined;
	try {
		return JSON.parse(text);
	} catch (cause) {
		throw new TRPCError({ code: 'BAD_REQUEST', cause });
	}
}
