export const themes = ['system', 'light', 'dark'] as const;

export type Theme = (typeof themes)[number];

/** The theme that the cookie names; the system's where it names none. */
export function knownTheme(cookie: string | undefined): Theme {
	return themes.find((theme) => theme === cookie) ?? 'system';
}
