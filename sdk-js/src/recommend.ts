// Decisions: asked for with a deadline, never an exception, and a report of what was seen and clicked.

import type { Item, Params } from './events.js';
import type { Reply } from './transport.js';

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

/** How many different questions keep their last good answer. */
const KEEP = 20;

const emptyPlacement = (placement: string): PlacementAnswer => ({ placement, items: [], served_by: FALLBACK });

/** Returns a decision with every placement asked for, also where there is no answer. */
export function readDecision(body: unknown, ids: string[]): Decision {
	const { placements, ...rest } = (body ?? {}) as Partial<Decision>;
	const decision: Decision = { ...rest, placements: {} };
	for (const id of ids) {
		const answer = placements?.[id];
		decision.placements[id] = answer
			? { ...answer, placement: id, items: Array.isArray(answer.items) ? answer.items : [] }
			: emptyPlacement(id);
	}
	return decision;
}

/** Returns a decision as it is when the server does not answer: the last good one, or nothing to show. */
export function fallback(ids: string[], last?: Decision): Decision {
	const decision: Decision = { ...last, placements: {}, served_by: FALLBACK };
	for (const id of ids)
		decision.placements[id] = { ...(last?.placements[id] ?? emptyPlacement(id)), served_by: FALLBACK };
	return decision;
}

export interface Asker {
	/** Returns the decision that `reply` carries, or the fallback; remembers a good one under `question`. */
	ask(ids: string[], question: string, reply: Promise<Reply>, read?: (body: unknown) => unknown): Promise<Decision>;
	/** Forgets all answers. */
	forget(): void;
}

export function createAsker(log: (...what: unknown[]) => void): Asker {
	const lastGood = new Map<string, Decision>();
	return {
		async ask(ids, question, reply, read = (body) => body) {
			try {
				const { status, body } = await reply;
				if (status !== 200 || !body) throw new Error(`decision: HTTP ${status}`);
				const decision = readDecision(read(body), ids);
				lastGood.delete(question);
				lastGood.set(question, decision);
				if (lastGood.size > KEEP) lastGood.delete(lastGood.keys().next().value as string);
				return decision;
			} catch (error) {
				log('fallback', error);
				return fallback(ids, lastGood.get(question));
			}
		},
		forget: () => lastGood.clear(),
	};
}

/** What is tracked about an answer on screen. */
export type Report = (
	type: 'view_item_list' | 'select_item' | 'view_promotion' | 'select_promotion',
	params: Params,
) => void;

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
	const what = (items: Item[]) =>
		creative
			? { recommendation_id: id, placement, creative_id: creative.creative_id ?? creative.id }
			: { recommendation_id: id, placement, item_list_id: placement, items };
	const lines = answer.items.map((item, i): Item => ({ item_id: item.item_id, index: item.position ?? i + 1 }));

	const click = (event: Event) => {
		// The middle button opens a tab; the right one opens a menu.
		if ((event as MouseEvent).button > 1) return;
		const index = Array.from(element.children).findIndex((child) => child.contains(event.target as Node));
		const line = lines[index];
		if (index < 0 || !(line || creative)) return;
		report(creative ? 'select_promotion' : 'select_item', what(line ? [line] : []));
	};
	const clicks = ['click', 'auxclick'];
	for (const name of clicks) element.addEventListener(name, click);

	let timer: ReturnType<typeof setTimeout> | undefined;
	const confirm = () => {
		// A second in a tab that nobody looks at is none.
		if (document.visibilityState === 'hidden') {
			timer = setTimeout(confirm, SEEN_MS);
			return;
		}
		observer.disconnect();
		if (seen.has(id)) return;
		seen.add(id);
		report(creative ? 'view_promotion' : 'view_item_list', what(lines));
	};
	const observer = new IntersectionObserver(
		(entries) => {
			const entry = entries[entries.length - 1];
			if (!entry) return;
			// A list taller than the window never shows half of itself; filling half of the window counts too.
			const { intersectionRatio, intersectionRect, rootBounds } = entry;
			const enough =
				intersectionRatio >= SEEN_RATIO ||
				(entry.isIntersecting &&
					intersectionRect.height >= (rootBounds?.height ?? Number.POSITIVE_INFINITY) * SEEN_RATIO);
			if (!enough) {
				clearTimeout(timer);
				timer = undefined;
			} else timer ??= setTimeout(confirm, SEEN_MS);
		},
		{ threshold: [0.05, 0.1, 0.2, 0.3, 0.4, SEEN_RATIO] },
	);
	if ((lines.length || creative) && !seen.has(id)) observer.observe(element);

	return () => {
		observer.disconnect();
		clearTimeout(timer);
		for (const name of clicks) element.removeEventListener(name, click);
	};
}
