import { createContext } from 'svelte';

/** What a pane may ask of the frame around it. */
export interface ShellActions {
	/** Back to the list, on a phone with the motion of going back. */
	back(): Promise<void>;
	/** Gives the focus to the conversation that is open, in the list. */
	focusList(): void;
}

export const [useShell, provideShell] = createContext<ShellActions>();
