import type { Params } from './events.js';
/** A recommended item; further fields as the placement is set up. */
export interface RecommendedItem {
    item_id: string;
    position?: number;
    score?: number;
    source?: string;
    reasons?: {
        code: string;
        [detail: string]: unknown;
    }[];
    rules?: unknown[];
    pinned?: boolean;
    [field: string]: unknown;
}
/** A banner. */
export interface Creative {
    creative_id?: string;
    id?: string;
    [field: string]: unknown;
}
/** What one placement shows. `items` is always there, perhaps empty. */
export interface PlacementAnswer {
    placement: string;
    items: RecommendedItem[];
    /** A banner placement's banner; `null` where there is none to show. */
    creative?: Creative | null;
    /** The rung of the ladder that answered; `sdk_fallback` where the server did not. */
    served_by?: string;
    recommendation_id?: string;
    build?: string | null;
    rules_revision?: number | null;
    in_holdout?: boolean;
    experiments?: unknown[];
    [field: string]: unknown;
}
export interface Decision {
    request_id?: string;
    placements: Record<string, PlacementAnswer>;
    /** Set where the server did not answer in time. */
    served_by?: 'sdk_fallback';
    [field: string]: unknown;
}
/** One placement to be filled; further request words (`filter`, `exclude_ids`, …) pass through. */
export interface PlacementRequest {
    id: string;
    count?: number;
    [word: string]: unknown;
}
/** What the page says about itself. */
export interface Context {
    page_type?: string;
    item_id?: string;
    cart?: string[];
    locale?: string;
    currency?: string;
    [field: string]: unknown;
}
declare const FALLBACK = "sdk_fallback";
/** Returns a decision with every placement asked for, each with its items, also where `body` has none. */
export declare function decisionOf(body: unknown, ids: string[], fallback?: {
    served_by: typeof FALLBACK;
}): Decision;
/** Returns what there is when the server does not answer: the last good decision, or nothing to show. */
export declare const fallback: (ids: string[], last?: Decision) => Decision;
/** Tracks what is seen and clicked of an answer. */
export type Report = (type: string, params: Params) => void;
/**
 * Reports that the answer was seen, once per recommendation, and which of its items were clicked.
 *
 * The element's children are the answer's items, in order. Returns what stops the watching.
 */
export declare function observe(answer: PlacementAnswer, element: Element, report: Report, seen: Set<string>): () => void;
export {};
