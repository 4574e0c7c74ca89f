import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { utf8Length } from '../src/events.js';
import { readReply, retryAfterMs, writeBody } from '../src/transport.js';
import { allOk, clientWith, entry, GRANTED } from './parts.js';

afterEach(() => vi.useRealTimers());

describe('the body', () => {
	it('holds the frame and each event with its age', () => {
		const body = writeBody({ v: 1, key: 'pk' }, [entry('a', 100), entry('b', 250.4), entry('c', 400)], 300);
		expect(JSON.parse(body)).toEqual({
			v: 1,
			key: 'pk',
			events: [
				{ id: 'a', type: 'page_view', padding: '', age_ms: 200 },
				{ id: 'b', type: 'page_view', padding: '', age_ms: 50 },
				{ id: 'c', type: 'page_view', padding: '', age_ms: 0 },
			],
		});
	});

	it('stays below 64 KiB, counted in bytes', async () => {
		const { client, requests } = clientWith({ consent: GRANTED, visitorId: 'é'.repeat(100) }, allOk);
		for (let i = 0; i < 40; i++) client.track('search', { search_term: '靴'.repeat(2500) });
		await client.flush();
		const sizes = requests.map((r) => utf8Length(String(r.init.body)));
		expect(requests.flatMap((r) => r.body.events)).toHaveLength(40);
		expect(Math.max(...sizes)).toBeLessThan(64 * 1024);
		expect(requests).toHaveLength(5);
	});

	it('is what the contract says', async () => {
		const { client, requests, time } = clientWith({ consent: GRANTED, visitorId: 'v1' }, allOk);
		client.track('view_item', { items: [{ item_id: '1' }], age_ms: 7, ts: 'x', id: 'mine', seq: 9 });
		await time.advance(2000);
		const { url, init, body } = requests[0] ?? expect.fail();
		expect(url).toBe('https://r.example/v1/events');
		expect({ ...init, body: '', signal: '' }).toEqual({
			method: 'POST',
			keepalive: true,
			credentials: 'include',
			body: '',
			signal: '',
		});
		expect(init.headers).toBeUndefined();
		expect(body).toEqual({
			v: 1,
			key: 'pk_test',
			visitor_id: 'v1',
			session_id: expect.stringMatching(/-7/),
			sent_at: '2023-11-14T22:13:22.000Z',
			consent: { ...GRANTED, at: '2023-11-14T22:13:20.000Z' },
			events: [{ id: expect.stringMatching(/-7/), type: 'view_item', items: [{ item_id: '1' }], seq: 1, age_ms: 2000 }],
		});
	});
});

describe('events that do not fit', () => {
	test.each([
		['too_large', { note: 'x'.repeat(9000) }],
		['invalid', { n: 1n }],
	])('%s', async (reason, params) => {
		const { client, dropped, requests } = clientWith({ consent: GRANTED }, allOk);
		client.track('note', params);
		await client.flush();
		expect(dropped.map((d) => d[0])).toEqual([reason]);
		expect(requests).toEqual([]);
	});

	it('survives a listener that throws', () => {
		const onDropped = () => {
			throw new Error('of the shop');
		};
		const { client } = clientWith({ consent: { analytics: false }, onDropped });
		expect(() => client.track('page_view')).not.toThrow();
	});
});

describe('what a reply means', () => {
	const results = { a: { result: 'ok' } };
	test.each([
		[200, null, { results }, { results }],
		[200, null, undefined, { results: {} }],
		[429, '3', {}, { again: true, wait: 3000 }],
		[503, null, undefined, { again: true, wait: 0 }],
		[500, null, undefined, { again: true, wait: 0 }],
		[408, null, undefined, { again: true, wait: 0 }],
		[401, null, { code: 'unknown_key' }, { refused: 'unknown_key' }],
		[413, null, undefined, { refused: 'http_413' }],
	])('%i', (status, retryAfter, body, answer) => {
		expect(readReply({ status, retryAfter, body }, 0)).toEqual(answer);
	});

	test.each([
		[null, 0],
		['0', 0],
		['120', 120_000],
		['Mon, 23 Nov 2026 10:00:40 GMT', 40_000],
		['Mon, 23 Nov 2026 09:59:00 GMT', 0],
		['soon', 0],
	])('Retry-After %s', (header, ms) => {
		expect(retryAfterMs(header, Date.UTC(2026, 10, 23, 10))).toBe(ms);
	});
});

it('counts a request without an answer as lost', async () => {
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
	let answered = false;
	const { client, requests } = clientWith({ consent: GRANTED }, (sent) =>
		answered ? allOk(sent) : new Promise<Response>(() => {}),
	);
	client.track('page_view');
	const flushed = client.flush();
	await vi.advanceTimersByTimeAsync(10_000);
	await flushed;
	answered = true;
	expect(requests).toHaveLength(1);
});
