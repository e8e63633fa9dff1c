import { expect, test } from 'vitest';
import { readDevice } from './device.ts';

const KHTML = 'AppleWebKit/537.36 (KHTML, like Gecko)';

test.each([
	[
		`Mozilla/5.0 (X11; Linux x86_64) ${KHTML} Chrome/140.0.0.0 Safari/537.36`,
		'Chrome',
		'Linux',
		'desktop'
	],
	[
		`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${KHTML} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`,
		'Edge',
		'Windows',
		'desktop'
	],
	[
		`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${KHTML} Chrome/139.0.0.0 Safari/537.36 OPR/124.0.0.0`,
		'Opera',
		'Windows',
		'desktop'
	],
	[
		'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
		'Safari',
		'macOS',
		'desktop'
	],
	[
		'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1',
		'Safari',
		'iPhone',
		'phone'
	],
	[
		'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1',
		'Chrome',
		'iPhone',
		'phone'
	],
	[
		'Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/142.0 Mobile/15E148 Safari/605.1.15',
		'Firefox',
		'iPad',
		'tablet'
	],
	[
		`Mozilla/5.0 (Linux; Android 10; K) ${KHTML} Chrome/140.0.0.0 Mobile Safari/537.36`,
		'Chrome',
		'Android',
		'phone'
	],
	[
		`Mozilla/5.0 (Linux; Android 10; K) ${KHTML} SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36`,
		'Samsung Internet',
		'Android',
		'tablet'
	],
	[
		'Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0',
		'Firefox',
		'Android',
		'phone'
	],
	[
		'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0',
		'Firefox',
		'Linux',
		'desktop'
	],
	[
		`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${KHTML} Chrome/140.0.0.0 Safari/537.36`,
		'Chrome',
		'ChromeOS',
		'desktop'
	],
	['curl/8.14.1', null, null, 'other'],
	['', null, null, 'other']
])('%s', (userAgent, browser, system, form) => {
	expect(readDevice(userAgent)).toEqual({ browser, system, form });
});
