import type { Services } from '../services.ts';
import type { ViewerView } from '#lib/shared/accounts.ts';

/** A session that was found valid for this request. */
export interface ViewerSession {
	/** SHA-256 of the cookie's value: the name of the session, not the key to it. */
	id: string;
	viewer: ViewerView;
}

export interface Context {
	services: Services;
	session: ViewerSession | null;
	/** Where the request came from, past the trusted proxies. */
	address: string;
	userAgent: string;
	/** Sets or, with null, removes the session cookie of the answer. */
	setSessionCookie(token: string | null): void;
}
