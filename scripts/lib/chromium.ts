/** Finds a Chromium for the end-to-end tests, and gets one where there is none. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** Playwright tries again and again where its servers cannot be reached. */
const DOWNLOAD_MS = 180_000;

/** The system's own, in the order of `NAMES`, else the one that Playwright downloaded. */
export function findChromium(
	search = process.env.PATH ?? '',
	downloaded = chromium.executablePath()
): string | undefined {
	const folders = search.split(path.delimiter).filter(Boolean);
	const candidates = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)));
	return [...candidates, downloaded].find(isExecutable);
}

function isExecutable(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

/** Finds it or gets it: from Playwright, else as root from Debian's packages. */
export function provideChromium(): string | undefined {
	const found = findChromium();
	if (found) return found;
	console.log('No Chromium here; asking Playwright for one.');
	runQuietly('playwright', ['install', 'chromium'], DOWNLOAD_MS);
	const downloaded = findChromium();
	if (downloaded || process.getuid?.() !== 0) return downloaded;
	console.log('None from there; asking apt-get.');
	runQuietly('apt-get', ['update']);
	runQuietly('apt-get', ['install', '-y', '--no-install-recommends', 'chromium']);
	return findChromium();
}

function runQuietly(command: string, args: string[], timeout?: number): void {
	spawnSync(command, args, {
		stdio: 'ignore',
		timeout,
		env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
	});
}
