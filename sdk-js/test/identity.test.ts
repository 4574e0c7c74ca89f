import { describe, expect, it } from 'vitest';
import { uuid } from '../src/events.js';
import { createIdentity, SESSION_MS } from '../src/identity.js';
import { allOk, clientWith, clock, DENIED, GRANTED, memoryStore } from './parts.js';

function identityWith(store = memoryStore()) {
	const time = clock();
	let n = 0;
	return {
		store,
		time,
		identity: createIdentity(
			() => store,
			'session',
			time.now,
			() => `s${++n}`,
		),
	};
}

describe('the session', () => {
	it('ends after thirty minutes of silence', async () => {
		const { identity, time } = identityWith();
		expect(identity.session(1).id).toBe('s1');
		await time.advance(SESSION_MS - 1);
		expect(identity.session(1).id).toBe('s1');
		await time.advance(SESSION_MS);
		expect(identity.session(0).id).toBe('s2');
	});

	it('counts its events from 1', async () => {
		const { identity, time } = identityWith();
		expect([1, 1, 0, 1].map((n) => identity.session(n).seq)).toEqual([1, 2, 2, 3]);
		await time.advance(SESSION_MS);
		expect(identity.session(1)).toMatchObject({ id: 's2', seq: 1 });
	});

	it('keeps what was given up until it is told, also beyond its end', async () => {
		const { identity, time } = identityWith();
		expect(identity.givenUp()).toBeUndefined();
		identity.giveUp('overflow', 1);
		identity.giveUp('overflow', 1);
		identity.giveUp('expired', 1);
		const told = identity.givenUp();
		identity.giveUp('overflow', 1);
		expect(told, 'what is being told stays as it is').toEqual({ overflow: 2, expired: 1 });
		identity.giveUp('overflow', -2);
		await time.advance(SESSION_MS);
		expect(identity.givenUp()).toEqual({ overflow: 1, expired: 1 });
	});

	it('is not stored before consent, is after, and goes with it', () => {
		const { identity, store } = identityWith();
		identity.session(1);
		identity.giveUp('overflow', 1);
		expect(store.data.size).toBe(0);
		identity.remember(true);
		expect([...store.data.keys()]).toEqual(['session']);
		identity.remember(false);
		expect(identity.session(1)).toMatchObject({ id: 's2', seq: 1 });
		expect(identity.givenUp()).toBeUndefined();
		expect(store.data.size).toBe(0);
	});

	it('goes on in the next page, with its counts', () => {
		const first = identityWith();
		first.identity.remember(true);
		first.identity.session(1);
		first.identity.giveUp('rejected', 1);
		const second = identityWith(first.store);
		second.identity.remember(true);
		expect(second.identity.session(1)).toMatchObject({ id: 's1', seq: 2 });
		expect(second.identity.givenUp()).toEqual({ rejected: 1 });
	});

	it('works where storing is forbidden or damaged', () => {
		const forbidden = createIdentity(
			() => {
				throw new Error('SecurityError');
			},
			'session',
			() => 1,
			() => 'id',
		);
		forbidden.remember(true);
		expect(forbidden.session(1).id).toBe('id');
		const { identity, store } = identityWith();
		store.setItem('session', '{{{');
		identity.remember(true);
		expect(identity.session(0).id).toBe('s1');
	});
});

describe('ids of events', () => {
	it('are UUIDs of version 7 and sort by time', () => {
		const ids = [1_700_000_000_000, 1_700_000_000_001, 1_800_000_000_000].map((now) => uuid(now));
		for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
		expect([...ids].sort()).toEqual(ids);
		expect(Number.parseInt(ids[0]?.replace('-', '').slice(0, 12) ?? '', 16)).toBe(1_700_000_000_000);
	});
});

describe('what is stored', () => {
	it('is nothing before consent and after a denial', async () => {
		const { client, store, time, requests } = clientWith({}, allOk);
		client.track('page_view');
		client.leave();
		await time.advance(10_000);
		expect([store.data.size, requests.length]).toEqual([0, 0]);
		client.setConsent(DENIED);
		client.track('page_view');
		client.leave();
		await time.advance(10_000);
		expect([store.data.size, requests.length]).toEqual([0, 0]);
	});

	it('is removed on denial even if an earlier page has stored it', () => {
		const store = memoryStore();
		store.setItem('rapport:pk_test:session', '{"id":"old","seq":1,"last":1}');
		store.setItem('rapport:pk_test:queue', '{}');
		clientWith({ consent: DENIED }, allOk, store);
		expect(store.data.size).toBe(0);
	});

	it('is what could not be sent, for the next page to send with its true age', async () => {
		const failing = () => new Response('', { status: 503, headers: { 'Retry-After': '600' } });
		const first = clientWith({ consent: GRANTED }, failing);
		first.client.track('view_cart');
		await first.time.advance(5000);
		first.client.leave();
		expect([...first.store.data.keys()].sort()).toEqual(['rapport:pk_test:queue', 'rapport:pk_test:session']);

		const second = clientWith({}, allOk, first.store);
		await second.time.advance(7000);
		second.client.setConsent(GRANTED);
		await second.time.advance(2000);
		expect(second.requests.map((r) => r.body.events.map((e: { type: string }) => e.type))).toEqual([['view_cart']]);
		expect(second.requests[0]?.body.events[0].age_ms).toBe(9000);
		expect(second.requests[0]?.body.session_id).toBe(first.requests[0]?.body.session_id);
		expect([...second.store.data.keys()]).toEqual(['rapport:pk_test:session']);
	});
});
