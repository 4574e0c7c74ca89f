// What waits to be sent: when, how much at once, what comes back, what is given up. Knows neither DOM nor network,
// and is handed its clock.

import type { DropReason, Entry } from './events.js';
import { MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from './transport.js';

/** What became of a batch. */
export interface Answer {
	/** One result per event id; an event without one is sent again. */
	results?: Record<string, { result: string; code?: string }>;
	/** Nothing was kept: all of it again, … */
	again?: boolean;
	/** … after this many milliseconds at the earliest. */
	wait?: number;
	/** Nothing will ever be kept, and why. */
	refused?: string;
}

export interface QueueParts {
	/** Sends a batch; `keepalive` while nothing has failed. An empty batch carries consent alone. */
	send(batch: Entry[], keepalive: boolean): Promise<Answer>;
	/** Hands a batch to the browser as the page goes; true if it took it. */
	beacon(batch: Entry[]): boolean;
	dropped(reason: DropReason, entry: Entry, code?: string): void;
	/** The monotonic clock, in milliseconds. */
	now(): number;
	random(): number;
	later(run: () => void, ms: number): void;
	limit: number;
	interval: number;
	flushAt: number;
}

/** The server recognises a copy of an event for this long. Sending it later could count it twice. */
const MAX_AGE_MS = 24 * 3600_000;

const BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

/**
 * Returns the pause after the n-th failure in a row: doubling, and no shorter than the server asked for.
 *
 * Up to a quarter is added by chance, so that pages that failed together do not return together.
 */
export const pauseMs = (failures: number, wait: number, random: number): number =>
	Math.max(wait, Math.min(BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS)) * (1 + random / 4);

export type Queue = ReturnType<typeof createQueue>;

export function createQueue(parts: QueueParts) {
	const { now, dropped } = parts;
	let waiting: Entry[] = [];
	/** What is under way, and whether it survives the page. */
	const out = new Map<Entry, boolean>();
	let open = false;
	let consentDue = false;
	let sending: Promise<void> | undefined;
	let failures = 0;
	let pausedUntil = 0;
	/** When the next timer rings; 0 where none is set. */
	let alarm = 0;

	const ready = () => now() >= pausedUntil;

	const schedule = () => {
		if (!(consentDue || (open && waiting.length)) || sending) return;
		const full = consentDue || waiting.length >= parts.flushAt;
		const at = Math.max(now() + (full ? 0 : parts.interval), pausedUntil);
		if (alarm && at >= alarm) return;
		alarm = at;
		parts.later(() => {
			// An earlier alarm has replaced this one.
			if (alarm !== at) return;
			alarm = 0;
			flush();
		}, at - now());
	};

	const trim = () => {
		while (waiting.length > parts.limit) dropped('overflow', waiting.shift() as Entry);
	};

	/** Takes the next batch: one session, within the caps, marked as under way. */
	const take = (room: number, survives: boolean): Entry[] => {
		const batch: Entry[] = [];
		while (open && waiting.length && batch.length < MAX_BATCH_EVENTS) {
			const next = waiting[0] as Entry;
			if (now() - next.at > MAX_AGE_MS) {
				dropped('expired', next);
			} else {
				room -= next.bytes;
				if (batch.length && (room < 0 || next.session !== batch[0]?.session)) break;
				batch.push(next);
				out.set(next, survives);
			}
			waiting.shift();
		}
		return batch;
	};

	/** Settles a batch. Events that have been settled otherwise in the meantime are left alone. */
	const settle = (batch: Entry[], answer: Answer): boolean => {
		const again: Entry[] = [];
		for (const entry of batch) {
			if (!out.delete(entry)) continue;
			const { result, code } = answer.results?.[entry.id] ?? {};
			if (answer.refused) dropped('rejected', entry, answer.refused);
			else if (result === 'drop') dropped('rejected', entry, code);
			else if (result !== 'ok' && result !== 'duplicate') again.push(entry);
		}
		waiting.unshift(...again);
		trim();
		return !answer.again && !again.length;
	};

	const run = async () => {
		while (ready() && (consentDue || (open && waiting.length))) {
			const keepalive = !failures;
			const batch = take(MAX_BATCH_BYTES, keepalive);
			if (!batch.length && !consentDue) return;
			// A withdrawal while this is under way is due again.
			consentDue = false;
			const answer = await parts.send(batch, keepalive).catch((): Answer => ({ again: true }));
			if (answer.again && !batch.length) consentDue = true;
			if (settle(batch, answer)) failures = 0;
			else pausedUntil = now() + pauseMs(++failures, answer.wait ?? 0, parts.random());
		}
	};

	/** Sends what may be sent now; resolves when that is settled. */
	const flush = (): Promise<void> => {
		sending ??= run().finally(() => {
			sending = undefined;
			schedule();
		});
		return sending;
	};

	return {
		flush,
		/** Adds events, the oldest first; `front` for those from an earlier page. */
		add(entries: Entry[], front = false) {
			waiting = front ? [...entries, ...waiting] : [...waiting, ...entries];
			trim();
			schedule();
		},
		/** Takes what a request can carry along beside its own words; nothing during a pause. */
		takeAlong: (): Entry[] => (ready() ? take(MAX_BATCH_BYTES / 2, false) : []),
		/** Settles what went along, without blaming the events' own way for what is missing. */
		settle(batch: Entry[], answer: Answer) {
			settle(batch, answer);
			schedule();
		},
		/** Opens once consent is given. */
		open() {
			open = true;
			schedule();
		},
		/** Closes and forgets everything. */
		close() {
			open = false;
			const gone = [...out.keys(), ...waiting];
			out.clear();
			waiting = [];
			for (const entry of gone) dropped('consent', entry);
		},
		/** Sends the consent even if no event goes with it. */
		announce() {
			consentDue = true;
			schedule();
		},
		/**
		 * Hands everything to the browser, as nobody may be here for an answer.
		 *
		 * Not during a pause: the browser takes a beacon that will not arrive, too, and nobody would know.
		 */
		leave() {
			// What an answer may never be seen for is sent again; its id makes that harmless.
			for (const [entry, survives] of out) {
				if (survives) continue;
				out.delete(entry);
				waiting.unshift(entry);
			}
			while (ready() && (consentDue || (open && waiting.length))) {
				const batch = take(MAX_BATCH_BYTES, true);
				if (!(batch.length || consentDue) || !parts.beacon(batch)) {
					settle(batch, {});
					break;
				}
				consentDue = false;
				for (const entry of batch) out.delete(entry);
			}
		},
		/** Returns everything unfinished, the oldest first. */
		unfinished: (): Entry[] => [...out.keys(), ...waiting],
	};
}
