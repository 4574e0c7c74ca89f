// Puts the parts together. What the browser supplies comes in as one value, so that tests can supply it instead.

import { type Consent, type ConsentInput, consentState, isWithdrawal, mergeConsent } from './consent.js';
import { type DropReason, type Entry, type EventInput, entryOf, MAX_EVENT_BYTES, type Params, uuid } from './events.js';
import { createIdentity, readJson, type Store, writeJson } from './identity.js';
import { type Options, settingsOf } from './options.js';
import { createQueue } from './queue.js';
import {
	type Context,
	createAsker,
	type Decision,
	observe,
	type PlacementAnswer,
	type PlacementRequest,
	type RecommendedItem,
} from './recommend.js';
import { type Fetch, POST_TIMEOUT_MS, postOf, readReply, request, roomFor, writeBody } from './transport.js';

/** What the browser supplies. */
export interface Surroundings {
	fetch: Fetch;
	beacon(url: string, body: string): boolean;
	/** `localStorage`, where the page may use it. */
	store: Store | undefined;
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

/** Builds the element that shows one item. */
export type Template<T = RecommendedItem> = (item: T, index: number) => Element | null | undefined;

export interface RenderOptions extends Omit<PlacementRequest, 'id'> {
	context?: Context;
	deadline?: number;
}

/** An unfinished event as it is stored: with the wall clock, as the monotonic one starts anew with each page. */
type StoredEntry = [json: string, wallAt: number, session?: string | undefined];

export type Client = ReturnType<typeof createClient>;

export function createClient(options: Options, around: Surroundings) {
	const settings = settingsOf(options);
	const { key, endpoint } = settings;
	const { store, now, wallNow } = around;
	const log = (...what: unknown[]) => {
		if (settings.debug) console.debug('[rapport]', ...what);
	};

	let consent: Consent | undefined;
	const state = () => consentState(consent);
	const granted = () => state() === 'granted';
	const prefix = `rapport:${key}:`;
	const queueKey = `${prefix}queue`;
	const identity = createIdentity(store, `${prefix}session`, wallNow, () => uuid(wallNow()));
	const asker = createAsker(log);
	const seen = new Set<string>();
	const stops = new WeakMap<Element, () => void>();

	/** The one exit for everything that is not sent. */
	const dropped = (reason: DropReason, event: object, code?: string) => {
		log('dropped', reason, code, event);
		try {
			settings.onDropped?.(reason, event as Record<string, unknown>, code);
		} catch (error) {
			log(error);
		}
	};

	const headOf = (session: string, seq?: number) => ({
		v: 1,
		key,
		visitor_id: settings.visitorId,
		session_id: session,
		seq,
		sent_at: new Date(wallNow()).toISOString(),
		consent,
	});
	const bodyOf = (batch: Entry[]) => {
		const session = batch[0]?.session ?? identity.session();
		return writeBody(headOf(session, identity.nextSeq(session)), batch, now());
	};
	const url = `${endpoint}/v1/events`;

	const queue = createQueue({
		async send(batch, keepalive) {
			log('send', batch.length);
			const reply = await request(around.fetch, url, postOf(bodyOf(batch), true, keepalive), POST_TIMEOUT_MS);
			return readReply(reply, wallNow());
		},
		beacon: (batch) => around.beacon(url, bodyOf(batch)),
		dropped: (reason, entry, code) => dropped(reason, JSON.parse(entry.json), code),
		now,
		random: around.random,
		later: around.later,
		room: () => roomFor(headOf('x'.repeat(36), 1e9)),
		limit: settings.maxQueue,
		interval: settings.flushInterval,
		flushAt: settings.flushAt,
	});

	/** Takes back what an earlier page, or this one before it was hidden, could not send. */
	const restore = () => {
		const stored = granted() && readJson<StoredEntry[]>(store, queueKey);
		if (!stored) return;
		writeJson(store, queueKey, undefined);
		const mine = new Set(queue.unfinished().map((entry) => entry.id));
		const entries: Entry[] = [];
		for (const [json, wallAt, session] of Array.isArray(stored) ? stored : []) {
			try {
				const { id } = JSON.parse(json);
				if (!mine.has(id)) entries.push(entryOf(id, json, now() - (wallNow() - wallAt), session));
			} catch {
				// Not ours, or damaged.
			}
		}
		queue.add(entries, true);
	};

	const leave = () => {
		queue.leave();
		const entries = queue.unfinished();
		if (!granted() || !entries.length) return;
		const known = new Set(entries.map((entry) => entry.json));
		const others = readJson<StoredEntry[]>(store, queueKey) ?? [];
		const mine = entries.map((entry): StoredEntry => [entry.json, wallNow() - (now() - entry.at), entry.session]);
		writeJson(store, queueKey, [...others.filter(([json]) => !known.has(json)), ...mine].slice(-settings.maxQueue));
	};

	const track = (type: string, params: Params = {}) => {
		// Its own fields win over parameters of the same name; the age is written when it is sent.
		const event = { ...params, id: uuid(wallNow()), type, age_ms: undefined, ts: undefined };
		if (state() === 'denied') return dropped('consent', event);
		let json = '';
		try {
			if (type) json = JSON.stringify(event);
		} catch (error) {
			log(error);
		}
		if (!json) return dropped('invalid', event);
		const entry = entryOf(event.id, json, now(), granted() ? identity.session(true) : undefined);
		if (entry.bytes > MAX_EVENT_BYTES) return dropped('too_large', event);
		log('track', event);
		queue.add([entry]);
	};

	const setConsent = (input: ConsentInput) => {
		const before = consent;
		const was = state();
		consent = mergeConsent(before, input, wallNow());
		log('consent', consent);
		if (granted()) {
			identity.remember(true);
			for (const entry of queue.unfinished()) entry.session ??= identity.session(true);
			if (was !== 'granted') restore();
			queue.open();
		} else if (state() === 'denied') {
			identity.remember(false);
			writeJson(store, queueKey, undefined);
			asker.forget();
			queue.close();
		}
		if (isWithdrawal(before, consent)) queue.announce();
	};

	const decide = async ({ events, deadline, ...words }: DecideRequest): Promise<Decision> => {
		for (const { type, ...params } of events ?? []) track(type, params);
		// Without consent the page's own context is all that is said.
		const who = granted() ? { visitor_id: settings.visitorId, session_id: identity.session(true) } : {};
		const head = { key, ...who, consent, customer_token: settings.customerToken, ...words };
		const batch = queue.takeAlong(roomFor(head));
		const post = postOf(writeBody(head, batch, now()), granted());
		const reply = request(around.fetch, `${endpoint}/v1/decide`, post, deadline ?? settings.deadline);
		reply.then(
			({ status, body }) => {
				if (status === 200) queue.settle(batch, (body as Decision | undefined)?.events ?? {});
				queue.giveBack(batch);
			},
			() => queue.giveBack(batch),
		);
		const ids = words.placements.map(({ id }) => id);
		return asker.ask(ids, JSON.stringify([words.placements, words.context]), reply);
	};

	const recommend = async (
		placement: string,
		{ deadline, ...query }: RecommendQuery = {},
	): Promise<PlacementAnswer> => {
		const said = { key, visitor_id: granted() ? settings.visitorId : undefined, ...query };
		const words = Object.entries(said).filter(([, value]) => value !== undefined) as [string, string][];
		const path = `/v1/recommendations/${encodeURIComponent(placement)}?${new URLSearchParams(words)}`;
		const credentials = granted() ? 'include' : 'omit';
		const reply = request(around.fetch, endpoint + path, { credentials }, deadline ?? settings.deadline);
		const decision = await asker.ask([placement], path, reply, (body) => ({ placements: { [placement]: body } }));
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
		const answer =
			typeof placement !== 'string'
				? placement
				: ((
						await decide({
							placements: [{ ...words, id: placement }],
							...(context && { context }),
							...(deadline && { deadline }),
						})
					).placements[placement] as PlacementAnswer);
		const shown: RecommendedItem[] = [];
		const nodes: Element[] = [];
		// A banner placement has one thing to show.
		const things = answer.creative ? [answer.creative as unknown as RecommendedItem] : answer.items;
		things.forEach((item, index) => {
			try {
				const node = template(item, index);
				if (!node) return;
				nodes.push(node);
				shown.push(item);
			} catch (error) {
				log('template', error);
			}
		});
		// With nothing to show, what the shop put there stays.
		if (nodes.length) {
			// What comes may be lower than what was there; the page below must not jump.
			element.style.minHeight = `${element.offsetHeight}px`;
			element.replaceChildren(...nodes);
			watch(answer.creative ? answer : { ...answer, items: shown }, element);
		}
		return answer;
	};

	if (settings.consent) setConsent(settings.consent);
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
		wake: queue.wake,
		log,
	};
}
