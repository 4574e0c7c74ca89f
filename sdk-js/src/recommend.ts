// Decisions: asked for with a deadline, never an exception, and a report of what was seen and clicked.

import type { Item, Params } from './events.js';

/** A recommended item; further fields as the placement is set up. */
export interface RecommendedItem {
	item_id: string;
	position?: number;
	score?: number;
	source?: string;
	reasons?: { code: string; [detail: string]: unknown }[];
	rules?: unknown[];
	pinned?: boolean;
	[field: string]: unknown;
}

/** A banner. */
export interface Creative {
	creative_id?: string;
	id?: string;
	[field: string]: unknown;
}

/** What one placement shows. `items` is always there, perhaps empty. */
export interface PlacementAnswer {
	placement: string;
	items: RecommendedItem[];
	/** A banner placement's banner; `null` where there is none to show. */
	creative?: Creative | null;
	/** The rung of the ladder that answered; `sdk_fallback` where the server did not. */
	served_by?: string;
	recommendation_id?: string;
	build?: string | null;
	rules_revision?: number | null;
	in_holdout?: boolean;
	experiments?: unknown[];
	[field: string]: unknown;
}

export interface Decision {
	request_id?: string;
	placements: Record<string, PlacementAnswer>;
	/** Set where the server did not answer in time. */
	served_by?: 'sdk_fallback';
	[field: string]: unknown;
}

/** One placement to be filled; further request words (`filter`, `exclude_ids`, …) pass through. */
export interface PlacementRequest {
	id: string;
	count?: number;
	[word: string]: unknown;
}

/** What the page says about itself. */
export interface Context {
	page_type?: string;
	item_id?: string;
	cart?: string[];
	locale?: string;
	currency?: string;
	[field: string]: unknown;
}

const FALLBACK = 'sdk_fallback';

/** Returns a decision with every placement asked for, each with its items, also where `body` has none. */
export function decisionOf(body: unknown, ids: string[], fallback?: { served_by: typeof FALLBACK }): Decision {
	const decision: Decision = { ...(body as Decision | undefined), ...fallback, placements: {} };
	for (const id of ids) {
		// A banner placement has no items.
		const answer: Partial<PlacementAnswer> | undefined = (body as Decision | undefined)?.placements?.[id];
		decision.placements[id] = { items: [], ...(answer ?? { served_by: FALLBACK }), ...fallback, placement: id };
	}
	return decision;
}

/** Returns what there is when the server does not answer: the last good decision, or nothing to show. */
export const fallback = (ids: string[], last?: Decision): Decision => decisionOf(last, ids, { served_by: FALLBACK });

/** Tracks what is seen and clicked of an answer. */
export type Report = (type: string, params: Params) => void;

/** Half of it, for a second: the industry's measure of having been seen. */
const SEEN_RATIO = 0.5;
const SEEN_MS = 1_000;

/**
 * Reports that the answer was seen, once per recommendation, and which of its items were clicked.
 *
 * The element's children are the answer's items, in order. Returns what stops the watching.
 */
export function observe(answer: PlacementAnswer, element: Element, report: Report, seen: Set<string>): () => void {
	const { recommendation_id: id, placement, creative } = answer;
	if (!id) return () => {};
	const say = (verb: 'view' | 'select', items: Item[]) =>
		report(`${verb}_${creative ? 'promotion' : verb === 'view' ? 'item_list' : 'item'}`, {
			recommendation_id: id,
			placement,
			...(creative ? { creative_id: creative.creative_id ?? creative.id } : { item_list_id: placement, items }),
		});
	const lines = answer.items.map((item, i): Item => ({ item_id: item.item_id, index: item.position ?? i + 1 }));

	const click = (event: Event) => {
		const index = [...element.children].findIndex((child) => child.contains(event.target as Node));
		const line = lines[index];
		if (line || (creative && !index)) say('select', line ? [line] : []);
	};
	element.addEventListener('click', click);

	let timer: ReturnType<typeof setTimeout> | undefined;
	const confirm = () => {
		// A second in a tab that nobody looks at is none.
		if (document.hidden) timer = setTimeout(confirm, SEEN_MS);
		else if (!seen.has(id)) {
			seen.add(id);
			say('view', lines);
		}
	};
	const observer = new IntersectionObserver(
		(entries) => {
			const { intersectionRect, boundingClientRect } = entries[entries.length - 1] as IntersectionObserverEntry;
			clearTimeout(timer);
			// A list taller than the window never shows half of itself; filling half of the window counts too.
			if (intersectionRect.height >= SEEN_RATIO * Math.min(boundingClientRect.height, innerHeight))
				timer = setTimeout(confirm, SEEN_MS);
		},
		{ threshold: [0.1, 0.2, 0.3, SEEN_RATIO] },
	);
	observer.observe(element);

	return () => {
		observer.disconnect();
		clearTimeout(timer);
		element.removeEventListener('click', click);
	};
}
