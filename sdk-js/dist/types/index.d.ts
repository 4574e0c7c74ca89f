/**
 * Rapport in the page: events out, recommendations in, with consent.
 *
 * ```ts
 * import { init, render, setConsent, track } from 'rapport';
 *
 * init({ key: 'pk_…', endpoint: 'https://rapport.shop.example' });
 * setConsent({ analytics: true, personalization: true });
 * track('view_item', { currency: 'GBP', items: [{ item_id: '22386', price: 1.95 }] });
 * await render('also-bought', document.querySelector('#also')!, (item) => card(item), { context: { item_id: '22386' } });
 * ```
 *
 * No function throws, and no promise is rejected: a shop's page never breaks because of us.
 */
import { type DecideRequest, type RecommendQuery, type RenderOptions, type Template } from './client.js';
import type { ConsentInput } from './consent.js';
import type { TrackArgs } from './events.js';
import type { Options } from './options.js';
import { type Decision, type PlacementAnswer } from './recommend.js';
export type { DecideRequest, RecommendQuery, RenderOptions, Template } from './client.js';
export type { Consent, ConsentInput, Purpose, Word } from './consent.js';
export type { DropReason, EventInput, EventParams, EventType, Item, Params } from './events.js';
export type { Options } from './options.js';
export type { Context, Creative, Decision, PlacementAnswer, PlacementRequest, RecommendedItem } from './recommend.js';
/**
 * Starts; what is called earlier has no effect.
 *
 * A second call changes nothing; on a server, where there is no page, neither does the first.
 */
export declare function init(options: Options): void;
/**
 * Tells that something happened, by its GA4 name.
 *
 * ```ts
 * track('add_to_cart', { currency: 'GBP', value: 5.1, items: [{ item_id: '85123A', price: 2.55, quantity: 2 }] });
 * ```
 */
export declare const track: <T extends string>(type: T, ...[params]: TrackArgs<T>) => void;
/**
 * Says what the shopper agreed to, in our words or in those of Google Consent Mode v2; what is left out stays as it was.
 *
 * ```ts
 * setConsent({ analytics: true, personalization: false });
 * setConsent({ analytics_storage: 'granted', ad_user_data: 'denied' });
 * ```
 */
export declare const setConsent: (consent: ConsentInput) => void;
/** Sends what waits; resolves when that is settled. Seldom needed. */
export declare const flush: () => Promise<void>;
/**
 * Fills several placements in one round trip; waiting events go along and count first.
 *
 * ```ts
 * const { placements } = await decide({ placements: [{ id: 'also-bought', count: 8 }], context: { item_id: '22386' } });
 * ```
 */
export declare const decide: (request: DecideRequest) => Promise<Decision>;
/**
 * Fills one placement, in the simple form.
 *
 * ```ts
 * const { items } = await recommend('also-bought', { item_id: '22386', count: 4 });
 * ```
 */
export declare const recommend: (placement: string, query?: RecommendQuery) => Promise<PlacementAnswer>;
/**
 * Asks for a placement, or takes one from `decide`, puts it into the page, and reports what is seen and clicked.
 *
 * What the element holds stays until there is something better.
 */
export declare const render: (placement: string | PlacementAnswer, element: HTMLElement, template: Template, options?: RenderOptions) => Promise<PlacementAnswer>;
/**
 * Reports what is seen and clicked of an answer the page shows by itself; the element's children are its items, in order.
 *
 * Returns what stops it.
 */
export declare function observe(answer: PlacementAnswer, element: Element): () => void;
