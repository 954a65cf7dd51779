import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedBudget } from '../../reactor/shared-budget.js';

const PAGE = 4096;

test('the cap holds for all threads together, and refusing changes nothing', () => {
  const budget = SharedBudget.create(10 * PAGE, 3);
  assert.ok(budget.reserve(0, 6 * PAGE));
  assert.ok(budget.reserve(1, 4 * PAGE));
  assert.equal(budget.reserve(2, 1), false);
  assert.equal(budget.usedBy(2), 0);
  assert.equal(budget.usedBytes(), budget.bytesMax);
  budget.release(0, 6 * PAGE);
  assert.ok(budget.reserve(2, 5 * PAGE));
  assert.equal(budget.usedBytes(), 9 * PAGE);
});

test('sizes are rounded up to 4 KiB and returned as they were taken', () => {
  const budget = SharedBudget.create(3 * PAGE + 100, 1);
  assert.equal(budget.bytesMax, 3 * PAGE);
  assert.ok(budget.reserve(0, PAGE + 1));
  assert.equal(budget.usedBytes(), 2 * PAGE);
  budget.release(0, PAGE + 1);
  assert.equal(budget.usedBytes(), 0);
});

test('more than the whole cap is refused however large it is', () => {
  const budget = SharedBudget.create(PAGE, 1);
  for (const bytes of [PAGE + 1, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
    assert.equal(budget.reserve(0, bytes), false);
  }
  assert.equal(budget.usedBytes(), 0);
});

test('what a dead thread had reserved is there for the others again', () => {
  const budget = SharedBudget.create(2 * PAGE, 2);
  const seenByTheOther = new SharedBudget(budget.buffer);
  assert.ok(seenByTheOther.reserve(1, 2 * PAGE));
  assert.equal(budget.reserve(0, PAGE), false);
  budget.forget(1);
  assert.ok(budget.reserve(0, PAGE));
  assert.equal(seenByTheOther.usedBytes(), PAGE);
});

test('releasing more than was reserved, or for an unknown thread, asserts', () => {
  const budget = SharedBudget.create(2 * PAGE, 1);
  assert.throws(() => budget.release(0, PAGE), { code: 'ERR_ASSERTION' });
  assert.throws(() => budget.reserve(1, PAGE), { code: 'ERR_ASSERTION' });
});

test('a cap that is not a number of bytes is refused with its name', () => {
  for (const bytesMax of [0, -1, Number.NaN, 4095, 2 ** 60]) {
    assert.throws(() => SharedBudget.create(bytesMax, 1), { code: 'REACTOR_OPTION_INVALID' });
  }
});

test('threads that race for the last bytes are never both served', { timeout: 60_000 }, async () => {
  const budget = SharedBudget.create(5 * PAGE, 3);
  const holders = new SharedArrayBuffer(4);
  const module = new URL('../../reactor/shared-budget.js', import.meta.url).href;
  const workers = [1, 2].map(
    (thread) =>
      new Worker(RACER, { eval: true, workerData: { module, buffer: budget.buffer, holders, thread } }),
  );
  const results = await Promise.all(
    workers.map(async (worker) => {
      const exited = once(worker, 'exit'); // before the message: both may come in one turn
      const [result] = (await once(worker, 'message')) as [{ served: number; holdersMax: number }];
      await exited;
      return result;
    }),
  );
  for (const { served, holdersMax } of results) {
    assert.equal(served, 20_000);
    assert.equal(holdersMax, 1);
  }
  assert.equal(budget.usedBytes(), 0);
});

/** Holds 3 pages at a time: two racers served at once would make 6 of 5. */
const RACER = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.module).then(({ SharedBudget }) => {
  const budget = new SharedBudget(workerData.buffer);
  const holders = new Int32Array(workerData.holders);
  let served = 0;
  let holdersMax = 0;
  while (served < 20000) { // however long the other one sleeps on its pages
    if (!budget.reserve(workerData.thread, 3 * 4096)) continue;
    served += 1;
    holdersMax = Math.max(holdersMax, Atomics.add(holders, 0, 1) + 1);
    Atomics.sub(holders, 0, 1);
    budget.release(workerData.thread, 3 * 4096);
  }
  parentPort.postMessage({ served, holdersMax });
});
`;
