import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findChromium } from './chromium.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tertulia-chromium-'));
afterAll(() => rmSync(folder, { recursive: true }));

function install(name: string, mode = 0o755): string {
	const file = path.join(folder, name);
	writeFileSync(file, '');
	chmodSync(file, mode);
	return file;
}

test('the system’s Chromium is taken before Chrome, and both before a download', () => {
	const nowhere = path.join(folder, 'nowhere');
	expect(findChromium(`/none:${folder}`, nowhere)).toBeUndefined();
	const downloaded = install('downloaded');
	expect(findChromium(folder, downloaded)).toBe(downloaded);
	const chrome = install('google-chrome');
	expect(findChromium(folder, downloaded)).toBe(chrome);
	install('chromium', 0o644);
	expect(findChromium(folder, downloaded)).toBe(chrome);
	const chromium = install('chromium');
	expect(findChromium(`/none:${folder}`, downloaded)).toBe(chromium);
});
