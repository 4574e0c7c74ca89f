// The inline loader: calls work from the first line of the page and are kept until the script is there.

import type { Options } from './options.js';

/** Options that can be written into a page. */
export type SnippetOptions = Omit<Options, 'onDropped'> & {
	/** Where `rapport.js` is. */
	src: string;
};

/** How long a question waits for the script before it is answered with nothing to show. */
const GIVE_UP_MS = 2_000;

const LOADER = `!function(w,d,u,o,r){if(w.rapport)return;r=w.rapport={q:[]};"init track setConsent flush decide recommend render observe".split(" ").forEach(function(m){r[m]=function(){var a=arguments;return new Promise(function(k){r.q.push([m,a,k]);setTimeout(k,${GIVE_UP_MS},{placements:{},items:[],served_by:"sdk_fallback"})})}});r.init(o);o=d.createElement("script");o.async=1;o.src=u;d.head.appendChild(o)}`;

/** Returns the JavaScript to be put between `<script>` and `</script>`, early in the page. */
export function snippet({ src, ...options }: SnippetOptions): string {
	// No text of ours may end the script element it stands in.
	const write = (value: unknown) => JSON.stringify(value).replace(/</g, '\\u003c');
	return `${LOADER}(window,document,${write(src)},${write(options)})`;
}
