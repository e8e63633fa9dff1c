import type { ConversationChange, PersonChange } from '#lib/shared/events.ts';

/** What the hub asks of the tables. Each answer is as of the moment it is given, or later. */
export interface ChangeSource {
	/** What a person may hear; null when the session is not valid (any more). */
	standing(personId: string, sessionId: string): Promise<Standing | null>;
	/** Where those of the conversations stand of which the person is a member at that moment. */
	memberVersions(personId: string, ids: string[]): Promise<PositionAt[]>;
	/** What changed since; null in place of changes where that is too much to tell. */
	conversationDeltas(from: Position[]): Promise<Told<ConversationChange>[]>;
	personDeltas(from: Position[]): Promise<Told<PersonChange>[]>;
	conversationVersions(ids: string[]): Promise<Position[]>;
	personVersions(ids: string[]): Promise<Position[]>;
	/** Those of the sessions that are still valid. */
	liveSessions(ids: string[]): Promise<string[]>;
}

export interface Standing {
	version: number;
	conversations: string[];
}

/** A standing as the streams of this process have been told it. */
export interface HeardStanding {
	version: number;
	conversations: Iterable<string>;
	/** The version of a conversation, or null where nobody listens or there is more to tell. */
	toldTo(conversationId: string): number | null;
}

export interface Position {
	id: string;
	version: number;
}

/** What one statement saw. */
export interface PositionAt extends Position {
	/** The same number for all that was seen at the same moment, and no other. */
	moment: number;
}

export interface Told<Change> {
	id: string;
	base: number;
	version: number;
	changes: Change[] | null;
}
