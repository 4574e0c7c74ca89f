/** The part of `localStorage` that is used. */
export interface Store {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
    removeItem(key: string): void;
}
/** A visit ends after this much silence. */
export declare const SESSION_MS: number;
export interface Identity {
    /** Returns the current session's id; `active` prolongs it. */
    session(active?: boolean): string;
    /** Returns the number of the session's next batch; `undefined` for a session that is over. */
    nextSeq(session: string): number | undefined;
    /** Turns storing on, or off with everything removed. */
    remember(allowed: boolean): void;
}
/** Reads a stored value; whatever is wrong with it, there is none. */
export declare function readJson<T>(store: () => Store, key: string): T | null;
/** Stores a value, or removes it where there is none. A full or forbidden store is none. */
export declare function writeJson(store: () => Store, key: string, value: unknown): void;
export declare function createIdentity(store: () => Store, key: string, now: () => number, newId: () => string): Identity;
