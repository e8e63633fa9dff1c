/** Something the person at the keyboard can put right: shown as its sentence, never as a stack. */
export class Problem extends Error {
	override name = 'Problem';
}

/** Runs a script's body; a `Problem` or wrong settings end it with their sentence and status 1. */
export async function runScript(body: () => Promise<void> | void): Promise<void> {
	try {
		await body();
	} catch (error) {
		process.exitCode = 1;
		console.error(isForThePerson(error) ? `\n${error.message}\n` : error);
	}
}

function isForThePerson(error: unknown): error is Error {
	return error instanceof Problem || (error instanceof Error && error.name === 'SettingsError');
}
