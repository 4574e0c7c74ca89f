// The session: an id, and a count of its batches. Nothing is stored before consent. The visitor's id is not ours to
// make: the server mints it into a cookie once consent is given.

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
	seq: number;
	last: number;
}

export interface Identity {
	/** Returns the current session's id; `active` prolongs it. */
	session(active?: boolean): string;
	/** Returns the number of the session's next batch; `undefined` for a session that is over. */
	nextSeq(session: string): number | undefined;
	/** Turns storing on, or off with everything removed. */
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
		session = kept && now() - kept.last < SESSION_MS ? kept : { id: newId(), seq: 0, last: now() };
		return session;
	};
	const write = () => {
		if (stored) writeJson(store, key, session);
	};

	return {
		session(active) {
			const it = current();
			if (active) {
				it.last = now();
				write();
			}
			return it.id;
		},
		nextSeq(id) {
			const it = current();
			if (it.id !== id) return undefined;
			it.seq++;
			write();
			return it.seq;
		},
		remember(allowed) {
			stored = allowed;
			if (allowed) {
				current();
				write();
			}
			// Also where this page has stored nothing: an earlier one may have.
			else writeJson(store, key, undefined);
		},
	};
}
