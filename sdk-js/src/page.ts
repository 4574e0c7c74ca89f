// The page's life: when it goes, when it comes back, and which pages a single-page site shows.

/** Calls `leave` when the page may be about to go, `back` when it is seen again; neither throws. */
export function onLeaveAndReturn(leave: () => void, back: () => void): void {
	// On phones a page that is put away often ends without any later event.
	document.addEventListener('visibilitychange', () => (document.hidden ? leave() : back()));
	addEventListener('pagehide', leave);
}

export interface PageView {
	page_location: string;
	page_referrer: string;
	page_title: string;
}

/** Returns what makes two addresses the same page: all but an anchor. `#/path` is a page of its own. */
export const pageOf = (href: string): string => href.replace(/#(?![/!]).*$/, '');

/** Calls `view` for this page and for every further one, whether loaded, pushed or gone back to. */
export function watchPages(view: (page: PageView) => void): void {
	let shown: string | undefined;
	let referrer = document.referrer;

	const look = () => {
		const page = pageOf(location.href);
		if (page === shown) return;
		view({ page_location: location.href, page_referrer: referrer, page_title: document.title });
		shown = page;
		referrer = location.href;
	};
	// Sites set the title after the address.
	const soon = () => setTimeout(look);

	for (const name of ['pushState', 'replaceState'] as const) {
		const original = history[name];
		history[name] = function (this: History, ...args) {
			original.apply(this, args);
			soon();
		};
	}
	addEventListener('popstate', soon);
	addEventListener('pageshow', (event) => {
		// Taken out of the back/forward cache: the same page, seen anew.
		if (event.persisted) shown = undefined;
		look();
	});
	look();
}
