import type { Entry } from './events.js';
import type { Answer } from './queue.js';
/** What the events of a batch may take: the server and keepalive allow 64 KiB for them and the frame around them. */
export declare const MAX_BATCH_BYTES: number;
export declare const MAX_BATCH_EVENTS = 100;
/** How long a batch may take before it counts as lost. */
export declare const POST_TIMEOUT_MS = 10000;
/** What came back. */
export interface Reply {
    status: number;
    retryAfter: string | null;
    /** The body, where it was JSON. */
    body: unknown;
}
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;
/** Returns the body: `head` with the events, each with its age as of `now`. */
export declare function writeBody(head: object, entries: readonly Entry[], now: number): string;
/** Returns the milliseconds a `Retry-After` asks for: seconds or a date. */
export declare const retryAfterMs: (header: string | null, wallNow: number) => number;
/** Returns what a reply to a batch means for its events. */
export declare function readReply({ status, retryAfter, body }: Reply, wallNow: number): Answer;
/**
 * Makes one request with a deadline that covers the body; rejects when it passes.
 *
 * A string body is text/plain by itself, which needs no preflight.
 */
export declare function request(fetch: Fetch, url: string, deadline: number, credentials: boolean | undefined, body?: string, keepalive?: boolean): Promise<Reply>;
