// Bundles src into dist, prints sizes, and fails above the budget. With --check, compares with what is committed.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const GOAL = 3 * 1024;
const BUDGET = 4.75 * 1024;
const SNIPPET_BUDGET = 600;

/** Properties that only our own files use: neither on the wire, nor stored, nor of the browser, nor of the public API. */
const INTERNAL =
	/^(takeAlong|unfinished|giveUp|givenUp|remember|settle|announce|open|close|leave|restore|retryAfter|bytes|survives|session|text|beacon|send|store|wallNow|later|dropped|limit|interval|refused|again|wait|log)$/;

const root = fileURLToPath(new URL('.', import.meta.url));
const dist = join(root, 'dist');
const check = process.argv.includes('--check');
const out = check ? mkdtempSync(join(tmpdir(), 'rapport-sdk-')) : dist;

function filesUnder(dir) {
	return readdirSync(dir, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) =>
			relative(dir, join(entry.parentPath ?? entry.path, entry.name))
				.split(sep)
				.join('/'),
		)
		.sort();
}

/** One hash over all sources: each file's path (as `src/…`), a NUL, its contents; in the order of the paths. */
function hashOfSources() {
	const hash = createHash('sha256');
	for (const file of filesUnder(join(root, 'src'))) {
		hash.update(`src/${file}\0`);
		hash.update(readFileSync(join(root, 'src', file)));
	}
	return hash.digest('hex');
}

async function buildInto(dir) {
	rmSync(dir, { recursive: true, force: true });
	const common = {
		bundle: true,
		minify: true,
		target: 'es2021',
		legalComments: 'none',
		absWorkingDir: root,
		mangleProps: INTERNAL,
		tsconfigRaw: '{}',
	};
	await build({ ...common, entryPoints: ['src/index.ts'], format: 'esm', outfile: join(dir, 'rapport.mjs') });
	await build({ ...common, entryPoints: ['src/script.ts'], format: 'iife', outfile: join(dir, 'rapport.js') });
	await build({ ...common, entryPoints: ['src/snippet.ts'], format: 'esm', outfile: join(dir, 'snippet.mjs') });
	const tsc = join(root, 'node_modules/typescript/bin/tsc');
	const args = [tsc, '-p', join(root, 'tsconfig.types.json'), '--outDir', join(dir, 'types')];
	execFileSync(process.execPath, args, { stdio: 'inherit' });
	writeFileSync(join(dir, 'sources.sha256'), `${hashOfSources()}\n`);
}

function checkSizes(dir) {
	for (const [file, budget] of [
		['rapport.mjs', BUDGET],
		['rapport.js', BUDGET],
		['snippet.mjs', SNIPPET_BUDGET],
	]) {
		const bytes = readFileSync(join(dir, file));
		const size = gzipSync(bytes, { level: 9 }).length;
		const note =
			size > budget
				? ` ABOVE THE BUDGET of ${budget}`
				: budget === BUDGET && size > GOAL
					? ` (goal ${GOAL}, budget ${budget})`
					: '';
		console.log(`${file.padEnd(12)} ${bytes.length} bytes, ${size} gzip${note}`);
		if (note.startsWith(' ABOVE')) process.exitCode = 1;
	}
}

function compare(dir) {
	const wanted = filesUnder(dir);
	const found = filesUnder(dist);
	const differing = [...new Set([...wanted, ...found])].filter(
		(file) =>
			!wanted.includes(file) ||
			!found.includes(file) ||
			!readFileSync(join(dir, file)).equals(readFileSync(join(dist, file))),
	);
	if (differing.length) {
		console.error(`dist is not what the sources give: ${differing.join(', ')}. Run \`npm run build\`.`);
		process.exitCode = 1;
	} else console.log(`dist is up to date (${found.length} files)`);
}

await buildInto(out);
checkSizes(out);
if (check) {
	compare(out);
	rmSync(out, { recursive: true });
}
