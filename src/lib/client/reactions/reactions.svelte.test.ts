import { flushSync } from 'svelte';
import { expect, test } from 'vitest';
import type { TextMessage } from '#lib/shared/messages.ts';
import { knowing, useFakePage } from '#lib/client/sync/fake-page.ts';
import { FakeServer, ID, VIEWER, gate, refusal, settled } from '#lib/client/sync/fake-server.ts';
import { Reactions } from './reactions.svelte.ts';

useFakePage();

function begin() {
	const server = new FakeServer(1);
	const { store, engine } = knowing(server);
	const reactions = new Reactions(VIEWER.id, server.api.reactions, (delta) => engine.absorb(delta));
	const message = (): TextMessage => {
		const message = store.get(ID)?.messages.get(1);
		if (message?.kind !== 'text') throw new Error('There is no such message.');
		return message;
	};
	/** Who is seen at the message, by emoji. */
	const shown = () =>
		Object.fromEntries(reactions.of(message()).map(({ emoji, personIds }) => [emoji, personIds]));
	return { server, store, reactions, message, shown };
}

test('it shows at once, and stays when the server has it', async () => {
	const { server, reactions, message, shown } = begin();
	const seen: unknown[] = [];
	const stop = $effect.root(() => {
		$effect(() => void seen.push(shown()));
	});
	flushSync();
	const told = reactions.set(message(), '👍', true);
	flushSync();
	expect(seen).toEqual([{}, { '👍': [VIEWER.id] }]);
	await told;
	flushSync();
	expect(message().reactions).toEqual([{ emoji: '👍', personIds: [VIEWER.id] }]);
	expect(seen.at(-1)).toEqual({ '👍': [VIEWER.id] });
	expect(seen).not.toContainEqual({ '👍': [VIEWER.id, VIEWER.id] });
	expect(server.called('react')).toHaveLength(1);
	stop();
});

test('of two quick changes of mind the last counts, and never are two under way', async () => {
	const { server, reactions, message, shown } = begin();
	const first = gate();
	server.after = () => first.opened;
	const done = [
		reactions.set(message(), '👍', true),
		reactions.set(message(), '👍', false),
		reactions.set(message(), '👍', true),
		reactions.set(message(), '👍', false)
	];
	expect(shown()).toEqual({});
	await settled();
	expect(server.called('react')).toHaveLength(1);
	first.open();
	await Promise.all(done);
	expect(server.called('react')).toMatchObject([{ on: true }, { on: false }]);
	expect(shown()).toEqual({});
	expect(message().reactions ?? []).toEqual([]);
});

test('different emoji do not wait for each other', async () => {
	const { server, reactions, message, shown } = begin();
	const slow = gate();
	server.before = () => (server.called('react').length === 1 ? slow.opened : undefined);
	const first = reactions.set(message(), '👍', true);
	await reactions.set(message(), '🙏', true);
	expect(message().reactions).toEqual([{ emoji: '🙏', personIds: [VIEWER.id] }]);
	expect(shown()).toEqual({ '🙏': [VIEWER.id], '👍': [VIEWER.id] });
	slow.open();
	await first;
	expect(Object.keys(shown()).toSorted()).toEqual(['👍', '🙏'].toSorted());
});

test('what the server refuses shows no more, and is told', async () => {
	const { server, reactions, message, shown } = begin();
	await reactions.set(message(), '❤️', true);
	server.before = () => {
		throw refusal('too_many_reactions', { max: 20 });
	};
	const set = reactions.set(message(), '🎉', true);
	const takenBack = reactions.set(message(), '❤️', false);
	expect(shown()).toEqual({ '🎉': [VIEWER.id] });
	await expect(set).rejects.toMatchObject({ data: { reason: 'too_many_reactions', max: 20 } });
	await expect(takenBack).rejects.toThrow();
	expect(shown()).toEqual({ '❤️': [VIEWER.id] });

	// And it can be tried again.
	server.before = () => {};
	await reactions.set(message(), '🎉', true);
	expect(shown()).toEqual({ '❤️': [VIEWER.id], '🎉': [VIEWER.id] });
});
