import { afterEach, describe, expect, it, vi } from 'vitest';
import { allOk, clientWith, GRANTED, type Sent } from './parts.js';

const ITEMS = [{ item_id: '85099B', position: 1, score: 0.83 }];
const ANSWER = { recommendation_id: 'r1', served_by: 'co_occurrence', items: ITEMS };
const REQUEST = { placements: [{ id: 'also-bought', count: 2 }], context: { item_id: '22386' } };
const EMPTY = { placement: 'also-bought', items: [], served_by: 'sdk_fallback' };

const answering = (sent: Sent): Response =>
	sent.url.includes('/decide')
		? Response.json({
				request_id: 'q1',
				placements: { 'also-bought': ANSWER, 'home-hero': { kind: 'creative', creative: null } },
				events: { results: Object.fromEntries(sent.body.events.map((e: { id: string }) => [e.id, { result: 'ok' }])) },
			})
		: sent.url.includes('/recommendations')
			? Response.json({ request_id: 'q2', placement: 'also-bought', ...ANSWER })
			: allOk(sent);

afterEach(() => vi.useRealTimers());

describe('decide', () => {
	it('asks, and answers every placement with its items', async () => {
		const { client, requests } = clientWith({ consent: GRANTED, customerToken: 'jwt' }, answering);
		const placements = [...REQUEST.placements, { id: 'home-hero' }, { id: 'unknown' }];
		const decision = await client.decide({ ...REQUEST, placements, explain: false });
		expect(decision.placements).toEqual({
			'also-bought': { ...ANSWER, placement: 'also-bought' },
			'home-hero': { kind: 'creative', creative: null, placement: 'home-hero', items: [] },
			unknown: { ...EMPTY, placement: 'unknown' },
		});
		expect(requests[0]?.url).toBe('https://r.example/v1/decide');
		expect(requests[0]?.body).toMatchObject({
			key: 'pk_test',
			session_id: expect.any(String),
			consent: GRANTED,
			customer_token: 'jwt',
			context: { item_id: '22386' },
			placements,
			explain: false,
			events: [],
		});
	});

	it('takes waiting events along, which are then finished', async () => {
		const { client, requests, time } = clientWith({ consent: GRANTED }, answering);
		client.track('view_item', { items: [{ item_id: '22386' }] });
		await client.decide({ ...REQUEST, events: [{ type: 'search', search_term: 'bag' }] });
		await time.advance(10_000);
		expect(requests.map((r) => r.body.events.map((e: { type: string }) => e.type))).toEqual([['view_item', 'search']]);
	});

	it('says no more than the context without consent, and sends no cookie', async () => {
		const { client, requests } = clientWith({ visitorId: 'v1' }, answering);
		client.track('page_view');
		await client.decide(REQUEST);
		expect(requests[0]?.body).toEqual({ key: 'pk_test', ...REQUEST, events: [] });
		expect(requests[0]?.init.credentials).toBe('omit');
	});

	it('keeps the deadline, falls back, and sends the events their own way', async () => {
		vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
		const { client, requests, time } = clientWith({ consent: GRANTED }, (sent) =>
			sent.url.includes('/decide') ? new Promise<Response>(() => {}) : allOk(sent),
		);
		client.track('page_view');
		let decision: unknown;
		client.decide(REQUEST).then((d) => {
			decision = d;
		});
		await vi.advanceTimersByTimeAsync(799);
		expect(decision).toBeUndefined();
		await vi.advanceTimersByTimeAsync(1);
		expect(decision).toEqual({ served_by: 'sdk_fallback', placements: { 'also-bought': EMPTY } });
		await time.advance(2000);
		expect(requests.map((r) => [r.url.split('/v1/')[1], r.body.events.length])).toEqual([
			['decide', 1],
			['events', 1],
		]);
		expect(requests[1]?.body.events[0].id).toBe(requests[0]?.body.events[0].id);
	});

	it.each([
		['no network', () => Promise.reject(new TypeError('offline'))],
		['503', () => new Response('', { status: 503 })],
		['no JSON', () => new Response('<html>')],
	])('falls back to the last good answer of the same question: %s', async (_, failing) => {
		let fails = false;
		const { client } = clientWith({ consent: GRANTED }, (sent) => (fails ? failing() : answering(sent)));
		await client.decide(REQUEST);
		fails = true;
		const again = await client.decide(REQUEST);
		expect(again.served_by).toBe('sdk_fallback');
		expect(again.placements['also-bought']).toMatchObject({ items: ITEMS, served_by: 'sdk_fallback' });
		const other = await client.decide({ ...REQUEST, context: { item_id: 'other' } });
		expect(other.placements['also-bought']).toEqual(EMPTY);
		client.setConsent({ analytics: false, personalization: false });
		expect((await client.decide(REQUEST)).placements['also-bought']).toEqual(EMPTY);
	});
});

describe('recommend', () => {
	it('asks in the simple form', async () => {
		const { client, requests } = clientWith({ consent: GRANTED, visitorId: 'v 1' }, answering);
		const answer = await client.recommend('also-bought', { item_id: '22 386', count: 2 });
		expect(answer.items).toEqual(ITEMS);
		expect(requests[0]?.url).toBe(
			'https://r.example/v1/recommendations/also-bought?key=pk_test&visitor_id=v+1&item_id=22+386&count=2',
		);
		expect(requests[0]?.init.method).toBe('GET');
	});

	it('falls back', async () => {
		const { client } = clientWith({ consent: GRANTED }, () => new Response('{"code":"x"}', { status: 404 }));
		expect(await client.recommend('also-bought')).toEqual(EMPTY);
	});
});
