import { describe, expect, it, test } from 'vitest';
import { pauseMs } from '../src/queue.js';
import { entry, ok, queueWith } from './parts.js';

const many = (n: number, from = 0) => Array.from({ length: n }, (_, i) => entry(`e${from + i}`));

describe('when it sends', () => {
	it('waits for company, then sends what there is', async () => {
		const { queue, time, sent } = queueWith(ok);
		queue.open();
		queue.add([entry('a')]);
		await time.advance(1999);
		expect(sent).toEqual([]);
		queue.add([entry('b')]);
		await time.advance(1);
		expect(sent).toEqual([{ at: 2000, ids: ['a', 'b'], keepalive: true }]);
	});

	it('does not wait with twenty', async () => {
		const { queue, time, sent } = queueWith(ok);
		queue.open();
		queue.add(many(19));
		await time.advance(100);
		expect(sent).toHaveLength(0);
		queue.add(many(1, 19));
		await time.advance(0);
		expect(sent.map((s) => [s.at, s.ids.length])).toEqual([[100, 20]]);
	});

	it('sends nothing before it is open', async () => {
		const { queue, time, sent } = queueWith(ok);
		queue.add(many(50));
		queue.leave();
		await queue.flush();
		await time.advance(100_000);
		expect(sent).toEqual([]);
	});

	it('sends one batch after the other', async () => {
		let answer = () => {};
		const { queue, time, sent } = queueWith((batch) => new Promise((r) => (answer = () => r(ok(batch)))));
		queue.open();
		queue.add(many(150));
		await time.advance(5000);
		expect(sent.map((s) => s.ids.length)).toEqual([100]);
		answer();
		await time.advance(0);
		expect(sent.map((s) => s.ids.length)).toEqual([100, 50]);
	});
});

describe('how much at once', () => {
	test.each([
		['100 events', many(250), [100, 100, 50]],
		['60 KiB', Array.from({ length: 20 }, (_, i) => entry(`b${i}`, 0, undefined, 7000)), [8, 8, 4]],
		['one session', [entry('a', 0, 's1'), entry('b', 0, 's1'), entry('c', 0, 's2')], [2, 1]],
	])('a batch holds at most %s', async (_, entries, sizes) => {
		const { queue, sent } = queueWith(ok);
		queue.open();
		queue.add(entries);
		await queue.flush();
		expect(sent.map((s) => s.ids.length)).toEqual(sizes);
	});

	it('drops the oldest when too many wait', () => {
		const { queue, dropped } = queueWith(ok, 3);
		queue.add(many(5));
		expect(dropped).toEqual([
			['overflow', 'e0'],
			['overflow', 'e1'],
		]);
		expect(queue.unfinished().map((e) => e.id)).toEqual(['e2', 'e3', 'e4']);
	});

	it('drops what the server could no longer recognise as a copy', async () => {
		const { queue, time, sent, dropped } = queueWith(ok);
		queue.add([entry('old', 0), entry('young', 20 * 3600_000)]);
		await time.advance(25 * 3600_000);
		queue.open();
		await queue.flush();
		expect(dropped).toEqual([['expired', 'old']]);
		expect(sent.map((s) => s.ids)).toEqual([['young']]);
	});
});

describe('what comes back', () => {
	it('finishes ok, duplicate and drop; sends retry and the unmentioned again', async () => {
		const { queue, time, sent, dropped } = queueWith((batch, n) =>
			n > 1
				? ok(batch)
				: {
						results: {
							a: { result: 'ok' },
							b: { result: 'duplicate' },
							c: { result: 'drop', code: 'bot' },
							d: { result: 'retry', code: 'in_flight' },
						},
					},
		);
		queue.open();
		queue.add(['a', 'b', 'c', 'd', 'e'].map((id) => entry(id)));
		await time.advance(2000);
		expect(dropped).toEqual([['rejected', 'c', 'bot']]);
		expect(queue.unfinished().map((e) => e.id)).toEqual(['d', 'e']);
		await time.advance(2000);
		expect(sent.map((s) => s.ids)).toEqual([
			['a', 'b', 'c', 'd', 'e'],
			['d', 'e'],
		]);
		expect(queue.unfinished()).toEqual([]);
	});

	it('gives up what is refused as a whole', async () => {
		const { queue, time, dropped } = queueWith(() => ({ refused: 'unknown_key' }));
		queue.open();
		queue.add([entry('a')]);
		await time.advance(2000);
		expect(dropped).toEqual([['rejected', 'a', 'unknown_key']]);
		expect(queue.unfinished()).toEqual([]);
	});

	it('doubles the pause with each failure, and starts anew after a success', async () => {
		const { queue, time, sent } = queueWith((batch, n) => {
			if (n < 5) throw new Error('offline');
			return ok(batch);
		});
		queue.open();
		queue.add([entry('a')]);
		await time.advance(60_000);
		expect(sent.map((s) => s.at)).toEqual([2000, 4000, 6500, 11_500, 21_500]);
		expect(sent.map((s) => s.keepalive)).toEqual([true, false, false, false, false]);
	});

	it('is not hurried by a flush during a pause', async () => {
		const { queue, time, sent } = queueWith(() => ({ again: true, wait: 30_000 }));
		queue.open();
		queue.add([entry('a')]);
		await time.advance(2000);
		await queue.flush();
		queue.add(many(30));
		await time.advance(29_000);
		expect(sent).toHaveLength(1);
		expect(queue.takeAlong()).toEqual([]);
		await time.advance(8500);
		expect(sent).toHaveLength(2);
	});

	test.each([
		[1, 0, 0, 1000],
		[1, 0, 1, 1250],
		[4, 0, 0, 8000],
		[40, 0, 0, 60_000],
		[1, 30_000, 0, 30_000],
		[1, 30_000, 1, 37_500],
		[40, 30_000, 0, 60_000],
	])('pauses: failure %i, asked for %i, chance %d: %i ms', (failures, wait, random, ms) => {
		expect(pauseMs(failures, wait, random)).toBe(ms);
	});
});

describe('when the page goes', () => {
	it('hands over what waits; what was taken is finished', () => {
		const { queue, beacons } = queueWith(ok);
		queue.open();
		queue.add(many(120));
		queue.leave();
		expect(beacons.map((b) => b.length)).toEqual([100, 20]);
		expect(queue.unfinished()).toEqual([]);
	});

	it('keeps what the browser does not take', () => {
		const { queue, taking } = queueWith(ok);
		taking.beacons = false;
		queue.open();
		queue.add(many(3));
		queue.leave();
		expect(queue.unfinished()).toHaveLength(3);
	});

	it('hands over again what would die with the page, but not what survives it', async () => {
		const { queue, beacons } = queueWith(() => new Promise(() => {}));
		queue.open();
		queue.add(many(2));
		queue.flush();
		queue.add([entry('along')]);
		const along = queue.takeAlong();
		queue.leave();
		expect(beacons).toEqual([['along']]);
		queue.settle(along, {});
		expect(queue.unfinished().map((e) => e.id)).toEqual(['e0', 'e1']);
	});

	it('does not beacon while the server has asked for a pause', async () => {
		const { queue, time, beacons } = queueWith(() => ({ again: true, wait: 30_000 }));
		queue.open();
		queue.add([entry('a')]);
		await time.advance(2000);
		queue.leave();
		expect(beacons).toEqual([]);
		expect(queue.unfinished()).toHaveLength(1);
	});
});

describe('consent alone', () => {
	it('is sent without events, again until it arrives', async () => {
		const { queue, time, sent } = queueWith((batch, n) => (n === 1 ? { again: true } : ok(batch)));
		queue.announce();
		await time.advance(10_000);
		expect(sent.map((s) => s.ids)).toEqual([[], []]);
	});

	it('closing forgets everything, also what is under way', async () => {
		const { queue, time, dropped } = queueWith(() => new Promise(() => {}));
		queue.open();
		queue.add([entry('a')]);
		await time.advance(2000);
		queue.add([entry('b')]);
		queue.close();
		expect(dropped).toEqual([
			['consent', 'a'],
			['consent', 'b'],
		]);
		expect(queue.unfinished()).toEqual([]);
	});
});
