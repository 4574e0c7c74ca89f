// How things travel: text/plain (so that no preflight is needed), fetch with keepalive, sendBeacon when the page goes.

import type { Entry } from './events.js';
import { utf8Length } from './events.js';
import type { Answer } from './queue.js';

/** Below the 64 KiB that keepalive and the server allow, with room for other users of the same allowance. */
export const MAX_BATCH_BYTES = 60 * 1024;
export const MAX_BATCH_EVENTS = 100;

/** How long a batch may take before it counts as lost. */
export const POST_TIMEOUT_MS = 10_000;

/** What came back. */
export interface Reply {
	status: number;
	retryAfter: string | null;
	/** The body, where it was JSON. */
	body: unknown;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Returns the bytes that `head` leaves for events. */
export const roomFor = (head: object): number => MAX_BATCH_BYTES - utf8Length(JSON.stringify(head)) - 13;

/** Returns the body: `head` with the events, each with its age as of `now`. */
export function writeBody(head: object, entries: readonly Entry[], now: number): string {
	const events = entries.map((e) => `${e.json.slice(0, -1)},"age_ms":${Math.max(0, Math.round(now - e.at))}}`);
	return `${JSON.stringify(head).slice(0, -1)},"events":[${events}]}`;
}

/** Returns the milliseconds a `Retry-After` asks for: seconds or a date. */
export function retryAfterMs(header: string | null, wallNow: number): number {
	if (!header) return 0;
	const ms = /^\s*\d+\s*$/.test(header) ? +header * 1000 : Date.parse(header) - wallNow;
	return Math.max(ms || 0, 0);
}

/** Returns what a reply to a batch means for its events. */
export function readReply({ status, retryAfter, body }: Reply, wallNow: number): Answer {
	const { results, code } = (body ?? {}) as { results?: Answer['results']; code?: string };
	if (status >= 200 && status < 300) return { results: results ?? {} };
	if (status === 429 || status === 408 || status >= 500)
		return { again: true, wait: retryAfterMs(retryAfter, wallNow) };
	return { refused: code ?? `http_${status}` };
}

/** Makes one request with a deadline that covers the body; rejects when it passes. */
export async function request(fetch: Fetch, url: string, init: RequestInit, deadline: number): Promise<Reply> {
	const abort = new AbortController();
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => {
			reject(new Error(`no answer within ${deadline} ms`));
			abort.abort();
		}, deadline);
	});
	const reply = async (): Promise<Reply> => {
		const response = await fetch(url, { ...init, signal: abort.signal });
		const text = await response.text();
		let body: unknown;
		try {
			body = JSON.parse(text);
		} catch {
			// An answer that is no JSON says nothing; the status does.
		}
		return { status: response.status, retryAfter: response.headers.get('Retry-After'), body };
	};
	try {
		return await Promise.race([reply(), late]);
	} finally {
		clearTimeout(timer);
	}
}

/** Returns what makes a POST that needs no preflight. A string body is text/plain by itself. */
export const postOf = (body: string, credentials: boolean, keepalive = false): RequestInit => ({
	method: 'POST',
	body,
	keepalive,
	credentials: credentials ? 'include' : 'omit',
});
