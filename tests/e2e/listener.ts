import { POLL, type Screen } from './people.ts';

export interface Listener {
	/** Every byte that the stream has said. */
	readonly text: string;
	/** Waits until the stream has said this. */
	says(words: string): Promise<void>;
	/** Waits until the server has ended the stream. */
	ended(): Promise<void>;
	close(): void;
}

/** The event stream as a program hears it that holds this person's cookie, without our client. */
export async function listen(url: string, { context }: Screen): Promise<Listener> {
	const cookies = await context.cookies(url);
	const abort = new AbortController();
	const answer = await fetch(`${url}/events`, {
		headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') },
		signal: abort.signal
	});
	if (!answer.ok || !answer.body) throw new Error(`The stream answers ${answer.status}.`);

	let text = '';
	let over = false;
	let wake = () => {};
	const reading = (async () => {
		const decoder = new TextDecoder();
		for await (const bytes of answer.body!) {
			text += decoder.decode(bytes, { stream: true });
			wake();
		}
	})()
		// However it ends: by us, by the server's goodbye, by a broken connection.
		.catch(() => undefined)
		.finally(() => {
			over = true;
			wake();
		});

	const until = async (isTrue: () => boolean, what: string) => {
		const timeout = AbortSignal.timeout(POLL.timeout);
		while (!isTrue()) {
			if (over) throw new Error(`The stream ended without ${what}:\n${text}`);
			await new Promise<void>((resolve, reject) => {
				wake = resolve;
				timeout.addEventListener('abort', () => reject(new Error(`Never heard ${what}:\n${text}`)));
			});
		}
	};
	await until(() => text.includes('stream.opened'), 'its opening');
	return {
		get text() {
			return text;
		},
		says: (words) => until(() => text.includes(words), words),
		ended: () => reading,
		close: () => abort.abort()
	};
}
