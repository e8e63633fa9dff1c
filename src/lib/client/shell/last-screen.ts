/**
 * The picture of the app that its next opening begins with. It is HTML as it stands in the document,
 * of as much as the window shows, and it is gone as soon as the app itself is drawn.
 */
import { SCREEN_ID, SCREEN_PREFIX, type KeptScreen } from '#lib/shared/last-screen.ts';
import { pictureStyles } from './picture-styles.ts';
import { browserStorage, keysOf } from '#lib/client/messages/storage.ts';

/** What belongs to a moment, and is not there when the app opens. */
const PASSING = '[popover], dialog, [role=status], [role=alert], [data-unread], [data-passing]';

/** Keeps what is on the screen now. Where storage is full or forbidden, the next opening has none. */
export function keepScreen(personId: string): void {
	const shell = document.querySelector<HTMLElement>('#app main');
	// One that has not come yet, or never will, has no rules.
	const styles = document.querySelector<HTMLLinkElement>('link[rel=stylesheet]:not([data-styles])');
	const rules = styles?.sheet?.cssRules;
	if (!shell || !rules) return;
	// A list that is being searched, and messages on their way, are not what it opens with.
	const isSearching = Boolean(shell.querySelector<HTMLInputElement>('nav input')?.value);
	// Nor is a message that is being edited, which its field would hold as a draft.
	if (isSearching || shell.querySelector('[aria-busy=true], [data-editing]')) return;
	const key = SCREEN_PREFIX + personId;
	const picture = pictureOf(shell);
	const root = getComputedStyle(document.documentElement);
	const { css, media, inline } = pictureStyles(rules, classesOf(picture), {
		matches: (condition) => matchMedia(condition).matches,
		token: (name) => root.getPropertyValue(name).trim()
	});
	setAsideStyles(picture, inline);
	const kept: KeptScreen = {
		styles: styles.getAttribute('href') ?? '',
		at: Date.now(),
		path: location.pathname,
		title: document.title,
		lang: document.documentElement.lang,
		theme: document.documentElement.dataset['theme'] ?? '',
		media,
		css,
		html: picture.outerHTML
	};
	const storage = browserStorage();
	try {
		storage?.setItem(key, JSON.stringify(kept));
	} catch {
		storage?.removeItem(key);
	}
}

/** Nothing of this person stays. */
export function wipeScreen(personId: string): void {
	browserStorage()?.removeItem(SCREEN_PREFIX + personId);
}

/** Of nobody, but of one. */
export function wipeScreens(except = ''): void {
	const storage = browserStorage();
	for (const key of keysOf(storage, SCREEN_PREFIX)) {
		if (key !== SCREEN_PREFIX + except) storage?.removeItem(key);
	}
}

/** All that the picture shows, the app shows too, wherever it has to come from. */
export async function appIsThere(): Promise<void> {
	await stylesAreThere();
	await messagesAreThere();
}

/**
 * The picture has only the rules that it needs; before the app is seen, all have to be there. If they
 * do not come, the page goes (shared/mend-frame.ts).
 */
async function stylesAreThere(): Promise<void> {
	const styles = document.querySelector('link[data-styles]');
	if (!styles) return;
	await new Promise((settled) => styles.addEventListener('load', settled, { once: true }));
}

/** Messages may have to come from the server. What is pressed in the picture does not wait for them. */
async function messagesAreThere(): Promise<void> {
	const app = document.getElementById('app');
	const screen = document.getElementById(SCREEN_ID);
	if (!app || !screen?.querySelector('[role=log]')) return;
	const isWaitedFor = () =>
		app.querySelector('[role=log][aria-busy=true]') !== null &&
		screen.dataset['pressed'] === undefined &&
		screen.dataset['sent'] === undefined;
	if (!isWaitedFor()) return;
	await new Promise<void>((settled) => {
		const observer = new MutationObserver(() => {
			if (isWaitedFor()) return;
			observer.disconnect();
			settled();
		});
		observer.observe(app, { subtree: true, childList: true, attributeFilter: ['aria-busy'] });
		observer.observe(screen, { attributeFilter: ['data-pressed', 'data-sent'] });
	});
}

/**
 * Takes the picture away. What was written into it is in the app then; what was pressed is done
 * by the function that it returns.
 */
export function uncoverScreen(): (open: (path: string) => void) => void {
	const screen = document.getElementById(SCREEN_ID);
	const shell = document.querySelector('#app main');
	if (!screen || !shell) {
		screen?.remove();
		return () => {};
	}
	for (const place of ['nav input', 'textarea']) {
		const from = screen.querySelector<HTMLInputElement | HTMLTextAreaElement>(place);
		const to = shell.querySelector<HTMLInputElement | HTMLTextAreaElement>(place);
		if (!from || !to) continue;
		if (from.value !== from.defaultValue) {
			to.value = from.value;
			to.dispatchEvent(new Event('input', { bubbles: true }));
		}
		if (from === document.activeElement) to.focus({ preventScroll: true });
	}
	const { pressed, sent } = screen.dataset;
	screen.remove();
	return (open) => {
		if (sent !== undefined) shell.querySelector('textarea')?.form?.requestSubmit();
		if (pressed?.startsWith('/')) open(pressed);
		else if (pressed) buttonOf(shell, pressed)?.click();
	};
}

const buttonOf = (shell: Element, name: string): HTMLButtonElement | undefined =>
	[...shell.querySelectorAll('button')].find((button) =>
		[button.getAttribute('aria-label'), button.textContent.trim()].includes(name)
	);

/** The shell with no more in it than the window has room for. */
function pictureOf(shell: HTMLElement): HTMLElement {
	const picture = shell.cloneNode(true) as HTMLElement;
	picture.classList.remove('moved', 'dragging');
	leaveOnly(shell, picture, 'nav li', (row) => row.top < innerHeight);
	// It opens at the end, wherever one was.
	const log = shell.querySelector('[role=log]');
	const end = log?.firstElementChild?.getBoundingClientRect().bottom ?? 0;
	const isWhole = log?.hasAttribute('data-whole');
	leaveOnly(shell, picture, '[role=log] [data-anchor]', (item) => {
		return isWhole === true && item.bottom > end - innerHeight;
	});
	for (const day of picture.querySelectorAll('[role=log] section')) {
		if (!day.querySelector('[data-anchor]')) day.remove();
	}
	for (const element of picture.querySelectorAll(PASSING)) element.remove();
	for (const comment of commentsOf(picture)) comment.remove();

	const field = picture.querySelector('textarea');
	if (field) {
		field.textContent = shell.querySelector('textarea')?.value ?? '';
		field.readOnly = false;
	}
	for (const button of picture.querySelectorAll('button:not([aria-label])')) {
		button.setAttribute('aria-label', button.textContent.trim());
	}
	// What is pressed is found again by its name, and a chip has that of many others.
	for (const button of picture.querySelectorAll<HTMLElement>('[role=log] button')) {
		button.inert = true;
	}
	// Nothing is read aloud from it.
	for (const element of picture.querySelectorAll('.visually-hidden')) element.remove();
	for (const element of picture.querySelectorAll('[id]')) element.removeAttribute('id');
	return picture;
}

/** No policy forbids them there. */
function setAsideStyles(picture: HTMLElement, inline: (style: string) => string): void {
	for (const element of picture.querySelectorAll<HTMLElement>('[style]')) {
		const style = element.getAttribute('style');
		if (style) element.dataset['style'] = inline(style);
		element.removeAttribute('style');
	}
}

function classesOf(picture: HTMLElement): Set<string> {
	const classes = new Set<string>();
	for (const element of [picture, ...picture.querySelectorAll('[class]')]) {
		for (const name of element.classList) classes.add(name);
	}
	return classes;
}

/** They are the app's own, and each would be one more thing to parse. */
function commentsOf(picture: HTMLElement): Comment[] {
	const walker = document.createTreeWalker(picture, NodeFilter.SHOW_COMMENT);
	const comments: Comment[] = [];
	while (walker.nextNode()) comments.push(walker.currentNode as Comment);
	return comments;
}

/** What is kept of the copy is decided by where the original lies. */
function leaveOnly(
	shell: HTMLElement,
	picture: HTMLElement,
	selector: string,
	stays: (place: DOMRect) => boolean
): void {
	const copies = picture.querySelectorAll(selector);
	for (const [index, element] of shell.querySelectorAll(selector).entries()) {
		if (!stays(element.getBoundingClientRect())) copies[index]?.remove();
	}
}
