// The demonstration as a person meets it: the real binary, a real browser, at the width of a desk and of a phone.
//
// RAPPORT_BIN names the binary (default: the release build). With SHOTS=DIR every page is also kept as a picture.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const binary = resolve(process.env.RAPPORT_BIN ?? '../target/release/rapport');
for (const [path, what] of [
	[executablePath, 'Chromium (name it in CHROMIUM)'],
	[binary, 'the rapport binary (name it in RAPPORT_BIN)'],
]) {
	if (!existsSync(path)) {
		console.error(`The demo test needs ${what}: none at ${path}.`);
		process.exit(1);
	}
}

const dir = mkdtempSync(join(tmpdir(), 'rapport-demo-'));
const demo = spawn(binary, ['--data-dir', dir, 'demo'], {
	env: { ...process.env, RAPPORT_HTTP__BIND: '127.0.0.1:18180', RAPPORT_HTTP__ADMIN_BIND: '127.0.0.1:18181' },
	stdio: ['ignore', 'pipe', 'inherit'],
});
const shop = await new Promise((found, failed) => {
	let out = '';
	demo.stdout.on('data', (text) => {
		out += text;
		const address = out.match(/The shop is open:\s+(http:\S+)/);
		if (address && out.includes('Ready after')) found(address[1]);
	});
	demo.on('exit', (code) => failed(new Error(`the demo ended with ${code}:\n${out}`)));
	setTimeout(() => failed(new Error(`the demo was not ready in time:\n${out}`)), 120_000).unref();
});

const browser = await chromium.launch({
	executablePath,
	args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const shelves = async (page, id) => {
	await page.waitForFunction(
		(id) => document.querySelectorAll(`[aria-labelledby="shelf-${id}"] a[href*="/demo/product/"]`).length > 0,
		id,
		{
			timeout: 15_000,
		},
	);
	return page.$$eval(`[aria-labelledby="shelf-${id}"] a[href*="/demo/product/"]`, (links) =>
		links.map((a) => a.getAttribute('href')),
	);
};
const shot = async (page, name) => {
	if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: true });
};

try {
	for (const [width, height] of [
		[1280, 900],
		[390, 844],
	]) {
		const context = await browser.newContext({ viewport: { width, height } });
		const page = await context.newPage();
		const wrong = [];
		page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
		page.on('pageerror', (error) => wrong.push(String(error)));

		await page.goto(shop);
		await page.waitForSelector('text=Accept all');
		await shot(page, `${width}-consent`);
		assert.equal((await context.cookies()).length, 0, 'nothing is stored before consent');
		await page.click('text=Accept all');
		assert.ok((await shelves(page, 'trending')).length > 0);

		const [first] = await shelves(page, 'trending');
		await page.click(`[aria-labelledby="shelf-trending"] a[href="${first}"]`);
		const bought = await shelves(page, 'also-bought');
		assert.ok(bought.length >= 3, `${width}: also-bought shows ${bought.length}`);
		assert.ok(!bought.includes(first), 'an item is not recommended beside itself');
		await shot(page, `${width}-product`);

		await page.click(`[aria-labelledby="shelf-also-bought"] a[href="${bought[0]}"]`);
		await page.waitForURL(`**${bought[0]}`);
		await shelves(page, 'also-viewed');
		const add = page.getByRole('button', { name: /add to basket/i }).first();
		if (await add.isEnabled()) await add.click();
		await page.goto(`${shop}basket`);
		await shelves(page, 'bought-together');
		await shot(page, `${width}-basket`);

		await page.goto(shop);
		const seen = await shelves(page, 'recently-viewed');
		assert.ok(seen.includes(bought[0]) && seen.includes(first), `${width}: recently viewed shows ${seen}`);
		assert.ok((await shelves(page, 'for-you')).length > 0);
		await shot(page, `${width}-home`);
		const cookie = (await context.cookies()).find((c) => c.name.startsWith('rapport_'));
		assert.ok(cookie?.httpOnly, 'the visitor cookie is there, and not for scripts');

		const overflow = await page.evaluate(
			() => document.documentElement.scrollWidth - document.documentElement.clientWidth,
		);
		assert.ok(overflow <= 0, `${width}: ${overflow} px stick out sideways`);
		assert.deepEqual(wrong, [], `${width}: no errors in the console`);
		await context.close();
		console.log(`ok  the shop at ${width} px`);
	}

	// The page changes while one watches.
	const live = async () => (await fetch(`${shop}live.json`)).json();
	const before = await live();
	await new Promise((wait) => setTimeout(wait, 3_000));
	const after = await live();
	assert.ok(after.events_total > before.events_total, 'events keep flowing');
	assert.ok(after.build && after.decision_p50_us > 0);
	const metrics = await (await fetch('http://127.0.0.1:18181/metrics')).text();
	assert.match(metrics, /^rapport_unavailable_shown_total 0$/m, 'nothing was shown that cannot be bought');
	console.log('ok  the panel moves, and nothing sold out was shown');
} finally {
	await browser.close();
	demo.removeAllListeners('exit');
	demo.kill('SIGTERM');
	await new Promise((ended) => demo.on('exit', ended));
	rmSync(dir, { recursive: true, force: true });
}
