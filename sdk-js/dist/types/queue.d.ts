import type { DropReason, Entry } from './events.js';
/** What became of a batch. */
export interface Answer {
    /** One result per event id; an event without one is sent again. */
    results?: Record<string, {
        result: string;
        code?: string;
    }>;
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
/**
 * Returns the pause after the n-th failure in a row: doubling, and no shorter than the server asked for.
 *
 * Up to a quarter is added by chance, so that pages that failed together do not return together.
 */
export declare const pauseMs: (failures: number, wait: number, random: number) => number;
export type Queue = ReturnType<typeof createQueue>;
export declare function createQueue(parts: QueueParts): {
    flush: () => Promise<void>;
    /** Adds events, the oldest first; `front` for those from an earlier page. */
    add(entries: Entry[], front?: boolean): void;
    /** Takes what a request can carry along beside its own words; nothing during a pause. */
    takeAlong: () => Entry[];
    /** Settles what went along, without blaming the events' own way for what is missing. */
    settle(batch: Entry[], answer: Answer): void;
    /** Opens once consent is given. */
    open(): void;
    /** Closes and forgets everything. */
    close(): void;
    /** Sends the consent even if no event goes with it. */
    announce(): void;
    /**
     * Hands everything to the browser, as nobody may be here for an answer.
     *
     * Not during a pause: the browser takes a beacon that will not arrive, too, and nobody would know.
     */
    leave(): void;
    /** Returns everything unfinished, the oldest first. */
    unfinished: () => Entry[];
};
