/** Pictures of the app as it was last seen here, one per person: their keys begin so. */
export const SCREEN_PREFIX = 'tertulia.screen.';
/** The element that shows the picture until the app is there. */
export const SCREEN_ID = 'last-screen';

/** What the device keeps, as JSON in localStorage. */
export interface KeptScreen {
	/** The address of the style sheet, which names its contents: others may not fit. */
	styles: string;
	/** Milliseconds since the epoch. */
	at: number;
	path: string;
	/** Of the tab. */
	title: string;
	/** Of the document; the frame may have been kept before they were chosen. */
	lang: string;
	theme: string;
	/** The condition of `@media` under which `css` is right: of the window, the colours, the pointer. */
	media: string;
	/** Of the style sheet, what the picture needs. */
	css: string;
	/** The shell, as HTML; instead of `style` it has `data-style`, which no policy forbids. */
	html: string;
}

/**
 * Draws what the device kept of the last screen, while the app is still on its way, and says whether
 * there was anything. It runs within the page that the service worker keeps, as text (`toString`),
 * before any other program: so it may refer to nothing outside of itself, and to nothing newer than
 * the browsers that we support.
 */
export function drawLastScreen(prefix: string, id: string, draftPrefix: string): boolean {
	const person = /(?:^|; )person=([^;]+)/.exec(document.cookie)?.[1];
	if (!person) return false;
	let kept: KeptScreen | null;
	try {
		kept = JSON.parse(localStorage.getItem(prefix + person) ?? 'null') as KeptScreen | null;
	} catch {
		// Forbidden, or broken: then the app comes without.
		return false;
	}
	const styles = document.querySelector('link[data-styles]')?.getAttribute('href');
	if (!kept || kept.styles !== styles || !('adoptedStyleSheets' in document)) return false;
	if (!matchMedia(kept.media || 'all').matches) return false;

	document.documentElement.lang = kept.lang;
	document.documentElement.dataset['theme'] = kept.theme;
	const screen = document.createElement('div');
	screen.id = id;
	screen.innerHTML = kept.html;
	const shell = screen.querySelector('main');
	if (!shell) return false;
	const path = location.pathname;
	shell.classList.toggle('open', path !== '/chats');
	if (path === kept.path) {
		document.title = kept.title;
	} else {
		shell.querySelector('.pane')?.replaceChildren();
		for (const row of shell.querySelectorAll('nav a[href]')) {
			if (row.getAttribute('href') === path) row.setAttribute('aria-current', 'page');
			else row.removeAttribute('aria-current');
		}
	}
	for (const element of shell.querySelectorAll<HTMLElement>('[data-style]')) {
		element.style.cssText = element.dataset['style'] ?? '';
	}
	// Of another day, 'today' and '14:05' are not true any more.
	if (new Date(kept.at).toDateString() !== new Date().toDateString()) {
		for (const element of shell.querySelectorAll<HTMLElement>('nav time, h2 span')) {
			element.style.visibility = 'hidden';
		}
	}

	// What is done before there is anything that could do it is done when there is.
	screen.addEventListener('click', (event) => {
		const target = event.target instanceof Element ? event.target.closest('a, button') : null;
		const href = target?.getAttribute('href');
		// What leads out of the app needs no app.
		if (!target || (href && !href.startsWith('/'))) return;
		event.preventDefault();
		screen.dataset['pressed'] =
			href ?? target.getAttribute('aria-label') ?? target.textContent.trim();
	});
	const hasFinePointer = matchMedia('(hover: hover) and (pointer: fine)').matches;
	screen.addEventListener('keydown', (event) => {
		const isSending = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
		if (isSending && hasFinePointer && event.target instanceof HTMLTextAreaElement) {
			screen.dataset['sent'] = '';
		}
	});
	// As the app keeps what is typed: it is there also if the app never comes.
	screen.addEventListener('input', ({ target }) => {
		if (!(target instanceof HTMLTextAreaElement)) return;
		const key = `${draftPrefix}${person}.${path.split('/').at(-1)}`;
		if (target.value === '') localStorage.removeItem(key);
		else localStorage.setItem(key, target.value);
	});
	const sheet = new CSSStyleSheet();
	sheet.replaceSync(kept.css);
	document.adoptedStyleSheets = [sheet];
	document.body.append(screen);
	// As the app will do it where no keyboard comes up; before the first frame it would cost one.
	if (!hasFinePointer) return true;
	requestAnimationFrame(() => {
		setTimeout(() => screen.querySelector('textarea')?.focus({ preventScroll: true }));
	});
	return true;
}

/**
 * The style sheet and the code of the app lie on the device too; asking for them must not delay the
 * picture, which brings along what it needs. Where there is none, nothing is seen without styles. Text,
 * too.
 */
export function loadLater(rel: string, drawn: boolean): void {
	const root = document.documentElement;
	const sheet = document.querySelector<HTMLLinkElement>('link[data-styles]');
	// Without it the page is loaded again (mend-frame.ts); until then the picture keeps its rules.
	sheet?.addEventListener('load', () => {
		document.adoptedStyleSheets = [];
		root.style.visibility = '';
		delete sheet.dataset['styles'];
	});
	if (sheet && !drawn) {
		root.style.visibility = 'hidden';
		sheet.rel = 'stylesheet';
	}
	requestAnimationFrame(() => {
		setTimeout(() => {
			if (sheet && drawn) sheet.rel = 'stylesheet';
			for (const link of document.querySelectorAll<HTMLLinkElement>(`link[rel=${rel}]`)) {
				link.rel = 'modulepreload';
			}
		});
	});
}
