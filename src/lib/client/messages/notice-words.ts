import type { Messages } from '#lib/client/i18n/index.svelte.ts';
import type { Notice } from '#lib/shared/messages.ts';

/** A notice in words; null stands for the viewer. */
export function noticeWords(
	notice: Notice,
	senderId: string,
	direct: boolean,
	nameOf: (personId: string) => string | null,
	{ notices }: Messages
): string {
	const by = nameOf(senderId);
	switch (notice.type) {
		case 'created':
			return direct ? notices.directStarted(by) : notices.groupCreated(by, notice.name);
		case 'added':
			return notices.added(by, notice.personIds.map(nameOf));
		case 'removed':
			return notices.removed(by, nameOf(notice.personId));
		case 'left':
			return notices.left(by);
		case 'renamed':
			return notices.renamed(by, notice.name);
	}
}
