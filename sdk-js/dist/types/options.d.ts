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
    /** Milliseconds an event waits for company; 2,000 unless told otherwise. */
    flushInterval?: number;
    /** Events that are sent without waiting longer; 20 unless told otherwise. */
    flushAt?: number;
    /** Events that may wait; beyond that the oldest are dropped; 1,000 unless told otherwise. */
    maxQueue?: number;
    /** Milliseconds a decision may take before the fallback; 800 unless told otherwise. */
    deadline?: number;
    /** Sends `page_view` for every page, also in single-page sites. */
    autoPageView?: boolean;
    /** Writes to the console what happens. */
    debug?: boolean;
    /** Hears of every event that was not sent or not kept, and why. */
    onDropped?: (reason: DropReason, event: Record<string, unknown>, code?: string) => void;
}
/** Returns the options in a script tag's data attributes; nothing without a key. */
export declare function optionsOfScript(data: Record<string, string | undefined>, src: string): Options | undefined;
