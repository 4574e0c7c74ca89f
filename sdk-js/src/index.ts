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

import {
	type Client,
	createClient,
	type DecideRequest,
	type RecommendQuery,
	type RenderOptions,
	type Template,
} from './client.js';
import type { ConsentInput } from './consent.js';
import type { Params, TrackArgs } from './events.js';
import type { Options } from './options.js';
import { onLeaveAndReturn, watchPages } from './page.js';
import { type Decision, fallback, type PlacementAnswer } from './recommend.js';

export type { DecideRequest, RecommendQuery, RenderOptions, Template } from './client.js';
export type { Consent, ConsentInput, Purpose, Word } from './consent.js';
export type { DropReason, EventInput, EventParams, EventType, Item, Params } from './events.js';
export type { Options } from './options.js';
export type { Context, Creative, Decision, PlacementAnswer, PlacementRequest, RecommendedItem } from './recommend.js';

let client: Client | undefined;

/** Runs what must not throw. */
function safely<T>(run: () => T): T | undefined {
	try {
		return run();
	} catch (error) {
		client?.log(error);
		return undefined;
	}
}

/** Returns what the client answers, or `otherwise`. */
async function settled<T>(run: (client: Client) => Promise<T>, otherwise: () => T): Promise<T> {
	try {
		if (client) return await run(client);
	} catch (error) {
		client?.log(error);
	}
	return otherwise();
}

const emptyAnswer = (placement: string): PlacementAnswer =>
	fallback([placement]).placements[placement] as PlacementAnswer;

/**
 * Starts; what is called earlier has no effect.
 *
 * A second call changes nothing; on a server, where there is no page, neither does the first.
 */
export function init(options: Options): void {
	safely(() => {
		if (client || typeof document === 'undefined') return;
		if (!options?.key) return console.warn('[rapport] no key');
		client = createClient(options, {
			fetch: (url, request) => fetch(url, request),
			beacon: (url, body) => navigator.sendBeacon(url, body),
			store: () => localStorage,
			now: () => performance.now(),
			wallNow: Date.now,
			random: Math.random,
			// Called as a method of anything but the window, it would refuse.
			later: (run, ms) => setTimeout(run, ms),
		});
		const { leave, restore } = client;
		onLeaveAndReturn(
			() => safely(leave),
			() => safely(restore),
		);
		if (options.autoPageView) watchPages((page) => track('page_view', { ...page }));
	});
}

/**
 * Tells that something happened, by its GA4 name.
 *
 * ```ts
 * track('add_to_cart', { currency: 'GBP', value: 5.1, items: [{ item_id: '85123A', price: 2.55, quantity: 2 }] });
 * ```
 */
export const track = <T extends string>(type: T, ...[params]: TrackArgs<T>): void =>
	safely(() => client?.track(type, params as Params));

/**
 * Says what the shopper agreed to, in our words or in those of Google Consent Mode v2; what is left out stays as it was.
 *
 * ```ts
 * setConsent({ analytics: true, personalization: false });
 * setConsent({ analytics_storage: 'granted', ad_user_data: 'denied' });
 * ```
 */
export const setConsent = (consent: ConsentInput): void => safely(() => client?.setConsent(consent));

/** Sends what waits; resolves when that is settled. Seldom needed. */
export const flush = (): Promise<void> =>
	settled(
		(c) => c.flush(),
		() => {},
	);

/**
 * Fills several placements in one round trip; waiting events go along and count first.
 *
 * ```ts
 * const { placements } = await decide({ placements: [{ id: 'also-bought', count: 8 }], context: { item_id: '22386' } });
 * ```
 */
export const decide = (request: DecideRequest): Promise<Decision> =>
	settled(
		(c) => c.decide(request),
		() => fallback((request?.placements ?? []).map(({ id }) => id)),
	);

/**
 * Fills one placement, in the simple form.
 *
 * ```ts
 * const { items } = await recommend('also-bought', { item_id: '22386', count: 4 });
 * ```
 */
export const recommend = (placement: string, query?: RecommendQuery): Promise<PlacementAnswer> =>
	settled(
		(c) => c.recommend(placement, query),
		() => emptyAnswer(placement),
	);

/**
 * Asks for a placement, or takes one from `decide`, puts it into the page, and reports what is seen and clicked.
 *
 * What the element holds stays until there is something better.
 */
export const render = (
	placement: string | PlacementAnswer,
	element: HTMLElement,
	template: Template,
	options?: RenderOptions,
): Promise<PlacementAnswer> =>
	settled(
		(c) => c.render(placement, element, template, options),
		() => (typeof placement === 'string' ? emptyAnswer(placement) : placement),
	);

/**
 * Reports what is seen and clicked of an answer the page shows by itself; the element's children are its items, in order.
 *
 * Returns what stops it.
 */
export function observe(answer: PlacementAnswer, element: Element): () => void {
	return safely(() => client?.observe(answer, element)) ?? (() => {});
}
