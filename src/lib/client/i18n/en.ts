/**
 * Every word on the screen. English is the source of the keys; `es.ts` must have the same shape, or
 * the check fails. A text with something in it is a function. `null` for a person means the viewer.
 * Short, plain, warm; no exclamation marks.
 */
type Who = string | null;

const plural = (count: number, one: string, many: string) =>
	`${count.toLocaleString('en')} ${count === 1 ? one : many}`;

const list = (parts: string[]) =>
	new Intl.ListFormat('en', { type: 'conjunction' }).format(parts).replace(/, and /, ' and ');

const wait = (seconds: number) =>
	seconds < 60
		? plural(Math.max(1, Math.ceil(seconds)), 'second', 'seconds')
		: plural(Math.ceil(seconds / 60), 'minute', 'minutes');

const subject = (who: Who) => who ?? 'You';
const object = (who: Who) => who ?? 'you';

export const en = {
	// --- What is said everywhere -----------------------------------------------------------------
	common: {
		appName: 'Tertulia',
		save: 'Save',
		cancel: 'Cancel',
		close: 'Close',
		retry: 'Try again',
		you: 'You',
		showPassword: 'Show password',
		hidePassword: 'Hide password',
		skipToContent: 'Skip to content'
	},

	// --- Titles of pages -------------------------------------------------------------------------
	titles: {
		page: (page: string) => `${page} · Tertulia`,
		/** In the tab of the browser, with what is unread. */
		unread: (count: number, page: string) => `(${count > 99 ? '99+' : count}) ${page}`,
		conversations: 'Conversations',
		settings: 'Settings',
		signIn: 'Sign in',
		signUp: 'Create an account'
	},

	// --- Signing in and up -----------------------------------------------------------------------
	auth: {
		tagline: 'Good talk, in a place of your own.',
		description:
			'Tertulia is a messenger that you host yourself. Your conversations stay on your own server.'
	},
	signIn: {
		title: 'Welcome back',
		login: 'Username or e-mail',
		password: 'Password',
		submit: 'Sign in',
		busy: 'Signing in',
		noAccount: 'New here?',
		toSignUp: 'Create an account',
		loginMissing: 'Write your username or e-mail.',
		passwordMissing: 'Write your password.',
		ended: 'Your session has ended. Sign in to go on.',
		demoTitle: 'Or come in as one of the demonstration people',
		demoHint: 'Only in development. No password needed.'
	},
	signUp: {
		title: 'Create your account',
		name: 'Name',
		nameHint: 'As people know you.',
		username: 'Username',
		usernameHint: (min: number, max: number) =>
			`${min} to ${max} characters: a to z, 0 to 9, dot, hyphen, underscore.`,
		email: 'E-mail',
		emailHint: 'Only you see it.',
		password: 'Password',
		passwordHint: (min: number) =>
			`At least ${min} characters. A few words together make a good one.`,
		submit: 'Create account',
		busy: 'Creating your account',
		haveAccount: 'Already have an account?',
		toSignIn: 'Sign in',
		nameMissing: 'Write your name.',
		nameTooLong: (max: number) => `At most ${max} characters.`,
		usernameMissing: 'Choose a username.',
		usernameShort: (min: number) => `At least ${min} characters.`,
		usernameLong: (max: number) => `At most ${max} characters.`,
		usernameCharacters: 'Only a to z, 0 to 9, dot, hyphen and underscore.',
		usernameEnds: 'Begin and end with a letter or a digit.',
		emailMissing: 'Write your e-mail address.',
		emailWrong: 'That does not look like an e-mail address.',
		passwordShort: (min: number) => `At least ${min} characters.`,
		passwordLong: (max: number) => `At most ${max} characters.`,
		strength: {
			short: (missing: number) => `${plural(missing, 'character', 'characters')} to go`,
			weak: 'Easy to guess',
			fair: 'Good',
			strong: 'Strong'
		}
	},

	// --- Errors by code --------------------------------------------------------------------------
	errors: {
		not_found: 'This is not here, or not for you.',
		not_signed_in: 'Your session has ended. Sign in again.',
		wrong_credentials: 'That username and password do not go together.',
		too_many_attempts: (seconds: number) => `Too many tries. Wait ${wait(seconds)}.`,
		sending_too_fast: (seconds: number) =>
			`That was quick. You can send again in ${wait(seconds)}.`,
		username_taken: 'Somebody already has that username.',
		email_taken: 'There is already an account with that e-mail.',
		wrong_password: 'That is not your current password.',
		invalid_input: 'Something in it is not right. Check it and try again.',
		too_long: (max: number) => `Too long: at most ${max.toLocaleString('en')} characters.`,
		not_allowed: 'You cannot do that here.',
		changed_meanwhile: 'It was changed on another device meanwhile.',
		too_many_reactions: (max: number) => `There are ${max} different reactions already.`,
		server_busy: 'The server is busy. Try again in a moment.',
		network: 'No connection to the server. Try again in a moment.',
		origin_refused: 'This page was opened from another address. Reload it.',
		internal: 'Something went wrong on our side. Try again.'
	},

	// --- The list of conversations ---------------------------------------------------------------
	conversations: {
		label: 'Conversations',
		start: 'New conversation',
		/** The button with one's own picture. */
		menu: (name: string) => `${name}: menu`,
		find: 'Find a conversation or a person',
		findPlaceholder: 'Search',
		foundCount: (count: number) => (count === 0 ? 'Nothing found' : `${count} found`),
		startDirect: 'Message a person',
		startGroup: 'New group',
		clearSearch: 'Clear search',
		emptyTitle: 'No conversations yet',
		emptyText: 'Find somebody you know and say hello.',
		unread: (count: number) => plural(count, 'unread message', 'unread messages'),
		markedUnread: 'Marked as unread',
		/** Before the text of the last message in the list. */
		lastBy: (who: Who) => `${subject(who)}: `,
		noMessages: 'No messages yet',
		untitledGroup: 'Group',
		people: (count: number) => plural(count, 'person', 'people')
	},

	// --- A conversation --------------------------------------------------------------------------
	conversation: {
		pickTitle: 'Pick a conversation',
		pickText: 'Or start a new one.',
		backToList: 'Back to conversations',
		actions: 'Conversation actions',
		markUnread: 'Mark as unread',
		timeline: (name: string) => `Messages with ${name}`,
		emptyTitle: 'Nothing said yet',
		emptyText: (name: string) => `This is where you and ${name} talk.`,
		emptyGroupText: 'Say hello to the group.',
		beginning: 'The conversation begins here.',
		unreadLine: 'New',
		toNewest: 'To the newest',
		newMessages: (count: number) => plural(count, 'new message', 'new messages'),
		/** Read aloud when a message arrives. */
		arrived: (name: string, text: string) => `${name} says: ${text}`,
		leftTitle: 'You are no longer in this group',
		leftText: 'What was said stays with those who are.'
	},

	// --- Writing ---------------------------------------------------------------------------------
	composer: {
		placeholder: 'Message',
		placeholderTo: (name: string) => `Message ${name}`,
		send: 'Send',
		tooLong: (over: number) => `${plural(over, 'character', 'characters')} too many`,
		editing: 'Edit message',
		cancelEditing: 'Cancel editing',
		saving: 'Saving',
		/** The message that one was editing is gone. */
		deletedMeanwhile: 'The message that you were editing was deleted.',
		dismiss: 'Dismiss'
	},

	// --- A message -------------------------------------------------------------------------------
	message: {
		deleted: 'This message was deleted',
		pending: 'Sending',
		sent: 'Sent',
		failed: 'Not sent',
		retry: 'Send again',
		discard: 'Discard',
		copy: 'Copy text',
		copied: 'Copied',
		actions: 'Message actions',
		from: (who: Who) => (who === null ? 'You said' : `${who} said`),
		formerPerson: 'Somebody who left',
		/** Beside the time. */
		edited: 'edited',
		edit: 'Edit',
		delete: 'Delete',
		deleteTitle: 'Delete this message?',
		deleteText: 'It is deleted for everyone and cannot be brought back.',
		history: 'Edit history',
		current: 'Now'
	},

	// --- Reactions to a message --------------------------------------------------------------------
	reactions: {
		react: 'React',
		/** Of an emoji that has no name here, its own sign. */
		names: {
			'👍': 'Thumbs up',
			'❤️': 'Heart',
			'😂': 'Tears of joy',
			'😮': 'Surprised',
			'😢': 'Sad',
			'🙏': 'Folded hands'
		},
		/** Who reacted; of many, the first ones and how many more. */
		by: (people: Who[], more: number) =>
			list([...people.map(subject), ...(more > 0 ? [plural(more, 'other', 'others')] : [])])
	},

	// --- Notices in the timeline -----------------------------------------------------------------
	notices: {
		directStarted: (by: Who) => `${subject(by)} started the conversation`,
		groupCreated: (by: Who, name: string) => `${subject(by)} created “${name}”`,
		added: (by: Who, people: Who[]) => `${subject(by)} added ${list(people.map(object))}`,
		removed: (by: Who, person: Who) => `${subject(by)} removed ${object(person)}`,
		left: (who: Who) => `${subject(who)} left`,
		renamed: (by: Who, name: string) => `${subject(by)} named the group “${name}”`
	},

	// --- Groups ----------------------------------------------------------------------------------
	group: {
		newTitle: 'New group',
		name: 'Name of the group',
		namePlaceholder: 'Friday lunch',
		nameMissing: 'Give the group a name.',
		nameTooLong: (max: number) => `At most ${max} characters.`,
		people: 'People',
		chosen: (count: number) => plural(count, 'person chosen', 'people chosen'),
		peopleMissing: 'Choose somebody.',
		create: 'Create group',
		unchoose: (name: string) => `Take out ${name}`,
		details: 'Group details',
		members: (count: number) => plural(count, 'person', 'people'),
		rename: 'Rename',
		renameTitle: 'Rename the group',
		add: 'Add people',
		addTitle: 'Add people',
		addSubmit: (count: number) =>
			count === 0 ? 'Add' : `Add ${plural(count, 'person', 'people')}`,
		remove: 'Remove',
		removeTitle: (name: string) => `Remove ${name}?`,
		removeText: (name: string) => `${name} will no longer see what is said here.`,
		removePerson: (name: string) => `Remove ${name} from the group`,
		leave: 'Leave group',
		leaveTitle: 'Leave this group?',
		leaveText: 'You will no longer see it. Somebody in it can add you again.',
		messagePerson: (name: string) => `Message ${name}`,
		roles: { owner: 'Owner', admin: 'Admin', moderator: 'Moderator', member: 'Member' }
	},

	// --- Finding people --------------------------------------------------------------------------
	people: {
		find: 'Find people',
		placeholder: 'Name or username',
		results: 'People found',
		startText: 'Write a name or a username.',
		noneText: (query: string) => `No one here is called “${query}”.`,
		alreadyIn: 'Already in the group'
	},

	// --- Who is there ----------------------------------------------------------------------------
	presence: {
		online: 'online',
		show: 'Show others when I am online',
		showText: 'If you hide it, you do not see when others are online either.'
	},

	receipts: {
		delivered: 'Delivered',
		read: 'Read',
		show: 'Receipts',
		showText: 'Let others see what you have received and read; you then see theirs.'
	},

	// --- Settings --------------------------------------------------------------------------------
	settings: {
		title: 'Settings',
		open: 'Settings',
		signOut: 'Sign out',
		signOutTitle: 'Sign out all the same?',
		signOutText: (count: number) =>
			`${plural(count, 'message has', 'messages have')} not been sent yet. Signing out deletes what is unsent from this device.`,
		profile: 'Profile',
		name: 'Name',
		username: 'Username',
		email: 'E-mail',
		appearance: 'Appearance',
		theme: 'Theme',
		themeSystem: 'System',
		themeLight: 'Light',
		themeDark: 'Dark',
		language: 'Language',
		privacy: 'Privacy',
		password: 'Password',
		passwordChange: 'Change password',
		passwordCurrent: 'Current password',
		passwordNew: 'New password',
		passwordCurrentMissing: 'Write your current password.',
		passwordChanged: 'Password changed. Your other sessions have ended.',
		sessions: 'Sessions',
		sessionsText: 'Where you are signed in.',
		notKept:
			'This browser lets nothing be kept on the device: conversations load anew each time, and what is unsent is lost when the tab is closed.',
		thisSession: 'This one',
		activeNow: 'Active now',
		lastActive: (ago: string) => `Active ${ago}`,
		device: (browser: string, system: string) => `${browser} on ${system}`,
		unknownDevice: 'Unknown device',
		endSession: 'End',
		endSessionOn: (device: string) => `End the session on ${device}`,
		endOthers: 'End all others',
		endOthersTitle: 'End all other sessions?',
		endOthersText: 'Your other devices are signed out at once. This one stays.',
		sessionEnded: 'Session ended',
		othersEnded: 'All other sessions have ended'
	},

	// --- Connection and what waits to be sent ------------------------------------------------------
	connection: {
		offline: 'Offline. What you write is sent later.',
		reconnecting: 'Reconnecting',
		unsentNotKept: 'Keep this tab open: what is unsent cannot be kept on this device.',
		newVersion: 'There is a new version.',
		incomplete: 'Part of the app could not be loaded.',
		reload: 'Reload'
	},
	outbox: {
		slowDown: (seconds: number) => `Sending goes on in ${wait(seconds)}.`
	},

	// --- Pages for when something is wrong ---------------------------------------------------------
	errorPage: {
		notFoundTitle: 'Nothing at this address',
		notFoundText: 'It may have moved, or it may not be for you.',
		brokenTitle: 'Something went wrong',
		brokenText: 'It is not your doing. Try again, or come back in a moment.',
		offlineTitle: 'No connection',
		offlineText: 'This page cannot be opened without one.',
		home: 'To your conversations',
		reload: 'Reload'
	},

	// --- Keyboard --------------------------------------------------------------------------------
	keyboard: {
		title: 'Keyboard',
		open: 'Keyboard help',
		send: 'Send',
		newLine: 'New line',
		nextConversation: 'Next conversation',
		previousConversation: 'Previous conversation',
		search: 'Search conversations',
		moveInList: 'Move in lists and messages',
		messageActions: 'Actions of the message that has the focus',
		editLast: 'Edit your last message, when nothing is written',
		close: 'Close, or back',
		help: 'This help'
	}
};

/** The shape that every language has. */
export type Messages = typeof en;
