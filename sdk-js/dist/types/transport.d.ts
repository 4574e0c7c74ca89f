import type { Entry } from './events.js';
import type { Answer } from './queue.js';
/** Below the 64 KiB that keepalive and the server allow, with room for other users of the same allowance. */
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
/** Returns the bytes that `head` leaves for events. */
export declare const roomFor: (head: object) => number;
/** Returns the body: `head` with the events, each with its age as of `now`. */
export declare function writeBody(head: object, entries: readonly Entry[], now: number): string;
/** Returns the milliseconds a `Retry-After` asks for: seconds or a date. */
export declare function retryAfterMs(header: string | null, wallNow: number): number;
/** Returns what a reply to a batch means for its events. */
export declare function readReply({ status, retryAfter, body }: Reply, wallNow: number): Answer;
/** Makes one request with a deadline that covers the body; rejects when it passes. */
export declare function request(fetch: Fetch, url: string, init: RequestInit, deadline: number): Promise<Reply>;
/** Returns what makes a POST that needs no preflight. A string body is text/plain by itself. */
export declare const postOf: (body: string, credentials: boolean, keepalive?: boolean) => RequestInit;
