import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { knowing } from '#lib/client/sync/fake-page.ts';
import { FakeServer, ID, VIEWER, gate, refusal, settled } from '#lib/client/sync/fake-server.ts';
import { BODY_MAX, SEND_MANY_MAX, type SendInput } from '#lib/shared/messages.ts';
import { MemoryStorage } from './fake-storage.ts';
import { Outbox, type OutboxOptions } from './outbox.svelte.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const DAY = 24 * 60 * 60 * 1000;
const OTHER = 'other conversation';

/** What the tabs of one browser share. */
class Browser {
	readonly storage = new MemoryStorage();
	readonly tabs = new Set<EventTarget>();
	readonly #held = new Map<string, Promise<unknown>>();

	readonly locks = {
		request: (name: string, work: () => Promise<void>) => {
			const before = this.#held.get(name) ?? Promise.resolve();
			const done = before.then(work);
			this.#held.set(
				name,
				done.catch(() => {})
			);
			return done;
		}
	} as unknown as Pick<LockManager, 'request'>;

	/** The storage as one tab sees it: the others are told of what it writes. */
	tab(): { storage: Storage; tabs: EventTarget } {
		const target = new EventTarget();
		this.tabs.add(target);
		const tell = (key: string, newValue: string | null) => {
			const event = Object.assign(new Event('storage'), { key, newValue });
			queueMicrotask(() => {
				for (const other of this.tabs) if (other !== target) other.dispatchEvent(event);
			});
		};
		const { storage } = this;
		const seen = new Proxy(storage, {
			get(_, name) {
				if (name === 'length') return storage.length;
				if (name === 'setItem') {
					return (key: string, value: string) => {
						storage.setItem(key, value);
						tell(key, value);
					};
				}
				if (name === 'removeItem') {
					return (key: string) => {
						if (storage.getItem(key) === null) return;
						storage.removeItem(key);
						tell(key, null);
					};
				}
				if (name === 'key') return (i: number) => storage.key(i);
				return (key: string) => storage.getItem(key);
			}
		});
		return { storage: seen, tabs: target };
	}
}

function page(server: FakeServer, browser = new Browser(), options: Partial<OutboxOptions> = {}) {
	const { store, engine } = knowing(server);
	engine.receive({ type: 'stream.opened' });
	const outbox = new Outbox({
		personId: VIEWER.id,
		store,
		send: (input) => server.api.messages.send.mutate(input),
		sendMany: (inputs) => server.api.messages.sendMany.mutate(inputs),
		absorb: (delta) => engine.absorb(delta),
		locks: browser.locks,
		random: () => 0.999,
		...browser.tab(),
		...options
	});
	const stop = outbox.start();
	const shown = () => outbox.of(ID).map(({ body, state }) => `${body} ${state}`);
	const stored = () => browser.storage.length;
	return { outbox, engine, store, browser, stop, shown, stored };
}

const bodies = (server: FakeServer) =>
	server.messages.map((message) => (message.kind === 'text' ? message.body : ''));

const isSending = (name: string) => name === 'send' || name === 'sendMany';

/** What each request to send brought, in order. */
const requests = (server: FakeServer) =>
	server.calls
		.filter(({ name }) => isSending(name))
		.map(({ input }) => [input as SendInput | SendInput[]].flat());

const texts = (server: FakeServer) =>
	requests(server).map((inputs) => inputs.map(({ body }) => body));

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`);

describe('sending', () => {
	test('shows and stores at once, before anything else happens', () => {
		const { outbox, shown, stored } = page(new FakeServer());
		outbox.send(ID, 'Hello');
		expect(shown()).toEqual(['Hello pending']);
		expect(stored()).toBe(1);
	});

	test('is over when the answer comes', async () => {
		const server = new FakeServer();
		const { outbox, store, shown, stored } = page(server);
		const id = outbox.send(ID, 'Hello');
		await settled();
		expect(store.get(ID)?.lastMessage?.id).toBe(id);
		expect(shown()).toEqual([]);
		expect(stored()).toBe(0);
	});

	test('is over when the stream is faster than the answer', async () => {
		const server = new FakeServer();
		const { outbox, engine, shown, stored } = page(server);
		await settled();
		const answer = gate();
		server.after = (name) => (name === 'send' ? answer.opened : undefined);
		outbox.send(ID, 'Hello');
		await settled();
		engine.receive({ type: 'conversation.advanced', delta: server.delta(0) });
		expect(shown()).toEqual([]);
		expect(stored()).toBe(0);
		answer.open();
		await settled();
		expect(shown()).toEqual([]);
	});

	test('stays on the screen while its answer is ahead of the stream', async () => {
		const server = new FakeServer();
		const { outbox, engine, store, shown } = page(server);
		await settled();
		const earlier = server.post();
		outbox.send(ID, 'Mine');
		await settled();
		expect(shown()).toEqual(['Mine pending']);
		engine.receive(earlier);
		expect(shown()).toEqual([]);
		expect(store.get(ID)?.lastSeq).toBe(2);
		expect(server.called('send')).toHaveLength(1);
	});

	test('is over when so much came after it that it is only in the history', async () => {
		const server = new FakeServer();
		const { outbox, engine, store, shown } = page(server);
		await settled();
		server.post();
		outbox.send(ID, 'Mine');
		await settled();
		expect(shown()).toEqual(['Mine pending']);
		const answer = gate();
		server.before = () => answer.opened;
		// None of it fits before the answer, and the own message is no longer among what is held.
		for (let i = 0; i < 300; i++) engine.receive(server.post());
		answer.open();
		await settled();
		expect(store.get(ID)?.version).toBe(302);
		expect(shown()).toEqual([]);
	});

	test('keeps the order, one request at a time', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		let under = 0;
		let most = 0;
		server.before = async (name) => {
			if (!isSending(name)) return;
			most = Math.max(most, ++under);
			await settled();
			under--;
		};
		for (const body of numbers(10)) {
			outbox.send(ID, body);
			await Promise.resolve();
		}
		for (let i = 0; i < 100; i++) await settled();
		expect(bodies(server)).toEqual(numbers(10));
		expect(most).toBe(1);
	});

	test('what cannot be kept is replaced before it is shown', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		outbox.send(ID, 'a\0b\ud83dc🫖');
		expect(shown()).toEqual(['a\ufffdb\ufffdc🫖 pending']);
		await settled();
		expect(bodies(server)).toEqual(['a\ufffdb\ufffdc🫖']);
	});
});

describe('several', () => {
	test('that came while another was under way go together, in order', async () => {
		const server = new FakeServer();
		const { outbox, shown, stored } = page(server);
		await settled();
		const answer = gate();
		server.before = (name) => (name === 'send' ? answer.opened : undefined);
		for (const body of numbers(4)) {
			outbox.send(ID, body);
			await settled();
		}
		answer.open();
		await settled();
		expect(server.calls.map(({ name }) => name).filter(isSending)).toEqual(['send', 'sendMany']);
		expect(texts(server)).toEqual([['1'], ['2', '3', '4']]);
		expect(bodies(server)).toEqual(numbers(4));
		expect(shown()).toEqual([]);
		expect(stored()).toBe(0);
	});

	test('go no more at once than the server takes', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		for (const body of numbers(2 * SEND_MANY_MAX + 1)) outbox.send(ID, body);
		await settled();
		await settled();
		expect(requests(server).map(({ length }) => length)).toEqual([SEND_MANY_MAX, SEND_MANY_MAX, 1]);
		expect(bodies(server)).toEqual(numbers(2 * SEND_MANY_MAX + 1));
		expect(server.called('send')).toHaveLength(1);
	});

	test('go with no more text than one of the longest', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		const lengths = [2 * BODY_MAX, BODY_MAX, BODY_MAX, 1, 1, 3 * BODY_MAX, 1];
		for (const length of lengths) outbox.send(ID, 'x'.repeat(length));
		for (let i = 0; i < 5; i++) await settled();
		expect(texts(server).map((some) => some.map(({ length }) => length))).toEqual([
			[2 * BODY_MAX],
			[BODY_MAX, BODY_MAX],
			[1, 1],
			[3 * BODY_MAX],
			[1]
		]);
	});

	test.each(['before', 'after'] as const)(
		'are all tried again, with their ids, when the request failed %s its effect',
		async (moment) => {
			const server = new FakeServer();
			const { outbox, shown, stored } = page(server);
			let failures = 0;
			server[moment] = (name) => {
				if (name === 'sendMany' && failures++ < 3) throw new TypeError('Failed to fetch');
			};
			const ids = numbers(3).map((body) => outbox.send(ID, body));
			await settled();
			expect(shown()).toEqual(['1 pending', '2 pending', '3 pending']);
			await vi.advanceTimersByTimeAsync(60_000);
			expect(requests(server).map((inputs) => inputs.map(({ id }) => id))).toEqual(
				Array<string[]>(4).fill(ids)
			);
			expect(bodies(server)).toEqual(numbers(3));
			expect(shown()).toEqual([]);
			expect(stored()).toBe(0);
		}
	);

	test('have each their own outcome', async () => {
		const server = new FakeServer();
		const { outbox, shown, stored } = page(server);
		server.refuses = ({ body }) => (body === '2' ? { reason: 'invalid_input' } : undefined);
		for (const body of numbers(3)) outbox.send(ID, body);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(texts(server)).toEqual([numbers(3)]);
		expect(bodies(server)).toEqual(['1', '3']);
		expect(outbox.of(ID)).toMatchObject([{ body: '2', state: 'failed', reason: 'invalid_input' }]);
		expect(shown()).toHaveLength(1);
		expect(stored()).toBe(1);
	});

	test('of which one is delayed wait from there on, and keep their order', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		server.refuses = ({ body }) => {
			if (body === '4') return { reason: 'not_allowed' };
			return body > '1' ? { reason: 'server_busy', retryAfter: 1 } : undefined;
		};
		for (const body of numbers(5)) outbox.send(ID, body);
		await settled();
		expect(shown()).toEqual(['2 pending', '3 pending', '4 failed', '5 pending']);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(texts(server)[1]).toEqual(['2', '3', '5']);
		expect(texts(server).length).toBeLessThan(15);
		server.refuses = () => undefined;
		outbox.send(ID, '6');
		await vi.advanceTimersByTimeAsync(60_000);
		expect(bodies(server)).toEqual(['1', '2', '3', '5', '6']);
		expect(shown()).toEqual(['4 failed']);
	});

	test('count as one failure, so that the next try is not long in coming', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		server.refuses = () => ({ reason: 'server_busy' });
		for (const body of numbers(20)) outbox.send(ID, body);
		await vi.advanceTimersByTimeAsync(500);
		expect(requests(server)).toHaveLength(2);
	});

	test('are all tried again when the answer does not say what became of each', async () => {
		const server = new FakeServer();
		const { sendMany } = server.api.messages;
		let short = true;
		const { outbox, shown } = page(server, new Browser(), {
			sendMany: async (inputs) => (await sendMany.mutate(inputs)).slice(0, short ? 1 : undefined)
		});
		for (const body of numbers(3)) outbox.send(ID, body);
		await settled();
		expect(shown()).toEqual(['2 pending', '3 pending']);
		expect(requests(server)).toHaveLength(1);
		short = false;
		await vi.advanceTimersByTimeAsync(1000);
		expect(bodies(server)).toEqual(numbers(3));
		expect(shown()).toEqual([]);
	});

	test('go one by one where it is the request that is refused', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		server.before = (name) => {
			if (name === 'sendMany') throw refusal('too_long');
		};
		server.refuses = ({ body }) => (body === '2' ? { reason: 'too_long' } : undefined);
		for (const body of numbers(4)) outbox.send(ID, body);
		await settled();
		await settled();
		expect(texts(server)).toEqual([numbers(4), ['1'], ['2'], ['3'], ['4']]);
		expect(bodies(server)).toEqual(['1', '3', '4']);
		expect(shown()).toEqual(['2 failed']);
	});

	test('of which some arrive by the stream while the answer is lost', async () => {
		const server = new FakeServer();
		const { outbox, engine, shown, stored } = page(server);
		await settled();
		const lost = gate();
		server.after = async (name) => {
			if (name !== 'sendMany') return;
			await lost.opened;
			throw new TypeError('Failed to fetch');
		};
		for (const body of numbers(3)) outbox.send(ID, body);
		await settled();
		const delta = server.delta(0);
		const changes = delta.changes.slice(0, 2);
		engine.receive({ type: 'conversation.advanced', delta: { ...delta, version: 2, changes } });
		expect(shown()).toEqual(['3 pending']);
		server.after = () => {};
		lost.open();
		await vi.advanceTimersByTimeAsync(1000);
		expect(texts(server)).toEqual([numbers(3), ['3']]);
		expect(shown()).toEqual([]);
		expect(stored()).toBe(0);
	});

	test('cannot be discarded while they are under way', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		const answer = gate();
		server.before = (name) => (isSending(name) ? answer.opened : undefined);
		const ids = numbers(3).map((body) => outbox.send(ID, body));
		await settled();
		for (const id of ids) outbox.discard(id);
		expect(shown()).toHaveLength(3);
		answer.open();
		await settled();
		expect(bodies(server)).toEqual(numbers(3));
	});

	test('of two conversations do not wait for each other', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		server.refuses = ({ conversationId }) =>
			conversationId === OTHER ? { reason: 'server_busy' } : undefined;
		for (const body of numbers(3)) {
			outbox.send(OTHER, body);
			outbox.send(ID, body);
		}
		await settled();
		expect(bodies(server)).toEqual(numbers(3));
		expect(outbox.of(OTHER)).toHaveLength(3);
		server.refuses = () => undefined;
		await vi.advanceTimersByTimeAsync(1000);
		expect(bodies(server)).toEqual([...numbers(3), ...numbers(3)]);
	});
});

describe('a try that fails', () => {
	test.each(['network', 'internal', 'server_busy'] as const)(
		'by %s is repeated',
		async (reason) => {
			const server = new FakeServer();
			const { outbox, shown } = page(server);
			let down = true;
			server.before = (name) => {
				if (name !== 'send' || !down) return;
				throw reason === 'network' ? new TypeError('Failed to fetch') : refusal(reason);
			};
			outbox.send(ID, 'Hello');
			await vi.advanceTimersByTimeAsync(3600_000);
			expect(shown()).toEqual(['Hello pending']);
			expect(server.called('send').length).toBeGreaterThan(100);
			down = false;
			await vi.advanceTimersByTimeAsync(30_000);
			expect(bodies(server)).toEqual(['Hello']);
		}
	);

	test('is repeated at once when the connection is back', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		server.before = () => {
			throw new TypeError('Failed to fetch');
		};
		outbox.send(ID, 'Hello');
		await settled();
		server.before = () => {};
		outbox.kick();
		await settled();
		expect(bodies(server)).toEqual(['Hello']);
	});

	test('after one that got through is repeated soon again', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		const fail = () => ({ reason: 'server_busy' as const });
		server.refuses = fail;
		outbox.send(ID, 'one');
		await vi.advanceTimersByTimeAsync(60_000);
		server.refuses = ({ body }) => (body === 'two' ? fail() : undefined);
		outbox.send(ID, 'two');
		while (server.messages.length === 0) await vi.advanceTimersByTimeAsync(100);
		expect(bodies(server)).toEqual(['one']);
		const tries = requests(server).length;
		await vi.advanceTimersByTimeAsync(500);
		expect(requests(server)).toHaveLength(tries + 1);
	});

	test('for a day is one too many', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		server.before = () => {
			throw new TypeError('Failed to fetch');
		};
		const id = outbox.send(ID, 'Hello');
		await vi.advanceTimersByTimeAsync(DAY - 60_000);
		expect(shown()).toEqual(['Hello pending']);
		await vi.advanceTimersByTimeAsync(120_000);
		expect(outbox.of(ID)).toMatchObject([{ state: 'failed' }]);
		expect(outbox.of(ID)[0]?.reason).toBeUndefined();
		server.before = () => {};
		outbox.retry(id);
		await settled();
		expect(bodies(server)).toEqual(['Hello']);
	});

	test('by the limit on sending waits as long as it is told, and loses nothing', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		let limited = true;
		server.before = (name) => {
			if (isSending(name) && limited) throw refusal('sending_too_fast', { retryAfter: 7 });
		};
		outbox.send(ID, 'one');
		outbox.send(ID, 'two');
		await settled();
		limited = false;
		outbox.kick();
		await vi.advanceTimersByTimeAsync(6999);
		expect(texts(server)).toEqual([['one', 'two']]);
		expect(shown()).toEqual(['one pending', 'two pending']);
		expect(outbox.slowedUntil).toBe(Date.now() + 1);
		await vi.advanceTimersByTimeAsync(1);
		expect(bodies(server)).toEqual(['one', 'two']);
		expect(outbox.slowedUntil).toBeNull();
	});

	test('by the limit is one pause for all conversations, as long as the longest', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		const from = Date.now();
		const end = from + 7000;
		server.refuses = ({ conversationId }) => ({
			reason: 'sending_too_fast',
			retryAfter: conversationId === ID ? 7 : 3
		});
		outbox.send(ID, 'one');
		outbox.send(OTHER, 'two');
		await settled();
		expect(outbox.slowedUntil).toBe(end);
		await vi.advanceTimersByTimeAsync(6999);
		expect(texts(server)).toEqual([['one'], ['two']]);
		expect(outbox.slowedUntil).toBe(end);

		// It lasts until all of them have got through: nothing flickers while they try.
		const answers = new Map([ID, OTHER].map((id) => [id, gate()]));
		server.refuses = () => undefined;
		server.before = (name) => {
			const last = server.calls.at(-1)?.input as SendInput;
			return name === 'send' ? answers.get(last.conversationId)?.opened : undefined;
		};
		await vi.advanceTimersByTimeAsync(1);
		expect(requests(server)).toHaveLength(4);
		expect(outbox.slowedUntil).toBe(end);
		answers.get(ID)?.open();
		await settled();
		expect(bodies(server)).toEqual(['one']);
		expect(outbox.slowedUntil).not.toBeNull();
		answers.get(OTHER)?.open();
		await settled();
		expect(bodies(server)).toEqual(['one', 'two']);
		expect(outbox.slowedUntil).toBeNull();
	});

	test('by the limit is over for who has nothing left to send', async () => {
		const server = new FakeServer();
		const first = page(server);
		const second = page(server, first.browser, { locks: null });
		server.refuses = () => ({ reason: 'sending_too_fast', retryAfter: 7 });
		first.outbox.send(ID, 'one');
		await settled();
		expect(first.outbox.slowedUntil).not.toBeNull();
		server.refuses = () => undefined;
		second.outbox.kick();
		await settled();
		expect(bodies(server)).toEqual(['one']);
		await vi.advanceTimersByTimeAsync(7000);
		expect(first.outbox.slowedUntil).toBeNull();
		expect(texts(server)).toEqual([['one'], ['one']]);
	});

	test('by the limit is over when the next try fails by something else', async () => {
		const server = new FakeServer();
		const { outbox } = page(server);
		server.refuses = () => ({ reason: 'sending_too_fast', retryAfter: 7 });
		outbox.send(ID, 'one');
		await settled();
		server.refuses = () => ({ reason: 'server_busy' });
		await vi.advanceTimersByTimeAsync(7000);
		expect(texts(server)).toEqual([['one'], ['one']]);
		expect(outbox.slowedUntil).toBeNull();
	});

	test('by the limit is no pause for a page that has stopped', async () => {
		const server = new FakeServer();
		const { outbox, stop } = page(server);
		server.refuses = () => ({ reason: 'sending_too_fast', retryAfter: 7 });
		outbox.send(ID, 'one');
		await settled();
		stop();
		expect(outbox.slowedUntil).toBeNull();
	});

	test('by the limit after some of them have been sent delays the others alone', async () => {
		const server = new FakeServer();
		const { outbox, shown } = page(server);
		server.refuses = ({ body }) =>
			body > '2' ? { reason: 'sending_too_fast', retryAfter: 1 } : undefined;
		for (const body of numbers(4)) outbox.send(ID, body);
		await settled();
		expect(shown()).toEqual(['3 pending', '4 pending']);
		expect(outbox.slowedUntil).toBe(Date.now() + 1000);
		server.refuses = () => undefined;
		await vi.advanceTimersByTimeAsync(1000);
		expect(texts(server)).toEqual([numbers(4), ['3', '4']]);
		expect(bodies(server)).toEqual(numbers(4));
		expect(outbox.slowedUntil).toBeNull();
	});

	test.each(['not_found', 'too_long', 'invalid_input', 'not_allowed'] as const)(
		'by %s is final, and holds up nothing',
		async (reason) => {
			const server = new FakeServer();
			const { outbox, shown, stored } = page(server);
			server.refuses = ({ body }) => (body === 'bad' ? { reason } : undefined);
			const id = outbox.send(ID, 'bad');
			await settled();
			outbox.send(ID, 'good');
			await vi.advanceTimersByTimeAsync(60_000);
			expect(texts(server)).toEqual([['bad'], ['good']]);
			expect(bodies(server)).toEqual(['good']);
			expect(outbox.of(ID)).toMatchObject([{ body: 'bad', state: 'failed', reason }]);
			expect(stored()).toBe(1);
			outbox.discard(id);
			expect(shown()).toEqual([]);
			expect(stored()).toBe(0);
		}
	);

	test('for want of a session waits for the same person to come back', async () => {
		const server = new FakeServer();
		const { outbox, shown, stored, browser } = page(server);
		server.before = (name) => {
			if (name === 'send') throw refusal('not_signed_in');
		};
		outbox.send(ID, 'Hello');
		await vi.advanceTimersByTimeAsync(600_000);
		expect(server.called('send')).toHaveLength(1);
		expect(shown()).toEqual(['Hello pending']);
		expect(stored()).toBe(1);

		server.before = () => {};
		const another = page(server, browser, { personId: 'somebody else' });
		await settled();
		expect(another.shown()).toEqual([]);
		expect(server.messages).toEqual([]);
		page(server, browser);
		await settled();
		expect(bodies(server)).toEqual(['Hello']);
	});
});

describe('a reload', () => {
	test.each(['alone', 'together'])('loses and doubles nothing of what goes %s', async (how) => {
		for (const moment of ['before', 'after'] as const) {
			const server = new FakeServer();
			const { outbox, stop, browser } = page(server);
			const never = gate();
			server[moment] = (name) => (isSending(name) ? never.opened : undefined);
			outbox.send(ID, 'one');
			if (how === 'alone') await settled();
			outbox.send(ID, 'two');
			await settled();
			stop();
			server[moment] = () => {};
			// The crashed page's locks are given back by the browser.
			const next = page(server, browser, { locks: new Browser().locks });
			await settled();
			await settled();
			expect(bodies(server)).toEqual(['one', 'two']);
			expect(next.shown()).toEqual([]);
			expect(browser.storage.length).toBe(0);
		}
	});

	test('does not send again what is already in the history', async () => {
		const server = new FakeServer();
		const browser = new Browser();
		server.post(VIEWER.id, 'sent-before', 'Hello');
		const entry = {
			id: 'sent-before',
			conversationId: ID,
			body: 'Hello',
			createdAt: 1,
			state: 'pending'
		};
		browser.storage.setItem(`tertulia.outbox.${VIEWER.id}.sent-before`, JSON.stringify(entry));
		const { shown, stored } = page(server, browser);
		expect(shown()).toEqual([]);
		expect(stored()).toBe(0);
		await settled();
		expect(server.called('send')).toEqual([]);
	});

	test('passes over what is no message', () => {
		const browser = new Browser();
		browser.storage.setItem(`tertulia.outbox.${VIEWER.id}.x`, '{');
		browser.storage.setItem(`tertulia.outbox.${VIEWER.id}.y`, '{"id":"other","body":"?"}');
		browser.storage.setItem('something else', '1');
		expect(page(new FakeServer(), browser).shown()).toEqual([]);
	});
});

describe('storage that is full or forbidden', () => {
	test.each(['full', 'forbidden'])('%s: sends from memory', async (kind) => {
		const server = new FakeServer();
		const browser = new Browser();
		browser.storage.full = true;
		const { outbox } = page(server, browser, kind === 'forbidden' ? { storage: null } : {});
		outbox.send(ID, 'one');
		outbox.send(ID, 'two');
		await settled();
		await settled();
		expect(bodies(server)).toEqual(['one', 'two']);
		expect(outbox.size).toBe(0);
	});
});

describe('two tabs', () => {
	test('show the same, and one of them sends', async () => {
		const server = new FakeServer();
		const first = page(server);
		const second = page(server, first.browser);
		await settled();
		const answer = gate();
		server.before = (name) => (name === 'send' ? answer.opened : undefined);
		first.outbox.send(ID, 'one');
		second.outbox.send(ID, 'two');
		await settled();
		expect(first.shown()).toEqual(['one pending', 'two pending']);
		expect(second.shown()).toEqual(['one pending', 'two pending']);
		answer.open();
		for (let i = 0; i < 5; i++) await settled();
		expect(bodies(server)).toEqual(['one', 'two']);
		expect(server.called('send')).toHaveLength(2);
	});

	test('keep showing what the other has sent until it arrives', async () => {
		const server = new FakeServer();
		const first = page(server);
		const second = page(server, first.browser);
		await settled();
		first.outbox.send(ID, 'one');
		await settled();
		expect(first.shown()).toEqual([]);
		expect(second.shown()).toEqual(['one pending']);
		second.engine.receive({ type: 'conversation.advanced', delta: server.delta(0) });
		expect(second.shown()).toEqual([]);
		expect(second.store.get(ID)?.lastSeq).toBe(1);
	});

	test('follow each other in discarding and retrying', async () => {
		const server = new FakeServer();
		const first = page(server);
		const second = page(server, first.browser);
		server.before = (name) => {
			if (name === 'send') throw refusal('not_allowed');
		};
		const id = first.outbox.send(ID, 'one');
		await settled();
		await settled();
		expect(second.outbox.of(ID)).toMatchObject([{ state: 'failed', reason: 'not_allowed' }]);
		second.outbox.discard(id);
		await settled();
		expect(first.shown()).toEqual([]);
	});

	test('do not send what the other has sent, although they have not heard of it', async () => {
		const server = new FakeServer();
		const first = page(server);
		server.before = (name) => {
			if (isSending(name)) throw new TypeError('Failed to fetch');
		};
		for (const body of numbers(2)) first.outbox.send(ID, body);
		await settled();
		const second = page(server, first.browser, { tabs: null });
		expect(second.shown()).toEqual(['1 pending', '2 pending']);
		await settled();
		server.before = () => {};
		first.outbox.kick();
		await settled();
		expect(bodies(server)).toEqual(numbers(2));
		const before = requests(server).length;
		second.outbox.kick();
		await settled();
		expect(requests(server)).toHaveLength(before);
	});

	test('send what the other leaves behind when it is closed', async () => {
		const server = new FakeServer();
		const first = page(server);
		const second = page(server, first.browser);
		server.before = (name) => {
			if (name === 'send') throw new TypeError('Failed to fetch');
		};
		first.outbox.send(ID, 'one');
		await settled();
		first.stop();
		server.before = () => {};
		second.outbox.kick();
		await settled();
		expect(bodies(server)).toEqual(['one']);
	});
});
