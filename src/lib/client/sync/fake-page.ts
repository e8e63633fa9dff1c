import { afterEach, beforeEach, vi } from 'vitest';
import { applySync, emptyReplica } from '#lib/shared/replica.ts';
import { SyncEngine } from './engine.ts';
import { VIEWER, type FakeServer } from './fake-server.ts';
import { ReplicaStore } from './store.svelte.ts';

/** For each test of a file: a page that is seen, online, and whose time is the test's. */
export function useFakePage(): void {
	beforeEach(() => {
		vi.useFakeTimers();
		vi.stubGlobal('window', Object.assign(new EventTarget(), { localStorage: null }));
		vi.stubGlobal('document', Object.assign(new EventTarget(), { visibilityState: 'visible' }));
		vi.stubGlobal('navigator', { onLine: true });
	});
	afterEach(() => {
		vi.useRealTimers();
		vi.unstubAllGlobals();
	});
}

/** What a page knows, and what keeps it current, without a stream. */
export function knowing(server: FakeServer): { store: ReplicaStore; engine: SyncEngine } {
	const empty = emptyReplica(VIEWER.id);
	const store = new ReplicaStore(
		applySync(empty, server.since({ conversations: {} }), empty).replica
	);
	const engine = new SyncEngine({
		store,
		since: (input) => server.api.sync.since.mutate(input),
		onCaughtUp: () => {}
	});
	return { store, engine };
}
