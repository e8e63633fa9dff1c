/**
 * Asks for a page as the service worker keeps it, to open the app with: the frame alone, whoever
 * asks. There is nothing of anybody in it.
 */
export const SHELL_HEADER = 'x-tertulia-shell';
/** Databases on the device, one per person: their names begin so. */
export const DEVICE_PREFIX = 'tertulia.person.';
/** What the service worker keeps, one cache per version of the app: their names begin so. */
export const CACHE_PREFIX = 'tertulia.';
/** The page that it keeps for who has nothing on this device and no network. */
export const OFFLINE = '/offline';
/** What was typed and not sent, per person and conversation, in localStorage: its keys begin so. */
export const DRAFT_PREFIX = 'tertulia.draft.';
/** What a page tells the service worker when language or theme were chosen. */
export const CHOICE_CHANGED = 'choice.changed';
/** What a page tells the service worker that it was opened by. */
export const PAGE_OPENED = 'page.opened';
/** `rel` of the styles and the code that a kept page loads only after its first frame. */
export const LATER = 'later';
