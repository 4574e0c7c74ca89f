/** The part of `localStorage` that is used. */
export interface Store {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
    removeItem(key: string): void;
}
/** A visit ends after this much silence. */
export declare const SESSION_MS: number;
interface Session {
    id: string;
    /** The number of its last event. */
    seq: number;
    last: number;
    /** What was given up and the server has not been told of. */
    lost?: GivenUp | undefined;
}
/**
 * How many events were given up, by reason.
 *
 * Where two tabs have told of the same it is negative, until as many more are given up.
 */
export type GivenUp = Record<string, number | undefined>;
export interface Identity {
    /** Returns the current session, prolonged; it numbers so many events more. */
    session(events: number): Session;
    /** Counts `n` events as given up; a negative number takes back those that were told of. */
    giveUp(reason: string, n: number): void;
    /** Returns what was given up and not told of. */
    givenUp(): GivenUp | undefined;
    /** Turns storing on, or off with everything removed and forgotten. */
    remember(allowed: boolean): void;
}
/** Reads a stored value; whatever is wrong with it, there is none. */
export declare function readJson<T>(store: () => Store, key: string): T | null;
/** Stores a value, or removes it where there is none. A full or forbidden store is none. */
export declare function writeJson(store: () => Store, key: string, value: unknown): void;
export declare function createIdentity(store: () => Store, key: string, now: () => number, newId: () => string): Identity;
export {};
