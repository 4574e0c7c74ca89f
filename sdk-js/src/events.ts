// The vocabulary: GA4's e-commerce events, with the few fields that are ours.

/** One product, as GA4 describes it. */
export interface Item {
	item_id: string;
	item_name?: string;
	item_brand?: string;
	item_category?: string;
	item_category2?: string;
	item_category3?: string;
	item_category4?: string;
	item_category5?: string;
	item_variant?: string;
	price?: number;
	quantity?: number;
	index?: number;
}

/** Fields any event may have; further parameters are kept as they are. */
export interface Params {
	currency?: string;
	value?: number;
	items?: Item[];
	/** The decision this follows from, as `decide` answered it. */
	recommendation_id?: string;
	placement?: string;
	creative_id?: string | undefined;
	[param: string]: unknown;
}

type WithItems = Params & { items: Item[] };
type WithOrder = Params & { transaction_id: string };
type List = WithItems & { item_list_id?: string; item_list_name?: string };

/** What each known event needs. */
export interface EventParams {
	view_item_list: List;
	select_item: List;
	view_item: WithItems;
	add_to_cart: WithItems;
	remove_from_cart: WithItems;
	view_cart: Params;
	begin_checkout: Params;
	add_shipping_info: Params;
	add_payment_info: Params;
	purchase: WithOrder & { items: Item[] };
	refund: WithOrder;
	add_to_wishlist: WithItems;
	remove_from_wishlist: WithItems;
	view_promotion: Params;
	select_promotion: Params;
	search: Params & { search_term: string };
	page_view: Params & { page_location?: string; page_title?: string; page_referrer?: string };
	login: Params;
	sign_up: Params;
}

export type EventType = keyof EventParams;

/** Parameters by event type: checked for the known ones, free for a shop's own. */
export type TrackArgs<T extends string> = T extends EventType
	? Record<never, never> extends EventParams[T]
		? [params?: EventParams[T]]
		: [params: EventParams[T]]
	: [params?: Params];

/** An event as `decide` takes it along. */
export type EventInput = { [T in EventType]: { type: T } & EventParams[T] }[EventType];

/** Why an event was not sent, or not kept. */
export type DropReason =
	/** The shopper said no. */
	| 'consent'
	/** More was waiting than may wait; the oldest goes. */
	| 'overflow'
	/** Larger than the 8 KiB an event may have. */
	| 'too_large'
	/** Not writable as JSON. */
	| 'invalid'
	/** Older than the window in which the server recognises a copy. */
	| 'expired'
	/** The server will not keep it; the code says why. */
	| 'rejected';

/** An event as it waits: already text, so that later changes to the page's objects do not matter. */
export interface Entry {
	id: string;
	/** The event as JSON, without its age. */
	text: string;
	/** When it happened, on the monotonic clock. */
	at: number;
	/** Bytes it takes in a batch. */
	bytes: number;
	/** The session it belongs to; open until consent is known. */
	session?: string | undefined;
}

/** What the server takes for one event. */
export const MAX_EVENT_BYTES = 8192;

/** Room for what is written into it later: its number, its age, and a comma. */
const LATER_BYTES = 48;

export const utf8Length = (text: string): number => new Blob([text]).size;

/** Returns the entry of an event that is already JSON. */
export function entryOf(id: string, json: string, at: number, session?: string): Entry {
	return { id, text: json, at, bytes: utf8Length(json) + LATER_BYTES, session };
}

/** Returns a UUIDv7: ids that sort by time suit the server's log. */
export function uuid(now: number, random: Uint8Array = crypto.getRandomValues(new Uint8Array(9))): string {
	// Milliseconds have eleven digits until the year 2527.
	const time = `0${now.toString(16)}`;
	const hex = Array.from(random, (byte) => (byte + 256).toString(16).slice(1)).join('');
	return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-8${hex.slice(3, 6)}-${hex.slice(6)}`;
}
