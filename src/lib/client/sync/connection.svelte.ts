/** Trouble that is over before anybody could have noticed is not told. */
const TROUBLE_MS = 2000;

export type ConnectionState = 'live' | 'connecting' | 'offline';

/** How the client stands with the server, as the screen tells it. */
export class Connection {
	#state: ConnectionState = $state('connecting');
	#troubled = $state(false);
	#timer: ReturnType<typeof setTimeout> | undefined;

	/** `live`: all is known and everything new is heard. `offline`: the device says that it has no network. */
	get state(): ConnectionState {
		return this.#state;
	}

	/** It has not been live for longer than two seconds. */
	get troubled(): boolean {
		return this.#troubled;
	}

	report(state: ConnectionState): void {
		this.#state = state;
		if (state === 'live') this.rest();
		else this.#timer ??= setTimeout(() => (this.#troubled = true), TROUBLE_MS);
	}

	/** Nothing is expected of the connection (any more). */
	rest(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#troubled = false;
	}
}
