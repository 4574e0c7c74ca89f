import { describe, expect, it } from 'vitest';
import { allOk, clientWith, DENIED, GRANTED, memoryStore, type Sent } from './parts.js';

const FAILING = () => new Response('', { status: 503, headers: { 'Retry-After': '1' } });
const numbers = (requests: Sent[]) => requests.map((r) => r.body.events.map((e: { seq?: number }) => e.seq));
/** What each batch told of, by reason. */
const reports = (requests: Sent[]) =>
	requests.map(
		(r) =>
			r.body.discarded &&
			Object.fromEntries(r.body.discarded.map((d: { reason: string; count: number }) => [d.reason, d.count])),
	);

/** Answers `drop` to events of this type, `ok` to all others. */
const rejecting = (type: string) => (sent: Sent) =>
	Response.json({
		results: Object.fromEntries(
			sent.body.events.map((e: { id: string; type: string }) => [e.id, { result: e.type === type ? 'drop' : 'ok' }]),
		),
	});

describe('the number of an event', () => {
	it('is taken once and kept over retries', async () => {
		let failing = true;
		const { client, time, requests } = clientWith({ consent: GRANTED }, (sent) => (failing ? FAILING() : allOk(sent)));
		client.track('page_view');
		client.track('view_cart');
		await time.advance(2000);
		client.track('begin_checkout');
		failing = false;
		await time.advance(10_000);
		expect(numbers(requests)).toEqual([
			[1, 2],
			[1, 2, 3],
		]);
		expect(requests[0]?.body.seq).toBeUndefined();
	});

	it('is kept over page loads, and the next page counts on', async () => {
		const first = clientWith({ consent: GRANTED }, FAILING);
		first.client.track('page_view');
		first.client.track('view_cart');
		await first.time.advance(2000);
		first.client.leave();
		const second = clientWith({ consent: GRANTED }, allOk, first.store);
		second.client.track('page_view');
		await second.time.advance(5000);
		expect(numbers(second.requests)).toEqual([[1, 2, 3]]);
		expect(second.requests[0]?.body.session_id).toBe(first.requests[0]?.body.session_id);
	});

	it('is given to what waited for consent once that is there', async () => {
		const { client, time, requests } = clientWith({}, allOk);
		client.track('page_view');
		await time.advance(5000);
		client.setConsent(GRANTED);
		client.track('view_cart');
		await time.advance(2000);
		expect(numbers(requests)).toEqual([[1, 2]]);
	});

	it('goes along with a decision', async () => {
		const { client, requests } = clientWith({ consent: GRANTED });
		client.track('page_view');
		await client.decide({ placements: [{ id: 'home' }], events: [{ type: 'view_cart' }] });
		expect(numbers(requests)).toEqual([[1, 2]]);
	});
});

describe('what was given up', () => {
	it('is told with the next batch, and once', async () => {
		const { client, time, requests } = clientWith({ consent: GRANTED, maxQueue: 2 }, allOk);
		for (let i = 0; i < 5; i++) client.track('page_view');
		await time.advance(2000);
		client.track('page_view');
		await time.advance(2000);
		expect(numbers(requests)).toEqual([[4, 5], [6]]);
		expect(reports(requests)).toEqual([{ overflow: 3 }, {}]);
	});

	it('is told again after a send that failed, with what came on top', async () => {
		let failing = true;
		const { client, time, requests } = clientWith({ consent: GRANTED, maxQueue: 1 }, (sent) =>
			failing ? FAILING() : allOk(sent),
		);
		client.track('page_view');
		client.track('page_view');
		await time.advance(2000);
		client.track('page_view');
		failing = false;
		await time.advance(10_000);
		client.track('page_view');
		await time.advance(2000);
		expect(reports(requests)).toEqual([{ overflow: 1 }, { overflow: 2 }, {}]);
	});

	it('is told by the next page where this one could not', async () => {
		const first = clientWith({ consent: GRANTED }, rejecting('note'));
		first.client.track('note');
		await first.time.advance(2000);
		first.client.leave();
		const second = clientWith({ consent: GRANTED }, allOk, first.store);
		second.client.track('page_view');
		await second.time.advance(2000);
		expect([reports(first.requests), reports(second.requests)]).toEqual([[undefined], [{ rejected: 1 }]]);
	});

	it('is handed to the browser with the last batch', async () => {
		const { client, beacons, time, requests } = clientWith({ consent: GRANTED, maxQueue: 1 }, allOk);
		client.track('page_view');
		client.track('page_view');
		client.leave();
		client.track('page_view');
		await time.advance(2000);
		expect([reports(beacons), reports(requests)]).toEqual([[{ overflow: 1 }], [{}]]);
	});

	it('counts what never had a number, too', async () => {
		const { client, time, requests } = clientWith({ consent: GRANTED }, allOk);
		client.track('note', { note: 'x'.repeat(9000) });
		client.track('note', { n: 1n });
		client.track('page_view');
		await time.advance(2000);
		expect([numbers(requests), reports(requests)]).toEqual([[[1]], [{ too_large: 1, invalid: 1 }]]);
	});

	it('is nothing for want of consent', async () => {
		const { client, time, requests, store, dropped } = clientWith({ consent: DENIED }, allOk);
		client.track('page_view');
		client.setConsent(GRANTED);
		client.track('page_view');
		await time.advance(2000);
		// Waits, and was given up, when consent is withdrawn.
		client.track('note', { n: 1n });
		client.track('page_view');
		client.setConsent(DENIED);
		client.track('page_view');
		expect(store.data.size).toBe(0);
		client.setConsent(GRANTED);
		client.track('page_view');
		await time.advance(2000);
		expect(dropped.map(([reason]) => reason)).toEqual(['consent', 'invalid', 'consent', 'consent']);
		expect(reports(requests).filter((report) => report)).toEqual([]);
		const sessions = requests.filter((r) => r.body.events.length).map((r) => [r.body.session_id, r.body.events[0].seq]);
		expect(sessions.map(([, seq]) => seq)).toEqual([1, 1]);
		expect(new Set(sessions.map(([id]) => id)).size, 'a session after a withdrawal is another one').toBe(2);
	});

	it('is nothing for what had to go before consent was known', async () => {
		const store = memoryStore();
		const { client, time, requests } = clientWith({ maxQueue: 1 }, allOk, store);
		client.track('page_view');
		client.track('page_view');
		expect(store.data.size).toBe(0);
		client.setConsent(GRANTED);
		await time.advance(2000);
		expect([numbers(requests), reports(requests)]).toEqual([[[1]], [undefined]]);
	});
});
