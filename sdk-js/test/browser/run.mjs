// The built files in a real browser: fetch, sendBeacon, storage, rendering, a strict CSP.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { snippet } from '../../dist/snippet.mjs';
import { start } from './server.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
if (!existsSync(executablePath)) {
	console.error(`The browser tests need Chromium: none at ${executablePath}. Install it, or name it in CHROMIUM.`);
	process.exit(1);
}

const CONSENT = '{"analytics":true,"personalization":true}';
const tag = (rapport, more = '') =>
	`<script src="${rapport}/rapport.js" data-key="pk_test" data-flush-interval="200" ${more}></script>`;
const LIST = '<h1>Shop</h1><div id="list"><p>Bestsellers</p></div><p id="below">Below</p>';

const server = await start({
	'/plain': (rapport) => ({ html: tag(rapport) + LIST }),
	'/consented': (rapport) => ({ html: tag(rapport, `data-consent='${CONSENT}'`) + LIST }),
	'/twice': (rapport) => ({ html: tag(rapport, `data-consent='${CONSENT}' data-auto-page-view`).repeat(2) }),
	'/strict': (rapport) => ({
		html: `${tag(rapport, `data-consent='${CONSENT}' data-auto-page-view`)}${LIST}<script src="${rapport}/rapport.mjs" type="module"></script>`,
		csp: `default-src 'none'; script-src ${rapport}; connect-src ${rapport}; style-src 'none'; require-trusted-types-for 'script'`,
	}),
	'/snippet': (rapport) => ({
		html: `<script>${snippet({ src: `${rapport}/rapport.js`, key: 'pk_test', endpoint: rapport, flushInterval: 200 })}
			rapport.setConsent(${CONSENT}); rapport.track('view_cart');
			rapport.decide({ placements: [{ id: 'trending' }] }).then((d) => { window.decision = d; });</script>`,
	}),
	'/blocked': () => ({
		html: `<script>${snippet({ src: 'http://127.0.0.1:9/rapport.js', key: 'pk_test' })}
			rapport.decide({ placements: [] }).then((d) => { window.decision = d; });</script>`,
	}),
	'/module': (rapport) => ({
		html: `<script type="module">import * as rapport from '${rapport}/rapport.mjs';
			rapport.track('page_view');
			rapport.init({ key: 'pk_test', endpoint: '${rapport}', flushInterval: 200 });
			rapport.setConsent(${CONSENT}); rapport.track('view_cart'); window.api = Object.keys(rapport).sort();</script>`,
	}),
	'/next': () => ({ html: '<p>Next</p>' }),
});

const browser = await chromium.launch({
	executablePath,
	args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

/** Waits until `found` returns something. */
async function until(found, what) {
	for (const end = Date.now() + 5000; Date.now() < end; ) {
		const result = await found();
		if (result) return result;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	return assert.fail(`waited in vain for ${what}`);
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const events = () => server.requests.flatMap(({ body }) => body?.events ?? []);
const types = () => events().map(({ type }) => type);
const eventOf = (type) => until(() => events().find((event) => event.type === type), type);
const stored = (page) => page.evaluate(() => ({ ...localStorage, ...sessionStorage, cookie: document.cookie }));
const render = (page) =>
	page.evaluate(async () => {
		const list = document.querySelector('#list');
		const rendering = rapport.render('trending', list, (item) => {
			const link = document.createElement('a');
			link.href = '/next';
			link.textContent = item.name;
			return link;
		});
		window.meanwhile = list.textContent;
		return rendering;
	});

const tests = {
	async 'a batch by fetch, without a preflight, with the cookie of the server'(page) {
		await page.goto(`${server.site}/consented`);
		await page.evaluate(() => {
			rapport.track('view_item', { items: [{ item_id: 'sku-1', price: 1.95 }], currency: 'GBP' });
			rapport.track('add_to_cart', { items: [{ item_id: 'sku-1' }] });
		});
		await eventOf('add_to_cart');
		const [request] = server.requests;
		assert.deepEqual([request.method, request.path, request.type], ['POST', '/v1/events', 'text/plain;charset=UTF-8']);
		assert.equal(request.body.key, 'pk_test');
		assert.deepEqual(
			events().map(({ seq }) => seq),
			[1, 2],
		);
		assert.deepEqual(types(), ['view_item', 'add_to_cart']);
		assert.ok(request.body.events.every(({ age_ms }) => age_ms >= 150 && age_ms < 3000));
		await page.evaluate(() => rapport.track('view_cart'));
		await eventOf('view_cart');
		assert.equal(server.requests.at(-1).cookie, 'rapport=visitor');
		assert.equal(server.requests.at(-1).body.events[0].seq, 3);
		assert.equal(server.requests.at(-1).body.session_id, request.body.session_id);
		assert.ok(server.requests.every(({ method }) => method === 'POST'));
	},

	async 'sendBeacon when the page goes'(page) {
		await page.goto(`${server.site}/consented`);
		await page.evaluate(() => rapport.track('select_item', { items: [{ item_id: 'sku-1' }] }));
		await page.goto(`${server.site}/next`);
		await eventOf('select_item');
		await pause(300);
		assert.deepEqual(types(), ['select_item']);
	},

	async 'what could not be sent is sent by the next page'(page) {
		await page.goto(`${server.site}/consented`);
		server.state.failing = 1;
		await page.evaluate(() => rapport.track('begin_checkout'));
		await until(() => server.requests.length, 'the refused batch');
		await pause(50);
		await page.goto(`${server.site}/next`);
		assert.match(JSON.stringify(await stored(page)), /begin_checkout/);
		await page.goto(`${server.site}/consented`);
		await until(() => server.requests.length > 1, 'the second attempt');
		assert.deepEqual(new Set(events().map(({ id }) => id)).size, 1);
		await pause(100);
		assert.doesNotMatch(JSON.stringify(await stored(page)), /begin_checkout/);
	},

	async 'nothing is stored or sent before consent; a withdrawal removes it'(page) {
		await page.goto(`${server.site}/plain`);
		await page.evaluate(() => rapport.track('view_cart'));
		await pause(500);
		assert.deepEqual(await stored(page), { cookie: '' });
		assert.deepEqual(server.requests, []);
		await page.evaluate(() => rapport.setConsent({ analytics_storage: 'granted' }));
		assert.deepEqual(Object.keys(await stored(page)), ['rapport:pk_test:session', 'cookie']);
		await eventOf('view_cart');
		await page.evaluate(() => rapport.setConsent({ analytics_storage: 'denied' }));
		assert.deepEqual(await stored(page), { cookie: '' });
		const { body } = await until(() => server.requests[1], 'the withdrawal');
		assert.deepEqual([body.events, body.consent.analytics], [[], false]);
	},

	async 'decide and render: no shift, seen once, clicks counted'(page) {
		await page.goto(`${server.site}/consented`);
		await page.evaluate(() => {
			document.querySelector('#list').style.minHeight = '80px';
			window.top0 = document.querySelector('#below').offsetTop;
		});
		await page.evaluate(() => rapport.track('view_item', { items: [{ item_id: 'sku-9' }] }));
		const answer = await render(page);
		assert.equal(await page.evaluate(() => window.meanwhile), 'Bestsellers');
		assert.equal(answer.recommendation_id, 'rec-trending');
		assert.equal(server.requests[0].path, '/v1/decide');
		assert.deepEqual(types(), ['view_item']);
		assert.equal(await page.textContent('#list'), 'Shoe 1Shoe 2Shoe 3');
		assert.equal(await page.evaluate(() => document.querySelector('#below').offsetTop - window.top0), 0);
		const seen = await eventOf('view_item_list');
		assert.equal(seen.recommendation_id, 'rec-trending');
		assert.deepEqual(seen.items.at(-1), { item_id: 'sku-3', index: 3 });
		await render(page);
		await pause(1500);
		assert.equal(types().filter((type) => type === 'view_item_list').length, 1);
		await page.click('#list a:nth-child(2)');
		const click = await eventOf('select_item');
		assert.deepEqual([click.items, click.recommendation_id], [[{ item_id: 'sku-2', index: 2 }], 'rec-trending']);
		assert.equal(types().filter((type) => type === 'select_item').length, 1);
	},

	async 'what is below the fold is not seen'(page) {
		await page.goto(`${server.site}/consented`);
		await page.evaluate(() => {
			document.querySelector('#list').style.marginTop = '3000px';
		});
		await render(page);
		await pause(1500);
		assert.deepEqual(types(), []);
		await page.evaluate(() => document.querySelector('#list').scrollIntoView());
		await eventOf('view_item_list');
	},

	async 'no Rapport: the page keeps what it has, within the deadline'(page) {
		await page.goto(`${server.site}/consented`);
		await page.route(`${server.rapport}/v1/**`, () => {});
		const began = Date.now();
		const answer = await render(page);
		assert.equal(answer.served_by, 'sdk_fallback');
		assert.ok(Date.now() - began < 2000);
		assert.equal(await page.textContent('#list'), 'Bestsellers');
		assert.equal((await page.evaluate(() => rapport.recommend('trending'))).served_by, 'sdk_fallback');
	},

	async 'a strict CSP, with Trusted Types'(page) {
		await page.goto(`${server.site}/strict`);
		await eventOf('page_view');
		await render(page);
		assert.equal(await page.textContent('#list'), 'Shoe 1Shoe 2Shoe 3');
		await eventOf('view_item_list');
	},

	async 'page views of a single-page site, and the tag twice'(page) {
		await page.goto(`${server.site}/twice`);
		await page.evaluate(() => {
			history.replaceState({}, '', location.href);
			history.pushState({}, '', '/twice?page=2');
			document.title = 'Page 2';
		});
		await until(() => events().length > 1, 'the second page');
		await page.evaluate(() => history.pushState({}, '', '#anchor'));
		await page.goBack();
		await page.goBack();
		await until(() => events().length > 2, 'the first page again');
		await pause(400);
		const views = events().map(({ page_location, page_title }) => [new URL(page_location).search, page_title]);
		assert.deepEqual(views, [
			['', 'Shop'],
			['?page=2', 'Page 2'],
			['', 'Page 2'],
		]);
		assert.equal(events()[1].page_referrer, `${server.site}/twice`);
	},

	async 'the snippet keeps calls until the script is there'(page) {
		await page.goto(`${server.site}/snippet`);
		await eventOf('view_cart');
		const decision = await until(() => page.evaluate(() => window.decision), 'the decision');
		assert.equal(decision.placements.trending.items.length, 3);
	},

	async 'the snippet answers where the script is blocked'(page) {
		await page.goto(`${server.site}/blocked`);
		const decision = await until(() => page.evaluate(() => window.decision), 'the fallback');
		assert.equal(decision.served_by, 'sdk_fallback');
	},

	async 'the module'(page) {
		await page.goto(`${server.site}/module`);
		await eventOf('view_cart');
		assert.deepEqual(types(), ['view_cart']);
		const api = ['decide', 'flush', 'init', 'observe', 'recommend', 'render', 'setConsent', 'track'];
		assert.deepEqual(await page.evaluate(() => window.api), api);
	},
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
	if (process.argv[2] && !name.includes(process.argv[2])) continue;
	const context = await browser.newContext();
	const page = await context.newPage();
	const errors = [];
	page.on('pageerror', (error) => errors.push(error.message));
	page.on('console', (message) => {
		if (/Content Security Policy|TrustedHTML|\[rapport\]/.test(message.text())) errors.push(message.text());
	});
	server.requests.length = 0;
	server.state.failing = 0;
	try {
		await test(page);
		assert.deepEqual(errors, [], 'errors in the page');
		console.log(`ok    ${name}`);
	} catch (error) {
		failed++;
		console.error(`FAIL  ${name}\n${error.stack}\n`);
	}
	await context.close();
}
await browser.close();
server.stop();
console.log(`${Object.keys(tests).length} browser tests, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
