import type { TextMessage } from '#lib/shared/messages.ts';

/** What the viewer wants done with a message; whoever shows it does it, and says what went wrong. */
export interface MessageActions {
	react(message: TextMessage, emoji: string, on: boolean): void;
	edit(message: TextMessage): void;
	/** Asks first. */
	delete(message: TextMessage): void;
	showHistory(message: TextMessage): void;
}
