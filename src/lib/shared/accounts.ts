import { z } from 'zod';

export const NAME_MAX = 60;
export const USERNAME_MIN = 3;
export const USERNAME_MAX = 30;
export const PASSWORD_MIN = 10;
/** Argon2 takes any length; this keeps a request from being a way to make the server work. */
export const PASSWORD_MAX = 200;
export const USERNAME_PATTERN = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;

export const personView = z.object({ id: z.uuid(), name: z.string(), username: z.string() });
export type PersonView = z.infer<typeof personView>;

export const sessionView = z.object({
	id: z.string(),
	/** As the browser calls itself; the client puts it into words. */
	userAgent: z.string(),
	address: z.string(),
	/** Milliseconds since the epoch. */
	createdAt: z.number(),
	lastSeenAt: z.number(),
	current: z.boolean()
});
export type SessionView = z.infer<typeof sessionView>;

export const viewerView = personView.extend({ email: z.string() });
export type ViewerView = z.infer<typeof viewerView>;

const password = z.string().min(PASSWORD_MIN).max(PASSWORD_MAX);

export const signUpInput = z.object({
	name: z.string().trim().min(1).max(NAME_MAX),
	username: z
		.string()
		.trim()
		.toLowerCase()
		.min(USERNAME_MIN)
		.max(USERNAME_MAX)
		.regex(USERNAME_PATTERN),
	email: z.string().trim().toLowerCase().max(254).pipe(z.email()),
	password
});
export type SignUpInput = z.infer<typeof signUpInput>;

export const signInInput = z.object({
	/** A username or an e-mail address. */
	login: z.string().trim().toLowerCase().min(1).max(254),
	password: z.string().min(1).max(PASSWORD_MAX)
});
export type SignInInput = z.infer<typeof signInInput>;

export const changePasswordInput = z.object({
	current: z.string().min(1).max(PASSWORD_MAX),
	next: password
});

export const findPeopleInput = z.object({ query: z.string().trim().max(60) });
