import type { Options } from './options.js';
/** Options that can be written into a page. */
export type SnippetOptions = Omit<Options, 'onDropped'> & {
    /** Where `rapport.js` is. */
    src: string;
};
/** Returns the JavaScript to be put between `<script>` and `</script>`, early in the page. */
export declare function snippet({ src, ...options }: SnippetOptions): string;
