import type { Messages } from '#lib/client/i18n/index.svelte.ts';
import type { MessageView } from '#lib/shared/messages.ts';
import { noticeWords } from '#lib/client/messages/notice-words.ts';

interface PreviewContext {
	direct: boolean;
	viewerId: string;
	/** A person's name; null for the viewer. */
	nameOf(personId: string): string | null;
	text: Messages;
}

export interface Preview {
	/** 'You:' or the first name of who said it, where that is not obvious. */
	lead: string;
	body: string;
}

/** The last message in one line. */
export function preview(
	message: MessageView | null,
	{ direct, viewerId, nameOf, text }: PreviewContext
): Preview {
	if (!message) return { lead: '', body: text.conversations.noMessages };
	if (message.kind === 'notice') {
		return { lead: '', body: noticeWords(message.notice, message.senderId, direct, nameOf, text) };
	}
	const own = message.senderId === viewerId;
	const name = nameOf(message.senderId);
	const lead = own || !direct ? text.conversations.lastBy(name && firstName(name)) : '';
	if (message.kind === 'deleted') return { lead, body: text.message.deleted };
	return { lead, body: message.body.slice(0, 200) };
}

export function firstName(name: string): string {
	return name.trim().split(/\s+/)[0] ?? name;
}
