/** `localStorage`, or null where there is none or the browser forbids it. */
export function browserStorage(): Storage | null {
	try {
		return typeof window === 'undefined' ? null : window.localStorage;
	} catch {
		return null;
	}
}

export const keysOf = (storage: Storage | null, prefix: string): string[] =>
	Array.from({ length: storage?.length ?? 0 }, (_, i) => storage?.key(i) ?? '').filter((key) =>
		key.startsWith(prefix)
	);
