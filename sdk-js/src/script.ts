// The script tag: the global `rapport`, options from data attributes, and the calls the inline loader has kept.

import { decide, flush, init, observe, recommend, render, setConsent, track } from './index.js';
import { optionsOfScript } from './options.js';

// One by one, as a namespace object costs a helper in the bundle.
const rapport = { init, track, setConsent, flush, decide, recommend, render, observe };

type Call = [name: keyof typeof rapport, args: Iterable<unknown>, resolve: (value: unknown) => void];

const page = window as unknown as { rapport?: { q?: Call[]; init?: unknown } };
const stub = page.rapport;

// The tag twice on a page is harmless.
if (!stub?.init || stub.q) {
	page.rapport = rapport;
	const script = document.currentScript as HTMLScriptElement | null;
	try {
		const options = script && optionsOfScript(script.dataset, script.src);
		if (options) init(options);
		for (const [name, args, resolve] of stub?.q ?? [])
			resolve((rapport[name] as (...args: unknown[]) => unknown)(...args));
	} catch (error) {
		console.warn('[rapport]', error);
	}
}
