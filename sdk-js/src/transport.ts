// How things travel: text/plain (so that no preflight is needed), fetch with keepalive, sendBeacon when the page goes.

import type { Entry } from './events.js';
import type { Answer } from './queue.js';

/** What the events of a batch may take: the server and keepalive allow 64 KiB for them and the frame around them. */
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

/** Returns the body: `head` with the events, each with its age as of `now`. */
export function writeBody(head: object, entries: readonly Entry[], now: number): string {
	const events = entries.map((e) => `${e.text.slice(0, -1)},"age_ms":${Math.max(0, Math.round(now - e.at))}}`);
	return `${JSON.stringify(head).slice(0, -1)},"events":[${events}]}`;
}

/** Returns the milliseconds a `Retry-After` asks for: seconds or a date. */
export const retryAfterMs = (header: string | null, wallNow: number): number =>
	Math.max(+(header ?? 0) * 1000 || Date.parse(header ?? '') - wallNow || 0, 0);

/** Returns what a reply to a batch means for its events. */
export function readReply({ status, retryAfter, body }: Reply, wallNow: number): Answer {
	const { results, code } = (body ?? {}) as { results?: Answer['results']; code?: string };
	if (status < 300) return { results: results ?? {} };
	if (status === 429 || status === 408 || status >= 500)
		return { again: true, wait: retryAfterMs(retryAfter, wallNow) };
	return { refused: code ?? `http_${status}` };
}

/**
 * Makes one request with a deadline that covers the body; rejects when it passes.
 *
 * A string body is text/plain by itself, which needs no preflight.
 */
export async function request(
	fetch: Fetch,
	url: string,
	deadline: number,
	credentials: boolean | undefined,
	body?: string,
	keepalive = false,
): Promise<Reply> {
	const abort = new AbortController();
	const { signal } = abort;
	const timer = setTimeout(() => abort.abort(), deadline);
	try {
		const response = await fetch(url, {
			method: body ? 'POST' : 'GET',
			body: body ?? null,
			keepalive,
			credentials: credentials ? 'include' : 'omit',
			signal,
		});
		// A body that is no JSON says nothing; the status does.
		const answer = await response.json().catch(() => {});
		if (signal.aborted) throw signal;
		return { status: response.status, retryAfter: response.headers.get('Retry-After'), body: answer };
	} finally {
		clearTimeout(timer);
	}
}
