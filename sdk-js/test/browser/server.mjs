// A site and a Rapport that remembers what it was sent, on one address each, so that requests cross origins.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const dist = new URL('../../dist/', import.meta.url);
const files = Object.fromEntries(
	['rapport.js', 'rapport.mjs', 'snippet.mjs'].map((name) => [`/${name}`, readFileSync(new URL(name, dist))]),
);

const listen = (handler) =>
	new Promise((resolve) => {
		const server = createServer(handler).listen(0, '127.0.0.1', () =>
			resolve({ server, origin: `http://127.0.0.1:${server.address().port}` }),
		);
	});

/** Starts both. `pages` maps paths to `{ html, csp? }`, given the origin of Rapport; `rapport.requests` is what arrived. */
export async function start(pages) {
	const requests = [];
	const state = { failing: 0 };
	const rapport = await listen(async (req, res) => {
		const url = new URL(req.url, 'http://x');
		if (files[url.pathname]) {
			res.writeHead(200, { 'Content-Type': 'text/javascript', 'Access-Control-Allow-Origin': '*' });
			return res.end(files[url.pathname]);
		}
		let text = '';
		for await (const chunk of req) text += chunk;
		const body = text ? JSON.parse(text) : undefined;
		const { origin = '', cookie, 'content-type': type } = req.headers;
		requests.push({ method: req.method, path: url.pathname, query: url.searchParams, type, cookie, body });
		res.setHeader('Access-Control-Allow-Origin', origin);
		res.setHeader('Access-Control-Allow-Credentials', 'true');
		res.setHeader('Access-Control-Expose-Headers', 'Retry-After');
		if (state.failing > 0) {
			state.failing--;
			res.writeHead(503, { 'Retry-After': '1' });
			return res.end();
		}
		const results = Object.fromEntries((body?.events ?? []).map(({ id }) => [id, { result: 'ok' }]));
		if (url.pathname === '/v1/events') {
			res.setHeader('Set-Cookie', 'rapport=visitor; HttpOnly; Path=/');
			return res.end(JSON.stringify({ results, errors: [] }));
		}
		const items = [1, 2, 3].map((n) => ({ item_id: `sku-${n}`, position: n, name: `Shoe ${n}` }));
		const answer = (id) => ({ placement: id, recommendation_id: `rec-${id}`, served_by: 'popular', items });
		if (url.pathname === '/v1/decide') {
			const placements = Object.fromEntries(body.placements.map(({ id }) => [id, answer(id)]));
			return setTimeout(() => res.end(JSON.stringify({ request_id: 'q', placements, events: { results } })), 50);
		}
		return res.end(JSON.stringify(answer(decodeURIComponent(url.pathname.split('/').pop()))));
	});
	const site = await listen((req, res) => {
		const page = pages[new URL(req.url, 'http://x').pathname];
		if (!page) return res.writeHead(404).end();
		const { html, csp } = page(rapport.origin);
		if (csp) res.setHeader('Content-Security-Policy', csp);
		res.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
		return res.end(`<!doctype html><html lang="en"><title>Shop</title>${html}</html>`);
	});
	return {
		site: site.origin,
		rapport: rapport.origin,
		requests,
		state,
		stop: () => {
			for (const { server } of [site, rapport]) {
				server.close();
				server.closeAllConnections();
			}
		},
	};
}
