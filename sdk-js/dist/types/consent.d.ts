export type Purpose = 'analytics' | 'personalization' | 'marketing' | 'sale_share';
/** Consent in normal form. A purpose left out follows the site's policy, which denies unless told otherwise. */
export interface Consent {
    analytics?: boolean;
    personalization?: boolean;
    marketing?: boolean;
    sale_share?: boolean;
    /** When it was said, ISO 8601. */
    at?: string;
}
/** A word of Google Consent Mode v2. */
export type Word = 'granted' | 'denied';
/** What `setConsent` takes: our purposes, Consent Mode v2 signals, or both (ours win). */
export interface ConsentInput {
    analytics?: boolean | Word;
    personalization?: boolean | Word;
    marketing?: boolean | Word;
    sale_share?: boolean | Word;
    analytics_storage?: Word;
    personalization_storage?: Word;
    ad_user_data?: Word;
    ad_personalization?: Word;
    /** When it was said; now, if left out. */
    at?: string | number | Date;
    /** Consent Mode has further signals, which mean nothing here. */
    [other: string]: unknown;
}
/** Returns a copy without what is `undefined`. */
export declare const withoutUndefined: <T>(value: T) => { [K in keyof T]: Exclude<T[K], undefined>; };
/** Returns the consent after the shopper said `input`; purposes it leaves out stay as they were. */
export declare function mergeConsent(before: Consent | undefined, input: ConsentInput, now: number): Consent;
/**
 * Returns what a consent permits: `true`, to send and remember; `false`, nothing; `undefined`, to wait in memory.
 *
 * Analytics or personalization is enough to send; what each allows is the server's to keep apart.
 */
export declare const permits: ({ analytics, personalization }?: Consent) => boolean | undefined;
/** Tells whether something was taken back, which the server must learn at once. */
export declare const isWithdrawal: (before: Consent | undefined, after: Consent) => boolean;
