import { expect, test } from 'vitest';
import type { TextMessage } from '#lib/shared/messages.ts';
import { knowing, useFakePage } from '#lib/client/sync/fake-page.ts';
import { FakeServer, ID, VIEWER, gate, refusal } from '#lib/client/sync/fake-server.ts';
import { MessageChanges } from './changes.ts';
import { Editing, lastOwnText } from './editing.svelte.ts';

useFakePage();

function begin() {
	const server = new FakeServer();
	server.post(VIEWER.id, 'mine', 'At one');
	const { store, engine } = knowing(server);
	const changes = new MessageChanges(server.api.messages, (delta) => engine.absorb(delta));
	const editing = new Editing(changes, () => store.get(ID));
	const message = (): TextMessage => {
		const message = store.get(ID)?.messages.get(1);
		if (message?.kind !== 'text') throw new Error('There is no such message.');
		return message;
	};
	/** Another device of the viewer is faster. */
	const elsewhere = (body: string) => {
		const { edits = 0 } = server.messages[0] as TextMessage;
		const version = ++server.version;
		server.messages[0] = {
			...(server.messages[0] as TextMessage),
			body,
			edits: edits + 1,
			version
		};
		engine.absorb(server.delta(version - 1));
	};
	return { server, engine, editing, message, elsewhere };
}

test('the text is that of the message, and what is saved becomes it', async () => {
	const { server, editing, message } = begin();
	editing.start(message());
	expect(editing).toMatchObject({ text: 'At one', isSaving: false, error: undefined });
	editing.write('  At two ');
	await editing.save();
	expect(editing.message).toBe(null);
	expect(editing.text).toBe('');
	expect(message()).toMatchObject({ body: 'At two', edits: 1 });
	expect(server.called('edit')).toEqual([
		{ id: 'mine', conversationId: ID, body: 'At two', edit: 1 }
	]);
});

test('what is unchanged is not saved, and nothing is no text', async () => {
	const { server, editing, message } = begin();
	editing.start(message());
	editing.write('  \n');
	await editing.save();
	expect(editing.message).not.toBe(null);
	editing.write(' At one ');
	await editing.save();
	expect(editing.message).toBe(null);
	expect(server.called('edit')).toEqual([]);
});

test('on its way it can neither be changed nor called back', async () => {
	const { server, editing, message } = begin();
	const slow = gate();
	server.before = () => slow.opened;
	editing.start(message());
	editing.write('At two');
	const saved = editing.save();
	expect(editing.isSaving).toBe(true);
	editing.write('At three');
	editing.cancel();
	void editing.save();
	editing.start({ ...message(), id: 'another' });
	expect(editing).toMatchObject({ text: 'At two', isSaving: true });
	slow.open();
	await saved;
	expect(editing.message).toBe(null);
	expect(server.called('edit')).toHaveLength(1);
});

test('when it fails the text stays and the reason is told, until one goes on writing', async () => {
	const { server, editing, message } = begin();
	server.before = () => {
		throw refusal('server_busy');
	};
	editing.start(message());
	editing.write('At two');
	await editing.save();
	expect(editing).toMatchObject({ text: 'At two', isSaving: false });
	expect(editing.error).toMatchObject({ data: { reason: 'server_busy' } });
	editing.write('At two.');
	expect(editing.error).toBe(undefined);
	server.before = () => {};
	await editing.save();
	expect(message().body).toBe('At two.');
});

test('changed on another device: told once, and who saves again means it', async () => {
	const { editing, message, elsewhere } = begin();
	editing.start(message());
	editing.write('At two');
	elsewhere('At noon');
	await editing.save();
	expect(editing.error).toMatchObject({ data: { reason: 'changed_meanwhile' } });
	expect(editing).toMatchObject({ text: 'At two', message: { body: 'At noon' } });
	await editing.save();
	expect(editing.message).toBe(null);
	expect(message()).toMatchObject({ body: 'At two', edits: 2 });
});

test('an edit whose answer was lost is not somebody else’s', async () => {
	const { server, engine, editing, message } = begin();
	editing.start(message());
	editing.write('At two');
	server.after = () => {
		throw new Error('lost');
	};
	await editing.save();
	expect(editing.text).toBe('At two');
	// Again, as it was: it is there already.
	server.after = () => {};
	await editing.save();
	expect(editing.message).toBe(null);
	expect(message()).toMatchObject({ body: 'At two', edits: 1 });

	// Or with a further change, when the event has come.
	editing.start(message());
	editing.write('At three');
	server.after = () => {
		throw new Error('lost');
	};
	await editing.save();
	server.after = () => {};
	engine.absorb(server.delta(server.version - 1));
	expect(message()).toMatchObject({ body: 'At three', edits: 2 });
	editing.write('At four');
	await editing.save();
	expect(editing).toMatchObject({ message: null, error: undefined });
	expect(message()).toMatchObject({ body: 'At four', edits: 3 });
});

test('a message that was deleted meanwhile is gone, heard or not', async () => {
	const { server, engine, editing, message } = begin();
	const before = message();
	editing.start(before);
	editing.write('At two');
	expect(editing.isGone).toBe(false);
	const { body: _body, ...rest } = before;
	const version = ++server.version;
	server.messages[0] = { ...rest, kind: 'deleted', version };
	await editing.save();
	expect(editing.isGone).toBe(true);
	editing.end();
	expect(editing.isGone).toBe(false);

	editing.start(before);
	engine.absorb(server.delta(version - 1));
	expect(editing.isGone).toBe(true);
});

test('the last message of one’s own is found as far back as nothing is missing', () => {
	const server = new FakeServer();
	server.post(VIEWER.id, 'first');
	server.post(VIEWER.id, 'second');
	server.post('ana');
	const messages = new Map(server.messages.map((message) => [message.seq, message]));
	const last = () => lastOwnText({ lastSeq: 3, messages }, VIEWER.id)?.id;
	expect(last()).toBe('second');
	const [, second] = server.messages;
	messages.set(2, { ...second!, kind: 'deleted' });
	expect(last()).toBe('first');
	messages.delete(2);
	expect(last()).toBe(undefined);
});
