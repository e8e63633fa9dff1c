/** How hard a password is to guess, roughly: length tells most, sameness tells the rest. */
export type Strength = 'short' | 'weak' | 'fair' | 'strong';

const COMMON =
	/pass?w(o|0)rd|contrase(ñ|n)a|qwert|asdf|zxcv|letmein|welcome|bienvenid|iloveyou|tequiero|admin|tertulia/gi;
const RUNS = /(.)\1{2,}|0123|1234|2345|3456|4567|5678|6789|7890|abcd|bcde|cdef/gi;

/**
 * @param own what others know of the person (name, username, e-mail): worth nothing inside
 */
export function passwordStrength(password: string, min: number, own: string[] = []): Strength {
	if (password.length < min) return 'short';
	let rest = password.replace(COMMON, '#').replace(RUNS, '#');
	for (const word of own.flatMap((text) => text.split(/[\s@._-]+/))) {
		if (word.length > 2) rest = rest.replaceAll(new RegExp(escaped(word), 'gi'), '#');
	}
	const different = new Set(rest.toLowerCase()).size;
	if (rest.length < 8 || different < 6) return 'weak';
	return rest.length >= 16 && different >= 9 ? 'strong' : 'fair';
}

function escaped(text: string): string {
	return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
