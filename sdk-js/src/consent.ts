// What the shopper has agreed to, in Rapport's normal form; and what that permits here.

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

const WORDS: Record<string, boolean> = { true: true, granted: true, false: false, denied: false };
const flag = (value: unknown): boolean | undefined => WORDS[String(value)];

/** Returns a copy without what is `undefined`. */
export const withoutUndefined = <T>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
	JSON.parse(JSON.stringify(value));

/** Returns the consent after the shopper said `input`; purposes it leaves out stay as they were. */
export function mergeConsent(before: Consent | undefined, input: ConsentInput, now: number): Consent {
	const user = flag(input.ad_user_data);
	const personal = flag(input.ad_personalization);
	// Both advertising signals must be granted before either purpose is; the server reads them the same way.
	const ads = (user ?? personal) && (personal ?? user);
	const said = {
		analytics: flag(input.analytics) ?? flag(input.analytics_storage),
		personalization: flag(input.personalization) ?? flag(input.personalization_storage),
		marketing: flag(input.marketing) ?? ads,
		sale_share: flag(input.sale_share) ?? ads,
		// A date that is none must not cost the statement.
		at: new Date(+new Date(input.at ?? now) || now).toISOString(),
	};
	return { ...before, ...withoutUndefined(said) };
}

/**
 * Returns what a consent permits: `true`, to send and remember; `false`, nothing; `undefined`, to wait in memory.
 *
 * Analytics or personalization is enough to send; what each allows is the server's to keep apart.
 */
export const permits = ({ analytics, personalization }: Consent = {}): boolean | undefined =>
	analytics || personalization || (analytics ?? personalization);

/** Tells whether something was taken back, which the server must learn at once. */
export const isWithdrawal = (before: Consent = {}, after: Consent): boolean =>
	(Object.keys(before) as Purpose[]).some((purpose) => before[purpose] && !after[purpose]);
