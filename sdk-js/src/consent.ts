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
	/** When it was said. Left out: now, or the earlier moment if nothing changes. */
	at?: string | number | Date;
	/** Consent Mode has further signals, which mean nothing here. */
	[other: string]: unknown;
}

/** `unknown`: wait in memory. `granted`: send and remember. `denied`: forget. */
export type ConsentState = 'unknown' | 'granted' | 'denied';

const PURPOSES: Purpose[] = ['analytics', 'personalization', 'marketing', 'sale_share'];

const flag = (value: unknown): boolean | undefined =>
	value === true || value === 'granted' ? true : value === false || value === 'denied' ? false : undefined;

/** Returns the consent after the shopper said `input`; purposes it leaves out stay as they were. */
export function mergeConsent(before: Consent | undefined, input: ConsentInput, now: number): Consent {
	const user = flag(input.ad_user_data);
	const personal = flag(input.ad_personalization);
	// Both advertising signals must be granted before either purpose is; the server reads them the same way.
	const ads = user === undefined ? personal : user && personal !== false;
	const said = [
		flag(input.analytics) ?? flag(input.analytics_storage),
		flag(input.personalization) ?? flag(input.personalization_storage),
		flag(input.marketing) ?? ads,
		flag(input.sale_share) ?? ads,
	];
	const after: Consent = {};
	let changed = !before;
	PURPOSES.forEach((purpose, i) => {
		const value = said[i] ?? before?.[purpose];
		if (value !== undefined) after[purpose] = value;
		if (value !== before?.[purpose]) changed = true;
	});
	const at = new Date((input.at as string) ?? ((!changed && before?.at) || now));
	after.at = new Date(Number.isNaN(+at) ? now : +at).toISOString();
	return after;
}

/** Returns what a consent permits. Analytics or personalization is enough to send; the server does the rest. */
export function consentState(consent: Consent | undefined): ConsentState {
	const { analytics, personalization } = consent ?? {};
	if (analytics || personalization) return 'granted';
	return analytics === undefined && personalization === undefined ? 'unknown' : 'denied';
}

/** Tells whether something was taken back, which the server must learn at once. */
export function isWithdrawal(before: Consent | undefined, after: Consent): boolean {
	return PURPOSES.some((purpose) => before?.[purpose] && !after[purpose]);
}
