import { describe, expect, it, test } from 'vitest';
import { type Consent, type ConsentInput, isWithdrawal, mergeConsent, permits } from '../src/consent.js';
import { allOk, clientWith, DENIED, GRANTED } from './parts.js';

const AT = '1970-01-01T00:00:05.000Z';

describe('what was said', () => {
	test.each<[string, Consent | undefined, ConsentInput, Consent]>([
		['our words', undefined, { analytics: true, marketing: false }, { analytics: true, marketing: false, at: AT }],
		[
			'words for values',
			undefined,
			{ analytics: 'granted', sale_share: 'denied' },
			{ analytics: true, sale_share: false, at: AT },
		],
		[
			'Consent Mode v2',
			undefined,
			{
				ad_storage: 'granted',
				analytics_storage: 'granted',
				personalization_storage: 'denied',
				ad_user_data: 'granted',
				ad_personalization: 'granted',
				wait_for_update: 500,
			},
			{ analytics: true, personalization: false, marketing: true, sale_share: true, at: AT },
		],
		[
			'one advertising signal denied',
			undefined,
			{ ad_user_data: 'granted', ad_personalization: 'denied' },
			{ marketing: false, sale_share: false, at: AT },
		],
		[
			'the other denied',
			undefined,
			{ ad_user_data: 'denied', ad_personalization: 'granted' },
			{ marketing: false, sale_share: false, at: AT },
		],
		[
			'one advertising signal alone',
			undefined,
			{ ad_user_data: 'granted' },
			{ marketing: true, sale_share: true, at: AT },
		],
		['ours win', undefined, { analytics: false, analytics_storage: 'granted' }, { analytics: false, at: AT }],
		[
			'the rest stays',
			{ analytics: true, at: 'x' },
			{ personalization: true },
			{ analytics: true, personalization: true, at: AT },
		],
		['nonsense says nothing', undefined, { analytics: 'yes' as 'granted' }, { at: AT }],
		[
			'its own moment',
			undefined,
			{ analytics: true, at: '2026-11-23T10:00:00Z' },
			{ analytics: true, at: '2026-11-23T10:00:00.000Z' },
		],
		['a moment that is none', undefined, { analytics: true, at: 'noon' }, { analytics: true, at: AT }],
	])('%s', (_, before, input, after) => {
		expect(mergeConsent(before, input, 5000)).toEqual(after);
	});
});

test.each<[Consent | undefined, boolean | undefined]>([
	[undefined, undefined],
	[{ marketing: true }, undefined],
	[{ analytics: true }, true],
	[{ analytics: false, personalization: true }, true],
	[{ personalization: false }, false],
	[{ analytics: false, marketing: true }, false],
])('%j permits %s', (consent, expected) => {
	expect(permits(consent)).toBe(expected);
});

test.each<[Consent | undefined, Consent, boolean]>([
	[undefined, DENIED, false],
	[GRANTED, DENIED, true],
	[GRANTED, { analytics: true, personalization: false }, true],
	[GRANTED, { ...GRANTED, marketing: true }, false],
])('%j to %j is a withdrawal: %s', (before, after, expected) => {
	expect(isWithdrawal(before, after)).toBe(expected);
});

describe('in the page', () => {
	it('sends what waited once consent is given', async () => {
		const { client, time, requests } = clientWith({}, allOk);
		client.track('page_view');
		await time.advance(5000);
		expect(requests).toEqual([]);
		client.setConsent({ analytics_storage: 'granted' });
		await time.advance(2000);
		expect(requests.map((r) => [r.body.events[0].age_ms, r.body.consent.analytics])).toEqual([[7000, true]]);
	});

	it('discards what waited when consent is denied, and sends nothing', async () => {
		const { client, time, requests, dropped } = clientWith({}, allOk);
		client.track('page_view');
		client.setConsent(DENIED);
		client.track('search', { search_term: 'x' });
		await time.advance(60_000);
		expect(requests).toEqual([]);
		expect(dropped).toEqual([
			['consent', 'page_view', undefined],
			['consent', 'search', undefined],
		]);
	});

	it('tells the server of a withdrawal, in a batch without events', async () => {
		const { client, time, requests, store, dropped } = clientWith({ consent: GRANTED }, allOk);
		client.track('page_view');
		expect(store.data.size).toBe(1);
		await time.advance(10);
		client.setConsent(DENIED);
		expect(store.data.size).toBe(0);
		await time.advance(60_000);
		expect(dropped.map((d) => d[0])).toEqual(['consent']);
		expect(requests.map((r) => [r.body.events, r.body.consent])).toEqual([
			[[], { ...DENIED, at: '2023-11-14T22:13:20.010Z' }],
		]);
		expect(requests[0]?.init.credentials).toBe('include');
		expect(store.data.size).toBe(0);
	});

	it('tells of a withdrawal as the page goes', () => {
		const { client, beacons } = clientWith({ consent: GRANTED }, allOk);
		client.setConsent(DENIED);
		client.leave();
		expect(beacons.map((b) => b.body.events)).toEqual([[]]);
	});
});
