/** The pictures of the README, and that the screen fits into any width. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BrowserContextOptions } from 'playwright';
import { beforeAll, expect } from 'vitest';
import { colleague, seedCompany } from './company.ts';
import { test, useStage } from './stage.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../docs/screenshots');
/** Otherwise a run leaves the pictures as they are: other fonts would make others. */
const UPDATE = process.env.UPDATE_SCREENSHOTS === '1';

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = {
	viewport: { width: 390, height: 844 },
	deviceScaleFactor: 2,
	isMobile: true,
	hasTouch: true
};

const stage = useStage();
beforeAll(() => seedCompany(stage));

const PICTURES: [string, BrowserContextOptions][] = [
	['desktop-light', { ...DESKTOP, colorScheme: 'light' }],
	['desktop-dark', { ...DESKTOP, colorScheme: 'dark' }],
	['phone-light', { ...PHONE, colorScheme: 'light' }],
	['phone-dark', { ...PHONE, colorScheme: 'dark' }]
];

test.for(PICTURES)('a conversation, %s', async ([name, options]) => {
	const ines = await colleague(stage, 'Inés Calderón', 'ines', options);
	await ines.open('Editorial');
	await ines.timeline.getByRole('article').last().waitFor();
	// Nothing on it that blinks or points.
	await ines.composer.blur();
	await ines.settles();
	const picture = await ines.page.screenshot({ animations: 'disabled', caret: 'hide' });
	const file = path.join(FOLDER, `${name}.png`);
	if (UPDATE || !existsSync(file)) {
		mkdirSync(FOLDER, { recursive: true });
		writeFileSync(file, picture);
	}
	expect(picture.length).toBeGreaterThan(10_000);
});

test('from 320 pixels on nothing is wider than the screen, and the composer is on it', async () => {
	const ines = await colleague(stage, 'Inés Calderón', 'ines');
	await ines.open('Editorial');
	const { path: conversation } = ines;
	for (const width of [320, 390, 768, 1280]) {
		await ines.page.setViewportSize({ width, height: 640 });
		for (const address of [conversation, '/chats', '/settings']) {
			await ines.goto(address);
			const overflow = await ines.page.evaluate(() => {
				const { scrollWidth, clientWidth } = document.documentElement;
				return scrollWidth - clientWidth;
			});
			expect([address, width, overflow]).toEqual([address, width, 0]);
		}
		await ines.goto(conversation);
		const timeline = await ines.timeline.evaluate((it) => it.scrollWidth - it.clientWidth);
		expect([width, timeline]).toEqual([width, 0]);
		const box = await ines.composer.boundingBox();
		expect(box).not.toBeNull();
		expect(box!.x).toBeGreaterThanOrEqual(0);
		expect(box!.x + box!.width).toBeLessThanOrEqual(width);
		expect(box!.y + box!.height).toBeLessThanOrEqual(640);
	}
});
