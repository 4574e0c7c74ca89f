// Puts the parts together. What the browser supplies comes in as one value, so that tests can supply it instead.

import { type Consent, type ConsentInput, isWithdrawal, mergeConsent, permits, withoutUndefined } from './consent.js';
import { type DropReason, type Entry, type EventInput, entryOf, MAX_EVENT_BYTES, type Params, uuid } from './events.js';
import { createIdentity, readJson, type Store, writeJson } from './identity.js';
import type { Options } from './options.js';
import { type Answer, createQueue } from './queue.js';
import {
	type Context,
	type Decision,
	decisionOf,
	fallback,
	observe,
	type PlacementAnswer,
	type PlacementRequest,
	type RecommendedItem,
} from './recommend.js';
import { type Fetch, POST_TIMEOUT_MS, type Reply, readReply, request, writeBody } from './transport.js';

/** What the browser supplies. */
export interface Surroundings {
	fetch: Fetch;
	beacon(url: string, body: string): boolean;
	/** Returns `localStorage`; throws where the page may not use it. */
	store(): Store;
	/** Milliseconds that never go back. */
	now(): number;
	/** Milliseconds since 1970, as this machine believes. */
	wallNow(): number;
	random(): number;
	later(run: () => void, ms: number): void;
}

export interface DecideRequest {
	placements: PlacementRequest[];
	context?: Context;
	/** Events that count before the decision. */
	events?: EventInput[];
	customer_token?: string;
	/** Milliseconds until the fallback, for this call. */
	deadline?: number;
	[word: string]: unknown;
}

export interface RecommendQuery {
	item_id?: string;
	count?: number;
	/** Milliseconds until the fallback, for this call. */
	deadline?: number;
	[word: string]: string | number | boolean | undefined;
}

/** How many different questions keep their last good answer. */
const KEEP = 20;

/** Builds the element that shows one item. */
export type Template<T = RecommendedItem> = (item: T, index: number) => Element;

export interface RenderOptions extends Omit<PlacementRequest, 'id'> {
	context?: Context;
	deadline?: number;
}

/** An unfinished event as it is stored: with the wall clock, as the monotonic one starts anew with each page. */
type StoredEntry = [json: string, wallAt: number, session?: string | undefined];

export type Client = ReturnType<typeof createClient>;

export function createClient(options: Options, around: Surroundings) {
	const {
		key,
		endpoint = '',
		visitorId,
		customerToken,
		flushInterval = 2_000,
		flushAt = 20,
		maxQueue = 1_000,
		deadline: patience = 800,
		debug,
		onDropped,
	} = options;
	const { fetch, store, now, wallNow } = around;
	const base = `${endpoint.replace(/\/$/, '')}/v1/`;
	const log = (...what: unknown[]) => {
		if (debug) console.debug('[rapport]', ...what);
	};

	let consent: Consent | undefined;
	const granted = () => permits(consent);
	const queueKey = `rapport:${key}:queue`;
	const identity = createIdentity(store, `rapport:${key}:session`, wallNow, () => uuid(wallNow()));
	const lastGood = new Map<string, Decision>();
	const seen = new Set<string>();
	const stops = new WeakMap<Element, () => void>();

	/** The one exit for everything that is not sent. */
	const dropped = (reason: DropReason, event: object, code?: string) => {
		log('dropped', reason, code, event);
		// Without consent nothing is told.
		if (granted()) identity.giveUp(reason, 1);
		try {
			onDropped?.(reason, event as Record<string, unknown>, code);
		} catch (error) {
			log(error);
		}
	};

	/** Gives an event its number, once. What happened before consent belongs to the session that consent began to keep. */
	const number = (entry: Entry) => {
		if (entry.session) return;
		const { id, seq } = identity.session(1);
		entry.session = id;
		entry.text = `${entry.text.slice(0, -1)},"seq":${seq}}`;
	};

	/** Returns a batch's body, and what to call once it has arrived. */
	const pack = (batch: Entry[]): [body: string, arrived: () => void] => {
		const session_id = batch[0]?.session;
		const sent_at = new Date(wallNow()).toISOString();
		const lost = identity.givenUp();
		const discarded = lost && Object.entries(lost).map(([reason, count]) => ({ reason, count }));
		return [
			writeBody({ v: 1, key, visitor_id: visitorId, session_id, sent_at, consent, discarded }, batch, now()),
			// Not before, so that no failure loses the report; if only the answer gets lost it is told twice.
			() => {
				for (const reason in lost) identity.giveUp(reason, -(lost[reason] as number));
			},
		];
	};

	const queue = createQueue({
		async send(batch, keepalive) {
			const [body, arrived] = pack(batch);
			const reply = await request(fetch, `${base}events`, POST_TIMEOUT_MS, true, body, keepalive);
			if (reply.status < 300) arrived();
			return readReply(reply, wallNow());
		},
		beacon(batch) {
			const [body, arrived] = pack(batch);
			const taken = around.beacon(`${base}events`, body);
			// Nobody will hear more of it.
			if (taken) arrived();
			return taken;
		},
		dropped: (reason, entry, code) => dropped(reason, JSON.parse(entry.text), code),
		now,
		random: around.random,
		later: around.later,
		limit: maxQueue,
		interval: flushInterval,
		flushAt: flushAt,
	});

	const readStored = () => readJson<Record<string, StoredEntry>>(store, queueKey) ?? {};

	/** Takes back what an earlier page, or this one before it was hidden, could not send. */
	const restore = () => {
		if (!granted()) return;
		const stored = readStored();
		writeJson(store, queueKey, undefined);
		for (const { id } of queue.unfinished()) delete stored[id];
		const entries = Object.entries(stored).map(([id, [json, wallAt, session]]) =>
			entryOf(id, json, now() - (wallNow() - wallAt), session),
		);
		queue.add(entries, true);
	};

	const leave = () => {
		queue.leave();
		const entries = queue.unfinished();
		if (!granted() || !entries.length) return;
		const stored = readStored();
		for (const { id, text, at, session } of entries) stored[id] = [text, wallNow() - (now() - at), session];
		writeJson(store, queueKey, stored);
	};

	const track = (type: string, params: Params = {}) => {
		// Its own fields win over parameters of the same name; number and age are written later.
		const event = { ...params, id: uuid(wallNow()), type, seq: undefined, age_ms: undefined, ts: undefined };
		if (granted() === false) return dropped('consent', event);
		let entry: Entry;
		try {
			entry = entryOf(event.id, JSON.stringify(event), now());
		} catch {
			return dropped('invalid', event);
		}
		if (entry.bytes > MAX_EVENT_BYTES) return dropped('too_large', event);
		log('track', event);
		if (granted()) number(entry);
		queue.add([entry]);
	};

	const setConsent = (input: ConsentInput) => {
		const before = consent;
		consent = mergeConsent(before, input, wallNow());
		log('consent', consent);
		if (granted()) {
			identity.remember(true);
			queue.unfinished().forEach(number);
			queue.open();
			if (!permits(before)) restore();
		} else if (granted() === false) {
			identity.remember(false);
			writeJson(store, queueKey, undefined);
			lastGood.clear();
			queue.close();
		}
		if (isWithdrawal(before, consent)) queue.announce();
	};

	/** Returns the decision in a reply, or what there is instead; remembers a good one under its question. */
	const decisionIn = async (
		ids: string[],
		question: string,
		reply: Promise<Reply>,
		read = (body: unknown) => body,
	): Promise<Decision> => {
		try {
			const { status, body } = await reply;
			if (status !== 200 || !body) throw status;
			const decision = decisionOf(read(body), ids);
			if (lastGood.size > KEEP) lastGood.clear();
			lastGood.set(question, decision);
			return decision;
		} catch (error) {
			log('fallback', error);
			return fallback(ids, lastGood.get(question));
		}
	};

	const decide = async ({ events, deadline, ...words }: DecideRequest): Promise<Decision> => {
		for (const { type, ...params } of events ?? []) track(type, params);
		// Without consent the page's own context is all that is said.
		const head = {
			key,
			...(granted() && { visitor_id: visitorId, session_id: identity.session(0).id }),
			consent,
			customer_token: customerToken,
			...words,
		};
		const batch = queue.takeAlong();
		const reply = request(fetch, `${base}decide`, deadline ?? patience, granted(), writeBody(head, batch, now()));
		reply
			.then(({ body }) => (body as Decision).events as Answer | undefined)
			// What the answer says nothing of goes its own way.
			.catch(() => {})
			.then((answer) => queue.settle(batch, answer || {}));
		const ids = words.placements.map(({ id }) => id);
		return decisionIn(ids, JSON.stringify([words.placements, words.context]), reply);
	};

	const recommend = async (
		placement: string,
		{ deadline, ...query }: RecommendQuery = {},
	): Promise<PlacementAnswer> => {
		const said = { key, visitor_id: granted() ? visitorId : undefined, ...query };
		const words = new URLSearchParams(withoutUndefined(said) as unknown as Record<string, string>);
		const path = `${base}recommendations/${encodeURIComponent(placement)}?${words}`;
		const reply = request(fetch, path, deadline ?? patience, granted());
		const decision = await decisionIn([placement], path, reply, (body) => ({ placements: { [placement]: body } }));
		return decision.placements[placement] as PlacementAnswer;
	};

	const watch = (answer: PlacementAnswer, element: Element): (() => void) => {
		stops.get(element)?.();
		const stop = observe(answer, element, track, seen);
		stops.set(element, stop);
		return stop;
	};

	const render = async (
		placement: string | PlacementAnswer,
		element: HTMLElement,
		template: Template,
		{ context, deadline, ...words }: RenderOptions = {},
	): Promise<PlacementAnswer> => {
		let answer = placement as PlacementAnswer;
		if (typeof placement === 'string') {
			const request = { placements: [{ ...words, id: placement }], context, deadline } as DecideRequest;
			answer = (await decide(request)).placements[placement] as PlacementAnswer;
		}
		// A banner placement has one thing to show.
		const things = answer.creative ? [answer.creative as unknown as RecommendedItem] : answer.items;
		// With nothing to show, what the shop put there stays.
		if (things[0]) {
			const nodes = things.map(template);
			// What comes may be lower than what was there; the page below must not jump.
			element.style.minHeight = `${element.offsetHeight}px`;
			element.replaceChildren(...nodes);
			watch(answer, element);
		}
		return answer;
	};

	if (options.consent) setConsent(options.consent);
	return {
		track,
		setConsent,
		decide,
		recommend,
		render,
		observe: watch,
		flush: queue.flush,
		leave,
		restore,
		log,
	};
}
