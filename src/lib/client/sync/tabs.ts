/** What the tabs of a browser share, where it has such things. */
import type { ChannelLike } from './shared-stream.ts';

export function browserLocks(): Pick<LockManager, 'request'> | null {
	return (typeof navigator !== 'undefined' && navigator.locks) || null;
}

export function browserChannel(): ((name: string) => ChannelLike) | null {
	return typeof BroadcastChannel === 'undefined' ? null : (name) => new BroadcastChannel(name);
}
