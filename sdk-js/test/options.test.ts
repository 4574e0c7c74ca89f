import { runInNewContext } from 'node:vm';
import { describe, expect, it, test } from 'vitest';
import { optionsOfScript } from '../src/options.js';
import { pageOf } from '../src/page.js';
import { snippet } from '../src/snippet.js';

const SRC = 'https://r.example/sdk/0.1.0/rapport.js';

test.each([
	[{}, undefined],
	[{ key: 'pk_1' }, { key: 'pk_1', endpoint: 'https://r.example' }],
	[
		{ key: 'pk_1', endpoint: 'https://e', visitorId: '123', autoPageView: '', debug: 'false', flushInterval: '500' },
		{ key: 'pk_1', endpoint: 'https://e', visitorId: '123', autoPageView: true, debug: false, flushInterval: 500 },
	],
	[
		{ key: 'pk_1', consent: '{"analytics":true}' },
		{ key: 'pk_1', endpoint: 'https://r.example', consent: { analytics: true } },
	],
])('data attributes %j', (data, options) => {
	expect(optionsOfScript(data as Record<string, string>, SRC)).toEqual(options);
});

test.each([
	['https://s/a?b=1#top', 'https://s/a?b=1'],
	['https://s/#/cart', 'https://s/#/cart'],
	['https://s/#!cart', 'https://s/#!cart'],
	['https://s/a', 'https://s/a'],
])('the page of %s', (href, page) => {
	expect(pageOf(href)).toBe(page);
});

describe('the snippet', () => {
	it('keeps calls in order and loads the script', () => {
		const script: Record<string, unknown> = {};
		const head: unknown[] = [];
		// biome-ignore lint/suspicious/noExplicitAny: a window of our making
		const window: any = {};
		const document = { createElement: () => script, head: { appendChild: (s: unknown) => head.push(s) } };
		const context = { window, document, setTimeout: () => {}, Promise };
		runInNewContext(snippet({ src: SRC, key: 'pk_1' }), context);
		window.rapport.track('page_view');
		runInNewContext(snippet({ src: SRC, key: 'pk_1' }), context);
		expect(script).toMatchObject({ src: SRC });
		expect(head).toHaveLength(1);
		expect(window.rapport.q.map(([name, args]: [string, Iterable<unknown>]) => [name, ...args])).toEqual([
			['init', { key: 'pk_1' }],
			['track', 'page_view'],
		]);
	});

	it('cannot be ended by what is written into it', () => {
		expect(snippet({ src: SRC, key: '</script><script>' })).not.toContain('</script>');
	});
});
