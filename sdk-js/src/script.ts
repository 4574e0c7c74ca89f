// The script tag: the global `rapport`, options from data attributes, and the calls the inline loader has kept.

import * as rapport from './index.js';
import { optionsOfScript } from './options.js';

type Call = [name: string, args: ArrayLike<unknown>, resolve?: (value: unknown) => void];

const page = window as unknown as { rapport?: { q?: Call[]; init?: unknown } };
const stub = page.rapport;

// The tag twice on a page is harmless.
if (!stub?.init || stub.q) {
	page.rapport = rapport;
	const script = document.currentScript as HTMLScriptElement | null;
	try {
		const options = script && optionsOfScript(script.dataset, script.src);
		if (options) rapport.init(options);
		for (const [name, args, resolve] of stub?.q ?? []) {
			const result = (rapport as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(
				...Array.from(args),
			);
			resolve?.(result);
		}
	} catch (error) {
		console.warn('[rapport]', error);
	}
}
