// What the tests supply instead of a browser.

import { createClient, type Surroundings } from '../src/client.js';
import type { DropReason, Entry } from '../src/events.js';
import { entryOf } from '../src/events.js';
import type { Store } from '../src/identity.js';
import type { Options } from '../src/options.js';
import { type Answer, createQueue } from '../src/queue.js';

export const GRANTED = { analytics: true, personalization: true };
export const DENIED = { analytics: false, personalization: false };

export function memoryStore(): Store & { data: Map<string, string> } {
	const data = new Map<string, string>();
	return {
		data,
		getItem: (key) => data.get(key) ?? null,
		setItem: (key, value) => void data.set(key, value),
		removeItem: (key) => void data.delete(key),
	};
}

export const entry = (id: string, at = 0, session?: string, padding = 0): Entry =>
	entryOf(id, JSON.stringify({ id, type: 'page_view', padding: 'x'.repeat(padding) }), at, session);

/** A clock with timers that ring when it is moved. */
export function clock() {
	let time = 0;
	let alarms: { at: number; run: () => void }[] = [];
	return {
		now: () => time,
		later: (run: () => void, ms: number) => void alarms.push({ at: time + ms, run }),
		async advance(ms: number) {
			const end = time + ms;
			for (;;) {
				await settle();
				const next = alarms.filter((a) => a.at <= end).sort((a, b) => a.at - b.at)[0];
				if (!next) break;
				alarms = alarms.filter((a) => a !== next);
				time = Math.max(time, next.at);
				next.run();
			}
			time = end;
			await settle();
		},
	};
}

/** Lets all promises that can go on do so. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

export const ok = (batch: Entry[]): Answer => ({
	results: Object.fromEntries(batch.map((e) => [e.id, { result: 'ok' }])),
});

/** A queue whose server answers by `answer`, with what was sent, when, and what was dropped. */
export function queueWith(answer: (batch: Entry[], n: number) => Answer | Promise<Answer>, limit = 1000) {
	const time = clock();
	const sent: { at: number; ids: string[]; keepalive: boolean }[] = [];
	const beacons: string[][] = [];
	const dropped: [DropReason, string, string?][] = [];
	const taking = { beacons: true };
	const queue = createQueue({
		async send(batch, keepalive) {
			sent.push({ at: time.now(), ids: batch.map((e) => e.id), keepalive });
			return answer(batch, sent.length);
		},
		beacon(batch) {
			if (taking.beacons) beacons.push(batch.map((e) => e.id));
			return taking.beacons;
		},
		dropped: (reason, e, code) => dropped.push(code ? [reason, e.id, code] : [reason, e.id]),
		now: time.now,
		random: () => 1,
		later: time.later,
		limit,
		interval: 2000,
		flushAt: 20,
	});
	return { queue, time, sent, beacons, dropped, taking };
}

export interface Sent {
	url: string;
	init: RequestInit;
	// biome-ignore lint/suspicious/noExplicitAny: bodies of several shapes, looked into by the tests
	body: any;
}

/** A client in a browser of our making. `reply` answers its requests. */
export function clientWith(
	options: Partial<Options> = {},
	reply: (sent: Sent) => Response | Promise<Response> = () => new Response('{"results":{}}'),
	store = memoryStore(),
) {
	const time = clock();
	const requests: Sent[] = [];
	const beacons: Sent[] = [];
	const dropped: [DropReason, unknown, string | undefined][] = [];
	const around: Surroundings = {
		fetch: (url, init) => {
			const sent = { url, init, body: init.body ? JSON.parse(String(init.body)) : undefined };
			requests.push(sent);
			return new Promise((resolve, reject) => {
				init.signal?.addEventListener('abort', () => reject(new Error('aborted')));
				Promise.resolve(reply(sent)).then(resolve, reject);
			});
		},
		beacon: (url, body) => beacons.push({ url, init: {}, body: JSON.parse(body) }) > 0,
		store: () => store,
		now: time.now,
		wallNow: () => 1_700_000_000_000 + time.now(),
		random: () => 1,
		later: time.later,
	};
	const client = createClient(
		{
			key: 'pk_test',
			endpoint: 'https://r.example',
			onDropped: (reason, event, code) => dropped.push([reason, event.type, code]),
			...options,
		},
		around,
	);
	return { client, time, requests, beacons, dropped, store };
}

/** Answers a batch as the server does when all is well. */
export const allOk = ({ body }: Sent): Response =>
	Response.json({
		results: Object.fromEntries((body?.events ?? []).map((e: { id: string }) => [e.id, { result: 'ok' }])),
		errors: [],
	});
