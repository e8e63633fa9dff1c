import type { Language } from './i18n/index.svelte.ts';
import { errorDetails, errorReason } from './trpc.ts';

/** Why a call failed, in one line. */
export function errorWords(language: Language, error: unknown): string {
	const { retryAfter, max } = errorDetails(error);
	return language.error(errorReason(error), { seconds: retryAfter, max });
}
