import { type ConsentInput } from './consent.js';
import { type EventInput, type Params } from './events.js';
import { type Store } from './identity.js';
import type { Options } from './options.js';
import { type Context, type Decision, type PlacementAnswer, type PlacementRequest, type RecommendedItem } from './recommend.js';
import { type Fetch } from './transport.js';
/** What the browser supplies. */
export interface Surroundings {
    fetch: Fetch;
    beacon(url: string, body: string): boolean;
    /** Returns `localStorage`; throws where the page may not use it. */
    store(): Store;
    /** Milliseconds that never go back. */
    now(): number;
    /** Milliseconds since 1970, as this machine believes. */
    wallNow(): number;
    random(): number;
    later(run: () => void, ms: number): void;
}
export interface DecideRequest {
    placements: PlacementRequest[];
    context?: Context;
    /** Events that count before the decision. */
    events?: EventInput[];
    customer_token?: string;
    /** Milliseconds until the fallback, for this call. */
    deadline?: number;
    [word: string]: unknown;
}
export interface RecommendQuery {
    item_id?: string;
    count?: number;
    /** Milliseconds until the fallback, for this call. */
    deadline?: number;
    [word: string]: string | number | boolean | undefined;
}
/** Builds the element that shows one item. */
export type Template<T = RecommendedItem> = (item: T, index: number) => Element;
export interface RenderOptions extends Omit<PlacementRequest, 'id'> {
    context?: Context;
    deadline?: number;
}
export type Client = ReturnType<typeof createClient>;
export declare function createClient(options: Options, around: Surroundings): {
    track: (type: string, params?: Params) => void;
    setConsent: (input: ConsentInput) => void;
    decide: ({ events, deadline, ...words }: DecideRequest) => Promise<Decision>;
    recommend: (placement: string, { deadline, ...query }?: RecommendQuery) => Promise<PlacementAnswer>;
    render: (placement: string | PlacementAnswer, element: HTMLElement, template: Template, { context, deadline, ...words }?: RenderOptions) => Promise<PlacementAnswer>;
    observe: (answer: PlacementAnswer, element: Element) => (() => void);
    flush: () => Promise<void>;
    leave: () => void;
    restore: () => void;
    log: (...what: unknown[]) => void;
};
