// The session: an id, a count of its events, and a count of those given up. Nothing is stored before consent. The
// visitor's id is not ours to make: the server mints it into a cookie once consent is given.

/** The part of `localStorage` that is used. */
export interface Store {
	getItem(key: string): string | null;
	setItem(key: string, value: string): void;
	removeItem(key: string): void;
}

/** A visit ends after this much silence. */
export const SESSION_MS = 30 * 60_000;

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
export function readJson<T>(store: () => Store, key: string): T | null {
	try {
		return JSON.parse(store().getItem(key) ?? 'null');
	} catch {
		return null;
	}
}

/** Stores a value, or removes it where there is none. A full or forbidden store is none. */
export function writeJson(store: () => Store, key: string, value: unknown): void {
	try {
		if (value === undefined) store().removeItem(key);
		else store().setItem(key, JSON.stringify(value));
	} catch {
		// Nothing to do: memory has it.
	}
}

export function createIdentity(store: () => Store, key: string, now: () => number, newId: () => string): Identity {
	let session: Session | undefined;
	let stored = false;

	/** Returns the session that goes on, or a new one. Other pages of the site may be in it too. */
	const current = (): Session => {
		const kept = (stored && readJson<Session>(store, key)) || session;
		session = kept && now() - kept.last < SESSION_MS ? kept : { id: newId(), seq: 0, last: now(), lost: kept?.lost };
		return session;
	};
	const write = () => {
		if (stored) writeJson(store, key, session);
	};

	return {
		session(events) {
			const it = current();
			it.last = now();
			it.seq += events;
			write();
			return it;
		},
		giveUp(reason, n) {
			const it = current();
			it.lost = { ...it.lost, [reason]: (it.lost?.[reason] ?? 0) + n || undefined };
			write();
		},
		givenUp: () => current().lost,
		remember(allowed) {
			stored = allowed;
			if (allowed) current();
			else session = undefined;
			// Removes it also where this page has stored nothing: an earlier one may have.
			writeJson(store, key, session);
		},
	};
}
