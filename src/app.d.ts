import type { Caller } from '#lib/server/app.ts';
import type { ViewerView } from '#lib/shared/accounts.ts';
import type { Locale } from '#lib/shared/locale.ts';
import type { Theme } from '#lib/shared/theme.ts';

declare global {
	namespace App {
		interface Locals {
			viewer: ViewerView | null;
			/** The procedures on behalf of who is asking. */
			caller(): Caller;
			locale: Locale;
			theme: Theme;
		}
		interface Platform {
			req: import('node:http').IncomingMessage;
		}
	}
}
