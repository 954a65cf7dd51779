// How jobs become tasks, who gets them, and in which order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '../../../render/index.js';
import { Desk, RENDERED } from './support/desk.js';

function shares(desk: Desk): string[] {
  return desk.open.map(({ node, first, count }) => `${node}: ${first}+${count}`);
}

test('images are cut into tasks of a node’s slots, and a node has at most twice its slots in its hands', () => {
  const desk = new Desk();
  desk.node(1, 2);
  desk.node(2, 3);
  const job = desk.submit(20);
  assert.deepEqual(shares(desk), ['1: 0+2', '2: 2+3', '1: 5+2', '2: 7+3']);
  desk.answer();
  assert.deepEqual(shares(desk), ['2: 2+3', '1: 5+2', '2: 7+3', '1: 10+2']);
  desk.finishAll();
  assert.equal(desk.results(job), 'r'.repeat(20));
  assert.deepEqual(desk.ends.get(job), {
    kind: 'finished',
    job,
    code: Code.OK,
    message: '',
    done: 20,
    failed: 0,
  });
  assert.equal(desk.scheduler.figures().imagesOpen, 0);
});

test('tasks go to nodes by weight, and load takes weight away', () => {
  const desk = new Desk({ handedPerSlot: 100 });
  for (const [id, weight] of [5, 1, 1].entries()) desk.node(id + 1, 1, { weight });
  desk.submit(7);
  assert.deepEqual(
    desk.open.map(({ node }) => node),
    [1, 1, 2, 1, 3, 1, 1],
  );
  desk.beat(1, { load: 1 });
  desk.submit(4);
  assert.deepEqual(
    desk.open.slice(7).map(({ node }) => node),
    [2, 3, 2, 3],
  );
});

test('where every node is fully loaded, they still share the work', () => {
  const desk = new Desk({ handedPerSlot: 100 });
  for (const id of [1, 2]) {
    desk.node(id);
    desk.beat(id, { load: 1 });
  }
  desk.submit(4);
  assert.deepEqual(
    desk.open.map(({ node }) => node),
    [1, 2, 1, 2],
  );
});

for (const driver of [1, 2]) {
  const whose = driver === 1 ? 'the same driver' : 'another driver';
  test(`a request of one image by ${whose} does not wait for a request of a thousand`, () => {
    const desk = new Desk();
    desk.node(1, 2);
    desk.node(2, 2);
    const large = desk.submit(1000, { driver: 1 });
    for (let answered = 0; answered < 10; answered += 1) desk.answer();
    const before = desk.dispatches.length;
    const small = desk.submit(1, { driver });
    while (!desk.ends.has(small)) desk.answer();
    // Four tasks were in the nodes' hands, and as many more may be given out until those in front of it are done.
    assert(
      desk.dispatches.length - before <= 8,
      `${desk.dispatches.length - before} tasks later it was done`,
    );
    desk.finishAll();
    assert.equal(desk.results(large), 'r'.repeat(1000));
  });
}

test('short images travel together, as many as a node renders in the time of one that is not short', () => {
  const desk = new Desk({ shortImageMs: 20 });
  desk.node(1, 2);
  const answered = (imageMs: number) => ({ kind: 'rendered', imageMs }) as const;
  const job = desk.submit(10_000);
  assert.deepEqual(shares(desk), ['1: 0+2', '1: 2+2'], 'as long as nobody knows how long they take');
  desk.answer(answered(2));
  desk.answer(answered(2));
  // Two slots render twenty of 2 ms in 20 ms; two such tasks are in the node's hands.
  desk.answer(answered(2));
  assert(
    desk.open.every(({ count }) => count > 8 && count <= 20),
    shares(desk).join(),
  );
  const small = desk.submit(1, { driver: 2 });
  const inHand = desk.open.reduce((sum, { count }) => sum + count, 0);
  assert(inHand <= 50, `${inHand} images of 2 ms in the hands of two slots`);
  let before = 0;
  while (!desk.ends.has(small)) before += desk.answer(answered(2)).count;
  assert(before <= 100, `${before} images were done before it`);
  desk.finishAll(() => answered(200));
  assert.equal(desk.results(job), 'r'.repeat(10_000));
  desk.submit(100);
  assert(
    desk.open.every(({ count }) => count <= 2),
    'when they take long again, each goes alone',
  );
});

test('images that turn out to be long are not given up for having travelled with others as short ones', () => {
  const desk = new Desk();
  desk.node(1, 2);
  const job = desk.submit(1000);
  while (desk.open[0]!.count < 100) desk.answer({ kind: 'rendered', imageMs: 0.2 });
  const first = desk.open[0]!;
  desk.advance(10_000);
  assert(desk.canceled.includes(first), 'so many of a second each are not done in ten');
  desk.gone(1);
  desk.node(2, 2);
  assert(desk.open.length > 0 && desk.open.every(({ count }) => count <= 2));
  desk.finishAll(() => ({ kind: 'rendered', imageMs: 1000 }));
  assert.equal(desk.results(job), 'r'.repeat(1000));
});

test('of the last short images every node gets some', () => {
  const desk = new Desk();
  for (const id of [1, 2, 3, 4]) desk.node(id, 2);
  desk.submit(8, { kind: 'short' });
  desk.finishAll(() => ({ kind: 'rendered', imageMs: 0.1 }));
  desk.submit(200, { kind: 'short' });
  assert.deepEqual(new Set(desk.open.map(({ node }) => node)).size, 4);
  assert(desk.open.every(({ count }) => count <= 25));
});

test('however short images are, a task has a bound, and so has it in bytes where its job says so', () => {
  const desk = new Desk();
  desk.node(1, 64);
  desk.submit(64);
  desk.finishAll(() => ({ kind: 'rendered', imageMs: 0 }));
  desk.submit(20_000);
  assert.equal(Math.max(...desk.open.map(({ count }) => count)), 512);
  desk.finishAll(() => ({ kind: 'rendered', imageMs: 0 }));
  desk.submit(100, { chunkMax: 3 });
  assert(desk.open.every(({ count }) => count <= 3));
});

test('drivers share by what their images cost, not by how many there are', () => {
  const desk = new Desk({ handedPerSlot: 1 });
  desk.node(1);
  desk.submit(9000, { driver: 1, kind: 'heavy' });
  desk.submit(9000, { driver: 2, kind: 'light' });
  const spent = [0, 0, 0];
  for (let answered = 0; answered < 2000; answered += 1) {
    const dispatch = desk.open[0]!;
    const imageMs = dispatch.job === 1 ? 200 : 10;
    if (answered > 100) spent[dispatch.job]! += imageMs * dispatch.count;
    desk.now += imageMs * dispatch.count;
    desk.answer({ kind: 'rendered', imageMs });
    if (answered > 100)
      assert(Math.abs(spent[1]! - spent[2]!) <= 2 * 200 + 200, `${spent.join()} after ${answered}`);
  }
});

test('a higher priority goes first, whoever came first', () => {
  const desk = new Desk();
  desk.node(1);
  const low = desk.submit(50);
  const high = desk.submit(5, { driver: 2, priority: 10 });
  for (let answered = 0; answered < 7; answered += 1) desk.answer();
  assert(desk.ends.has(high));
  assert.equal(desk.results(low).replaceAll('-', ''), 'rr');
  const urgent = desk.submit(5, { driver: 3 });
  desk.take(desk.scheduler.setPriority(desk.now, urgent, 20));
  for (let answered = 0; answered < 7; answered += 1) desk.answer();
  assert(desk.ends.has(urgent));
});

test('a job with a tag goes to nodes that have it, and keeps nobody else waiting', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2, 1, { tags: ['gpu'] });
  const tagged = desk.submit(6, { tag: 'gpu', priority: 5 });
  const plain = desk.submit(2);
  assert.deepEqual(
    desk.open.map(({ job, node }) => [job, node]),
    [
      [tagged, 2],
      [tagged, 2],
      [plain, 1],
      [plain, 1],
    ],
  );
  desk.finishAll();
  assert(desk.dispatches.every(({ job, node }) => job !== tagged || node === 2));
});

test('images without a common size come one to a task', () => {
  const desk = new Desk();
  desk.node(1, 8);
  desk.submit(3, { chunkMax: 1 });
  assert.deepEqual(shares(desk), ['1: 0+1', '1: 1+1', '1: 2+1']);
});

test('a request that is sent again is the same job, while it runs and after its end, until it is forgotten', () => {
  const desk = new Desk();
  desk.node(1);
  const job = desk.submit(2, { requestId: 5n });
  assert.equal(desk.submit(2, { requestId: 5n }), job);
  assert.notEqual(desk.submit(2, { driver: 2, requestId: 5n }), job, 'another driver has other requests');
  desk.finishAll();
  assert.equal(desk.submit(2, { requestId: 5n }), job);
  assert.equal(desk.dispatches.filter((dispatch) => dispatch.job === job).length, 2);
  desk.scheduler.forget(job);
  assert.notEqual(desk.submit(2, { requestId: 5n }), job);
  assert.throws(() => desk.scheduler.status(job), { code: 'RENDER_NOT_FOUND' });
});

test('with nobody to render or no room to wait, a request is refused with a time to come back', () => {
  const desk = new Desk({ imagesOpenMax: 10, jobsMax: 2, imagesPerJobMax: 8 });
  const overload = (error: { code?: string; retryAfterMs?: number }) =>
    error.code === 'RENDER_OVERLOAD' && error.retryAfterMs! >= 200 && error.retryAfterMs! <= 10_000;
  assert.throws(() => desk.submit(1), overload);
  desk.node(1);
  assert.throws(() => desk.submit(1, { tag: 'gpu' }), overload);
  assert.throws(() => desk.submit(9), { code: 'RENDER_REQUEST_TOO_LARGE' });
  for (const images of [0, -1, 1.5, Number.NaN])
    assert.throws(() => desk.submit(images), { code: 'RENDER_REQUEST_INVALID' });
  desk.submit(8);
  assert.throws(() => desk.submit(3), overload);
  desk.submit(2);
  desk.finishAll();
  assert.throws(() => desk.submit(1), overload, 'finished jobs are kept until they are forgotten');
  desk.scheduler.forget(1);
  desk.submit(1);
  desk.beat(1, { draining: true });
  desk.scheduler.forget(2);
  assert.throws(() => desk.submit(1), overload);
});

test('a paused job gives nothing more out, and goes on where it stood', () => {
  const desk = new Desk();
  desk.node(1);
  const job = desk.submit(6);
  desk.take(desk.scheduler.pause(desk.now, job));
  desk.answer();
  desk.answer();
  assert.deepEqual([desk.open.length, desk.results(job)], [0, 'rr----']);
  assert.equal(desk.scheduler.status(job).state, 'paused');
  desk.take(desk.scheduler.resume(desk.now, job));
  desk.finishAll();
  assert.equal(desk.results(job), 'rrrrrr');
  assert.throws(() => desk.scheduler.pause(desk.now, job), { code: 'RENDER_STATE' });
  assert.throws(() => desk.scheduler.resume(desk.now, job), { code: 'RENDER_STATE' });
});

test('a job that is paused while its last images are under way ends when they come', () => {
  const desk = new Desk();
  desk.node(1);
  const job = desk.submit(2);
  desk.take(desk.scheduler.pause(desk.now, job));
  desk.finishAll();
  assert.equal(desk.scheduler.status(job).state, 'completed');
});

test('a draining node finishes what it has and gets nothing new', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  desk.submit(8);
  desk.beat(1, { draining: true });
  const had = desk.open.filter(({ node }) => node === 1).length;
  desk.finishAll();
  assert.equal(desk.dispatches.filter(({ node }) => node === 1).length, had);
});

test('a node that grows gets more at once, and one that shrinks finishes what it has', () => {
  const desk = new Desk();
  desk.node(1, 1);
  desk.submit(20);
  assert.equal(desk.open.length, 2);
  desk.beat(1, { slots: 3 });
  assert.deepEqual(shares(desk), ['1: 0+1', '1: 1+1', '1: 2+3', '1: 5+1']);
  desk.beat(1, { slots: 0 });
  while (desk.open.length > 0) desk.answer(RENDERED);
  desk.beat(1, { slots: 1 });
  desk.finishAll();
  assert.equal(desk.results(1), 'r'.repeat(20));
});
