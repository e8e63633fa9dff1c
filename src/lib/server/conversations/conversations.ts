import { and, asc, eq, inArray, isNull, sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { z } from 'zod';
import type {
	ConversationView,
	ConversationOpening,
	MemberList,
	MemberView,
	Role,
	addPeopleInput,
	createGroupInput,
	markReadInput,
	removePersonInput,
	renameInput
} from '#lib/shared/conversations.ts';
import { AppError, notFound } from '#lib/shared/errors.ts';
import type { ConversationChange, ConversationDelta } from '#lib/shared/events.ts';
import type { Notice } from '#lib/shared/messages.ts';
import { peopleById } from '../accounts/accounts.ts';
import { message } from '../messages/schema.ts';
import { brokenUniqueKey } from '../platform/db.ts';
import { write, type Writer } from '../realtime/realtime.ts';
import type { Services } from '../services.ts';
import { conversation, member, memberColumns, memberView, type MemberRow } from './schema.ts';
import { opening } from './snapshots.ts';

export { peopleIn, snapshotsOf, type OwnConversation } from './snapshots.ts';

/**
 * The direct conversation of two people: there is one, also when both start it at the same instant.
 */
export async function startDirect(
	services: Services,
	viewerId: string,
	personId: string
): Promise<ConversationOpening> {
	if (personId === viewerId) throw notFound();
	const pair = [viewerId, personId].toSorted().join(':');
	const id = await write(services.realtime, async (w) => {
		const people = await peopleById(w.tx, [viewerId, personId]);
		if (people.length !== 2) throw notFound();
		const id = uuidv7();
		// A second starter waits here for the first one's commit, and then finds that conversation.
		const [mine] = await w.tx
			.insert(conversation)
			.values({ id, kind: 'direct', pair, version: 2 })
			.onConflictDoNothing({ target: conversation.pair })
			.returning({ id: conversation.id });
		if (!mine) {
			const [theirs] = await w.tx
				.select({ id: conversation.id })
				.from(conversation)
				.where(eq(conversation.pair, pair));
			if (!theirs) throw notFound();
			return theirs.id;
		}
		await join(w, id, { version: 0, seq: 0 }, [
			{ personId: viewerId, role: 'member' },
			{ personId, role: 'member' }
		]);
		return id;
	});
	return opening(services, viewerId, id);
}

/** Makes a group; the same id again returns the same group. */
export async function createGroup(
	services: Services,
	viewerId: string,
	{ id, name, personIds }: z.infer<typeof createGroupInput>
): Promise<ConversationOpening> {
	const others = [...new Set(personIds)].filter((personId) => personId !== viewerId);
	const create = () =>
		write(services.realtime, async (w) => {
			const people = await peopleById(w.tx, others);
			if (people.length !== others.length || others.length === 0) throw notFound();
			// One for the group itself, one for each member, one for the notice.
			const versions = others.length + 3;
			await w.tx
				.insert(conversation)
				.values({ id, kind: 'group', name, changed: 1, version: versions, lastSeq: 1 });
			await join(w, id, { version: 1, seq: 0 }, [
				{ personId: viewerId, role: 'owner' },
				...others.map((personId) => ({ personId, role: 'member' as const }))
			]);
			await addNotice(w, id, { version: versions, seq: 1 }, viewerId, { type: 'created', name });
			await markOwnRead(w, id, viewerId, 1);
		});
	try {
		await create();
	} catch (error) {
		if (brokenUniqueKey(error) !== 'conversation_pkey') throw error;
		// A retry of the creator's own, or else an id that is none of the viewer's business.
		const [own] = await services.db.orm
			.select({ id: member.conversationId })
			.from(member)
			.where(
				and(eq(member.conversationId, id), eq(member.personId, viewerId), isNull(member.leftAt))
			);
		if (!own) throw notFound();
	}
	return opening(services, viewerId, id);
}

export function renameConversation(
	services: Services,
	viewerId: string,
	{ conversationId, name }: z.infer<typeof renameInput>
): Promise<ConversationDelta> {
	return write(services.realtime, async (w) => {
		await lockGroup(w, viewerId, conversationId);
		const taken = await w.take(conversationId, { versions: 2, messages: 1 });
		const changed = taken.version + 1;
		await w.tx
			.update(conversation)
			.set({ name, changed })
			.where(eq(conversation.id, conversationId));
		const changes: ConversationChange[] = [
			{ type: 'conversation.changed', conversation: await viewOf(w, conversationId) },
			await addNotice(
				w,
				conversationId,
				{ version: taken.version + 2, seq: taken.seq + 1 },
				viewerId,
				{ type: 'renamed', name }
			)
		];
		await markOwnRead(w, conversationId, viewerId, taken.seq + 1);
		return w.conversationChanged(conversationId, taken.version, taken.version + 2, changes);
	});
}

/** Adds people, or brings back who had left. Who is a member already is left alone. */
export function addPeople(
	services: Services,
	viewerId: string,
	{ conversationId, personIds }: z.infer<typeof addPeopleInput>
): Promise<ConversationDelta> {
	return write(services.realtime, async (w) => {
		const { version, lastSeq } = await lockGroup(w, viewerId, conversationId);
		const wanted = [...new Set(personIds)];
		if ((await peopleById(w.tx, wanted)).length !== wanted.length) throw notFound();
		const present = await w.tx
			.select({ personId: member.personId })
			.from(member)
			.where(
				and(
					eq(member.conversationId, conversationId),
					inArray(member.personId, wanted),
					isNull(member.leftAt)
				)
			);
		const here = new Set(present.map((row) => row.personId));
		const added = wanted.filter((personId) => !here.has(personId));
		if (added.length === 0) {
			return { conversationId, base: version, version, changes: [] };
		}
		const versions = added.length + 1;
		const taken = await w.take(conversationId, { versions, messages: 1 });
		const members = await join(
			w,
			conversationId,
			{ version: taken.version, seq: lastSeq },
			added.map((personId) => ({ personId, role: 'member' }))
		);
		const changes: ConversationChange[] = [
			...members.map((view) => ({ type: 'member.changed' as const, member: view })),
			await addNotice(
				w,
				conversationId,
				{ version: taken.version + versions, seq: taken.seq + 1 },
				viewerId,
				{ type: 'added', personIds: added }
			)
		];
		await markOwnRead(w, conversationId, viewerId, taken.seq + 1);
		return w.conversationChanged(conversationId, taken.version, taken.version + versions, changes);
	});
}

/** Removes somebody from a group; owners and admins may, and nobody can remove an owner. */
export function removePerson(
	services: Services,
	viewerId: string,
	{ conversationId, personId }: z.infer<typeof removePersonInput>
): Promise<ConversationDelta> {
	return write(services.realtime, async (w) => {
		const { role } = await lockGroup(w, viewerId, conversationId);
		if (personId === viewerId) throw new AppError('invalid_input', { field: 'personId' });
		const target = await findMember(w, conversationId, personId);
		if (!target) throw notFound();
		if (role === 'member' || role === 'moderator' || target.role === 'owner') {
			throw new AppError('not_allowed');
		}
		return endMembership(w, conversationId, personId, viewerId, { type: 'removed', personId });
	});
}

/** Leaves a group. The last owner hands over to whoever has been there longest. */
export async function leaveConversation(
	services: Services,
	viewerId: string,
	conversationId: string
): Promise<void> {
	await write(services.realtime, async (w) => {
		const { role } = await lockGroup(w, viewerId, conversationId);
		await endMembership(w, conversationId, viewerId, viewerId, { type: 'left' });
		if (role === 'owner') await passOnOwnership(w, conversationId);
	});
}

/** Everybody who is or was a member, for a member. */
export async function listMembers(
	services: Services,
	viewerId: string,
	conversationId: string
): Promise<MemberList> {
	const { sql: raw } = services.db;
	// What changes after this is left to a later delta, and not told to who is removed meanwhile.
	const [standing] = await raw<{ version: number }[]>`
		select c.version from conversation c
		join member v on v.conversation_id = c.id and v.person_id = ${viewerId} and v.left_at is null
		where c.id = ${conversationId}`;
	if (!standing) throw notFound();
	const rows = await raw<MemberRow[]>`
		select ${memberColumns(raw)} from member m join person p on p.id = m.person_id
		where m.conversation_id = ${conversationId} and m.version <= ${standing.version}
		order by m.joined_at, p.name`;
	return { version: standing.version, members: rows.map(memberView) };
}

/**
 * Moves the viewer's read position forward, never back, on all their devices; `unread` marks it to
 * come back to, until the next time.
 */
export async function markRead(
	services: Services,
	viewerId: string,
	{ conversationId, seq, unread }: z.infer<typeof markReadInput>
): Promise<void> {
	await write(services.realtime, async (w) => {
		const [row] = await w.tx.execute<{ moved: boolean; further: boolean }>(sql`
			with mine as (
				select m.conversation_id, m.read_seq,
					greatest(m.read_seq, least(${seq}::bigint, c.last_seq)) as seq
				from member m join conversation c on c.id = m.conversation_id
				where m.conversation_id = ${conversationId} and m.person_id = ${viewerId}
					and m.left_at is null
				-- Who is removed while this waits is no member.
				for no key update of m
			), moved as (
				update member m set read_seq = mine.seq, marked_unread = ${unread} from mine
				where m.conversation_id = mine.conversation_id and m.person_id = ${viewerId}
					and (m.read_seq < mine.seq or m.marked_unread <> ${unread})
				returning m.read_seq
			)
			select moved.read_seq is not null as moved, mine.read_seq < mine.seq as further
			from mine left join moved on true`);
		if (!row) throw notFound();
		if (!row.moved) return;
		await tellMembership(w, conversationId, [viewerId], false);
		if (row.further) w.receiptsChanged(conversationId, viewerId);
	});
}

async function lockGroup(w: Writer, viewerId: string, conversationId: string) {
	const locked = await lockConversation(w, viewerId, conversationId);
	if (locked.kind === 'direct') throw new AppError('not_allowed');
	return locked;
}

/**
 * Locks a conversation for a change and finds the viewer in it. The membership is read by a second
 * statement, behind the lock: who was removed while this waited is not found.
 */
export async function lockConversation(
	w: Writer,
	viewerId: string,
	conversationId: string
): Promise<{ kind: ConversationView['kind']; version: number; lastSeq: number; role: Role }> {
	const [locked] = await w.tx
		.select({
			kind: conversation.kind,
			version: conversation.version,
			lastSeq: conversation.lastSeq
		})
		.from(conversation)
		.where(eq(conversation.id, conversationId))
		.for('no key update');
	const viewer = locked && (await findMember(w, conversationId, viewerId));
	if (!viewer) throw notFound();
	return { ...locked, role: viewer.role };
}

async function findMember(
	w: Writer,
	conversationId: string,
	personId: string
): Promise<{ role: Role } | undefined> {
	const [row] = await w.tx
		.select({ role: member.role })
		.from(member)
		.where(
			and(
				eq(member.conversationId, conversationId),
				eq(member.personId, personId),
				isNull(member.leftAt)
			)
		);
	return row;
}

/** Makes people members, with the versions after `from.version`; what was said before is read. */
async function join(
	w: Writer,
	conversationId: string,
	from: { version: number; seq: number },
	people: { personId: string; role: Role }[]
): Promise<MemberView[]> {
	// In order of id, as all who lock several members do.
	const ordered = people.toSorted((a, b) => (a.personId < b.personId ? -1 : 1));
	await w.tx
		.insert(member)
		.values(
			ordered.map(({ personId, role }, index) => ({
				conversationId,
				personId,
				role,
				version: from.version + index + 1,
				readSeq: from.seq
			}))
		)
		.onConflictDoUpdate({
			target: [member.conversationId, member.personId],
			set: {
				role: sql`excluded.role`,
				version: sql`excluded.version`,
				joinedAt: sql`now()`,
				leftAt: null,
				readSeq: sql`greatest(member.read_seq, excluded.read_seq)`,
				markedUnread: false
			}
		});
	const ids = ordered.map(({ personId }) => personId);
	await tellMembership(w, conversationId, ids, false);
	return membersOf(w, conversationId, ids);
}

/** Ends a membership, with the notice that says how. */
async function endMembership(
	w: Writer,
	conversationId: string,
	personId: string,
	actorId: string,
	how: Notice
): Promise<ConversationDelta> {
	const taken = await w.take(conversationId, { versions: 2, messages: 1 });
	await w.tx
		.update(member)
		.set({ leftAt: new Date(), role: 'member', version: taken.version + 1 })
		.where(and(eq(member.conversationId, conversationId), eq(member.personId, personId)));
	await tellMembership(w, conversationId, [personId], true);
	const members = await membersOf(w, conversationId, [personId]);
	const changes: ConversationChange[] = [
		...members.map((view) => ({ type: 'member.changed' as const, member: view })),
		await addNotice(
			w,
			conversationId,
			{ version: taken.version + 2, seq: taken.seq + 1 },
			actorId,
			how
		)
	];
	if (actorId !== personId) await markOwnRead(w, conversationId, actorId, taken.seq + 1);
	return w.conversationChanged(conversationId, taken.version, taken.version + 2, changes);
}

async function passOnOwnership(w: Writer, conversationId: string): Promise<void> {
	const left = await w.tx
		.select({ personId: member.personId, role: member.role })
		.from(member)
		.where(and(eq(member.conversationId, conversationId), isNull(member.leftAt)))
		.orderBy(asc(member.joinedAt), asc(member.personId));
	const [heir] = left;
	if (!heir || left.some(({ role }) => role === 'owner')) return;
	const taken = await w.take(conversationId, { versions: 1 });
	await w.tx
		.update(member)
		.set({ role: 'owner', version: taken.version + 1 })
		.where(and(eq(member.conversationId, conversationId), eq(member.personId, heir.personId)));
	const members = await membersOf(w, conversationId, [heir.personId]);
	w.conversationChanged(
		conversationId,
		taken.version,
		taken.version + 1,
		members.map((view) => ({ type: 'member.changed', member: view }))
	);
}

/** Takes the next version of each person's line for their standing here, and tells their devices. */
async function tellMembership(
	w: Writer,
	conversationId: string,
	personIds: string[],
	left: boolean
): Promise<void> {
	const versions = await w.takePeople(personIds);
	for (const [personId, personVersion] of versions) {
		const [row] = await w.tx
			.update(member)
			.set({ personVersion })
			.where(and(eq(member.conversationId, conversationId), eq(member.personId, personId)))
			.returning({ readSeq: member.readSeq, markedUnread: member.markedUnread });
		if (!row) continue;
		w.personChanged(personId, personVersion, [
			{ type: 'membership.changed', conversationId, ...row, left }
		]);
	}
}

/** Who does something in a conversation has read it up to there, as with sending. */
async function markOwnRead(
	w: Writer,
	conversationId: string,
	personId: string,
	seq: number
): Promise<void> {
	await w.tx
		.update(member)
		.set({ readSeq: sql`greatest(${member.readSeq}, ${seq})` })
		.where(and(eq(member.conversationId, conversationId), eq(member.personId, personId)));
}

async function addNotice(
	w: Writer,
	conversationId: string,
	at: { version: number; seq: number },
	senderId: string,
	notice: Notice
): Promise<ConversationChange> {
	const sentAt = new Date();
	const id = uuidv7();
	await w.tx
		.insert(message)
		.values({ id, conversationId, ...at, senderId, kind: 'notice', notice, sentAt });
	return {
		type: 'message.changed',
		message: {
			id,
			conversationId,
			...at,
			senderId,
			sentAt: sentAt.getTime(),
			kind: 'notice',
			notice
		}
	};
}

async function viewOf(w: Writer, conversationId: string): Promise<ConversationView> {
	const [row] = await w.tx
		.select({
			id: conversation.id,
			kind: conversation.kind,
			name: conversation.name,
			createdAt: conversation.createdAt,
			changed: conversation.changed
		})
		.from(conversation)
		.where(eq(conversation.id, conversationId));
	if (!row) throw notFound();
	return { ...row, createdAt: row.createdAt.getTime() };
}

async function membersOf(
	w: Writer,
	conversationId: string,
	personIds: string[]
): Promise<MemberView[]> {
	const rows = await w.tx
		.select({
			personId: member.personId,
			role: member.role,
			leftAt: member.leftAt,
			version: member.version
		})
		.from(member)
		.where(and(eq(member.conversationId, conversationId), inArray(member.personId, personIds)))
		.orderBy(asc(member.version));
	const people = new Map((await peopleById(w.tx, personIds)).map((view) => [view.id, view]));
	return rows.flatMap(({ personId, role, leftAt, version }) => {
		const person = people.get(personId);
		return person ? [{ person, role, left: leftAt !== null, version }] : [];
	});
}
