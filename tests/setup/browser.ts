import { chromium, type Browser } from 'playwright';
import { findChromium } from '../../scripts/lib/chromium.ts';

/** A headless Chromium that talks to nobody but us. Close it at the end of the file. */
export async function launchBrowser(more: string[] = []): Promise<Browser> {
	const executablePath = findChromium();
	if (!executablePath) throw new Error('No Chromium: “pnpm test” finds or installs one.');
	return chromium.launch({ executablePath, args: [...chromiumArguments(), ...more] });
}

function chromiumArguments(): string[] {
	return [
		// Its sandbox does not work for root.
		...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
		'--disable-gpu',
		'--disable-quic',
		'--no-first-run',
		'--disable-background-networking',
		'--disable-component-update',
		'--disable-sync'
	];
}
