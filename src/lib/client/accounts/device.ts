/**
 * A browser and a system from what the browser calls itself (`User-Agent`, RFC 9110 §10.1.5). Every
 * browser also names others that it resembles, so the order matters: the particular ones first.
 * What is not recognised is null; nothing is guessed, versions neither, since browsers freeze them.
 */
const BROWSERS: [RegExp, string][] = [
	[/\bEdg(?:e|A|iOS)?\//, 'Edge'],
	[/\b(?:OPR|Opera|OPT)\//, 'Opera'],
	[/\bVivaldi\//, 'Vivaldi'],
	[/\bSamsungBrowser\//, 'Samsung Internet'],
	[/\bDuckDuckGo\//, 'DuckDuckGo'],
	[/\b(?:Firefox|FxiOS)\//, 'Firefox'],
	[/\bElectron\//, 'Electron'],
	[/\b(?:HeadlessChrome|Chrome|Chromium|CriOS)\//, 'Chrome'],
	[/\bVersion\/[\d.]+.* Safari\//, 'Safari']
];

const SYSTEMS: [RegExp, string][] = [
	[/\biPhone\b/, 'iPhone'],
	[/\biPad\b/, 'iPad'],
	[/\bAndroid\b/, 'Android'],
	[/\bWindows\b/, 'Windows'],
	[/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
	[/\bCrOS\b/, 'ChromeOS'],
	[/\bLinux\b/, 'Linux']
];

export interface Device {
	browser: string | null;
	system: string | null;
	/** For the picture beside it. */
	form: 'phone' | 'tablet' | 'desktop' | 'other';
}

export function readDevice(userAgent: string): Device {
	const browser = firstMatch(BROWSERS, userAgent);
	const system = firstMatch(SYSTEMS, userAgent);
	return { browser, system, form: form(system, userAgent) };
}

function firstMatch(table: [RegExp, string][], userAgent: string): string | null {
	return table.find(([pattern]) => pattern.test(userAgent))?.[1] ?? null;
}

function form(system: string | null, userAgent: string): Device['form'] {
	if (system === null) return 'other';
	if (system === 'iPad') return 'tablet';
	if (system === 'Android') return /\bMobile\b/.test(userAgent) ? 'phone' : 'tablet';
	return system === 'iPhone' ? 'phone' : 'desktop';
}
