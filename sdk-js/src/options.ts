// Options, their defaults, and how a script tag writes them.

import type { ConsentInput } from './consent.js';
import type { DropReason } from './events.js';

export interface Options {
	/** The site's publishable key, `pk_…`. */
	key: string;
	/** Where Rapport answers, such as `https://rapport.shop.example`. Left out: the page's own origin. */
	endpoint?: string;
	/** Consent, where the page knows it already. Until it is known, events wait in memory. */
	consent?: ConsentInput;
	/** The shop's own id of the visitor. Usually left out: the server keeps one in a cookie. */
	visitorId?: string;
	/** Proves who the customer is, signed by the shop's server; goes with every `decide`. */
	customerToken?: string;
	/** Milliseconds an event waits for company. */
	flushInterval?: number;
	/** Events that are sent without waiting longer. */
	flushAt?: number;
	/** Events that may wait; beyond that the oldest are dropped. */
	maxQueue?: number;
	/** Milliseconds a decision may take before the fallback. */
	deadline?: number;
	/** Sends `page_view` for every page, also in single-page sites. */
	autoPageView?: boolean;
	/** Writes to the console what happens. */
	debug?: boolean;
	/** Hears of every event that was not sent or not kept, and why. */
	onDropped?: (reason: DropReason, event: Record<string, unknown>, code?: string) => void;
}

export const DEFAULTS = { endpoint: '', flushInterval: 2_000, flushAt: 20, maxQueue: 1_000, deadline: 800 };

export type Settings = Options & typeof DEFAULTS;

/** Returns the options with defaults; `undefined` counts as left out. */
export function settingsOf(options: Options): Settings {
	const given = Object.entries(options).filter(([, value]) => value !== undefined);
	const settings = { ...DEFAULTS, ...Object.fromEntries(given) } as Settings;
	settings.endpoint = settings.endpoint.replace(/\/+$/, '');
	return settings;
}

/** Returns the options in a script tag's data attributes; nothing without a key. */
export function optionsOfScript(data: Record<string, string | undefined>, src: string): Options | undefined {
	const { key, endpoint = new URL(src).origin, visitorId, customerToken, consent } = data;
	if (!key) return undefined;
	const options: Record<string, unknown> = { key, endpoint, visitorId, customerToken };
	if (consent) options.consent = JSON.parse(consent);
	for (const name of ['flushInterval', 'flushAt', 'maxQueue', 'deadline']) if (data[name]) options[name] = +data[name];
	for (const name of ['autoPageView', 'debug']) options[name] = name in data && data[name] !== 'false';
	return options as unknown as Options;
}
