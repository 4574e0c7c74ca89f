/** Calls `leave` when the page may be about to go, `back` when it is seen again; neither throws. */
export declare function onLeaveAndReturn(leave: () => void, back: () => void): void;
export interface PageView {
    page_location: string;
    page_referrer: string;
    page_title: string;
}
/** Returns what makes two addresses the same page: all but an anchor. `#/path` is a page of its own. */
export declare const pageOf: (href: string) => string;
/** Calls `view` for this page and for every further one, whether loaded, pushed or gone back to. */
export declare function watchPages(view: (page: PageView) => void): void;
