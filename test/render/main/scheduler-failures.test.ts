// What happens when images fail, nodes go away, answers come late, or everything at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code, ErrCode, SerialAllocator } from '../../../render/index.js';
import type { Answer } from '../../../render/main/effects.js';
import { Registrations } from '../../../render/main/registrations.js';
import { Desk, type Dispatch, RENDERED } from './support/desk.js';

const CRASH: Answer = { kind: 'failed', code: ErrCode.EC_CRASHED, error: 'signal 11' };

test('what a dead node had goes to others at once and before all else, and costs no retry', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(10);
  const lost = desk.open.filter(({ node }) => node === 1);
  assert.equal(lost.length, 2);
  desk.gone(1);
  desk.answer();
  desk.answer();
  assert.deepEqual(
    desk.open.map(({ first }) => first).toSorted((a, b) => a - b),
    lost.map(({ first }) => first),
  );
  assert(desk.open.every(({ version }) => version === 2));
  desk.finishAll();
  assert.equal(desk.results(job), 'r'.repeat(10));
  for (const { first } of lost) assert.equal(desk.result(job, first)!.attempts, 1);
});

test('a late answer to an attempt that was given to others is counted and changes nothing', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(2);
  const late = desk.open.find(({ node }) => node === 1);
  desk.gone(1);
  desk.take(desk.scheduler.answered(desk.now, 1, late!.attempt, RENDERED));
  desk.take(desk.scheduler.answered(desk.now, 2, late!.attempt, RENDERED));
  assert.equal(desk.results(job), '--');
  desk.finishAll();
  desk.take(desk.scheduler.answered(desk.now, 1, late!.attempt, CRASH));
  assert.equal(desk.scheduler.figures().staleAnswers, 3);
  assert.equal(desk.results(job), 'rr');
});

test('when all nodes go and come back, everything is rendered and nothing was counted as a failure', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(9);
  desk.answer();
  desk.gone(1);
  desk.gone(2);
  desk.advance(3_600_000);
  assert.equal(desk.open.length, 0);
  desk.node(3);
  desk.finishAll();
  assert.equal(desk.results(job), 'r'.repeat(9));
  assert.equal(desk.scheduler.figures().retries, 0);
  assert(Array.from({ length: 9 }, (_, index) => desk.result(job, index)!.attempts).every((n) => n === 1));
});

test('an image that fails everywhere has four attempts, with pauses that double, and then one result', () => {
  const desk = new Desk();
  for (const id of [1, 2, 3, 4, 5]) desk.node(id);
  const job = desk.submit(1);
  const pauses: number[] = [];
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const at = desk.now;
    desk.answer(CRASH);
    assert.equal(desk.open.length, 0, 'not at once');
    desk.advance(desk.scheduler.nextAt! - desk.now);
    pauses.push(desk.now - at);
  }
  desk.answer(CRASH);
  for (const [at, base] of [200, 400, 800].entries())
    assert(pauses[at]! >= base / 2 && pauses[at]! <= base, `pause ${pauses[at]} for ${base}`);
  assert.equal(new Set(desk.dispatches.map(({ node }) => node)).size, 4, 'each time on another node');
  const result = desk.result(job, 0)!;
  assert.deepEqual([result.kind, result.attempts], ['failed', 4]);
  const { code, message } = desk.ends.get(job)!;
  assert.equal(code, Code.INTERNAL);
  assert.match(message, /1 of 1 images failed: signal 11/);
  assert.equal(desk.scheduler.nextAt, null, 'nothing is left to wait for');
});

test('images that fail in a task are redone elsewhere, and those beside them are kept', () => {
  const desk = new Desk();
  desk.node(1, 8);
  desk.node(2, 8);
  const job = desk.submit(8);
  const failures = [1, 2, 5].map((index) => ({ index, code: ErrCode.EC_BAD_IMAGE, error: 'black' }));
  const { node } = desk.answer({ kind: 'rendered', imageMs: 5, failures });
  assert.equal(desk.results(job), 'r--rr-rr');
  desk.advance(200);
  assert.deepEqual(
    desk.open.map(({ first, count }) => [first, count]).toSorted((a, b) => a[0]! - b[0]!),
    [
      [1, 2],
      [5, 1],
    ],
  );
  assert(desk.open.every((dispatch) => dispatch.node !== node));
  desk.answer();
  desk.finishAll((dispatch) => (dispatch.first === 5 ? CRASH : RENDERED));
  const lost = desk.results(job).replaceAll('r', '').length;
  const { code } = desk.ends.get(job)!;
  assert.equal(code, lost === 0 ? Code.OK : Code.PARTIAL);
});

test('a result with a hole in it is said to be partial', () => {
  const desk = new Desk();
  for (const id of [1, 2, 3, 4]) desk.node(id);
  const job = desk.submit(5);
  desk.finishAll(({ first }) => (first === 2 ? CRASH : RENDERED));
  assert.equal(desk.results(job), 'rrfrr');
  const { code, message, done, failed } = desk.ends.get(job)!;
  assert.deepEqual([code, done, failed], [Code.PARTIAL, 4, 1]);
  assert.match(message, /1 of 5 images failed: signal 11/);
  assert.deepEqual(desk.scheduler.failures(job).get(2), {
    code: ErrCode.EC_CRASHED,
    error: 'signal 11',
    attempts: 4,
  });
});

test('a node that fails three tasks of a job in a row gets no more of it, and others redo them', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(40);
  desk.finishAll(({ node }) => (node === 1 ? CRASH : RENDERED));
  assert.equal(desk.results(job), 'r'.repeat(40));
  assert.deepEqual(
    desk.blocked.map(({ node, error }) => [node, error]),
    [[1, 'signal 11']],
  );
  assert(desk.dispatches.filter(({ node }) => node === 1).length <= 4);
  const next = desk.submit(10);
  assert(
    desk.open.some(({ node, job: of }) => node === 1 && of === next),
    'another job may try it',
  );
});

test('a node that fails now and then is not blocked', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(60);
  let count = 0;
  desk.finishAll(({ node }) => (node === 1 && (count += 1) % 3 !== 0 ? CRASH : RENDERED));
  assert.deepEqual(desk.blocked, []);
  assert.equal(desk.results(job), 'r'.repeat(60));
});

test('a job whose nodes are all blocked fails at once, with the reason', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(30);
  desk.finishAll(() => CRASH);
  assert.equal(desk.results(job), 'f'.repeat(30));
  const { code, message } = desk.ends.get(job)!;
  assert.equal(code, Code.INTERNAL);
  assert.match(message, /every worker node that could render it \(2\) is blocked .* signal 11/);
  assert(desk.dispatches.length < 15);
  assert(desk.now < 10_000, 'it did not sit there until its deadline');
});

test('when the last node that is not blocked goes, the job does not wait for ever', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(200);
  for (let round = 0; desk.blocked.length === 0; round += 1) {
    assert(round < 100);
    desk.answer(desk.open[0]!.node === 1 ? CRASH : RENDERED);
    desk.advance(100);
  }
  desk.gone(2);
  assert.match(desk.ends.get(job)!.message, /every worker node that could render it \(1\) is blocked/);
});

test('a failed image may go to the only node again', () => {
  const desk = new Desk();
  desk.node(1);
  const job = desk.submit(1);
  desk.answer(CRASH);
  desk.advance(200);
  desk.answer(RENDERED);
  assert.deepEqual([desk.results(job), desk.result(job, 0)!.attempts], ['r', 2]);
});

test('a node without room is left alone for a while, and that costs no retry', () => {
  const desk = new Desk();
  desk.node(1);
  const job = desk.submit(1);
  for (let round = 0; round < 20; round += 1) {
    const answer: Answer =
      round % 2 === 0
        ? { kind: 'refused', retryAfterMs: 500 }
        : { kind: 'failed', code: ErrCode.EC_CHANNEL_FULL, error: 'full' };
    desk.answer(answer);
    assert.equal(desk.open.length, 0, 'not at once');
    desk.advance(500);
  }
  desk.answer(RENDERED);
  assert.equal(desk.result(job, 0)!.attempts, 1);
  assert.deepEqual(desk.blocked, []);
});

test('an image under which nodes keep going away is given up in the end', () => {
  const desk = new Desk();
  let id = 0;
  desk.node(100, 1, { tags: ['other'] });
  desk.node((id += 1), 1, { tags: ['x'] });
  const job = desk.submit(1, { tag: 'x' });
  while (!desk.ends.has(job)) {
    desk.gone(id);
    desk.node((id += 1), 1, { tags: ['x'] });
    assert(id < 20);
  }
  assert.equal(id, 10);
  assert.match(desk.ends.get(job)!.message, /went away 9 times/);
});

test('an attempt that takes too long goes elsewhere, and a frozen node gathers no more work', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(100);
  // Measured: 100 ms an image. Node 1 does not answer any more.
  const frozen = () => desk.open.filter(({ node }) => node === 1);
  for (let answered = 0; answered < 20; answered += 1)
    desk.answer(
      RENDERED,
      desk.open.find(({ node }) => node === 2),
    );
  assert.equal(frozen().length, 2);
  const held = frozen();
  desk.advance(600_000);
  assert.deepEqual(frozen(), []);
  assert.deepEqual(
    desk.canceled.filter(({ node }) => node === 1).map(({ attempt }) => attempt),
    held.map(({ attempt }) => attempt),
  );
  desk.node(3);
  for (let round = 0; round < 50 && !desk.ends.has(job); round += 1) {
    desk.advance(1000);
    while (desk.open.length > 0) desk.answer();
  }
  assert.equal(desk.results(job), 'r'.repeat(100));
  assert.equal(desk.dispatches.filter(({ node }) => node === 1).length, 2);
  // Thawed, it answers late: nothing changes but that it has room again.
  for (const { attempt } of held) desk.take(desk.scheduler.answered(desk.now, 1, attempt, RENDERED));
  desk.submit(6);
  assert(frozen().length > 0);
});

test('time-outs follow what was measured', () => {
  const desk = new Desk();
  desk.node(1);
  desk.submit(3);
  assert.equal(desk.open[0]!.timeoutMs, 600_000);
  desk.answer({ kind: 'rendered', imageMs: 8000 });
  assert.equal(desk.open[1]!.timeoutMs, 2 * 3 * 8000);
});

test('what a node does not mention in two beats is given to others, and what nobody gave it is canceled', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(2);
  const missing = desk.open.find(({ node }) => node === 1)!;
  desk.beat(1, { running: [] });
  desk.beat(1, { running: [missing.attempt] });
  desk.beat(1, { running: [] });
  assert(desk.open.includes(missing), 'one beat may have crossed it');
  desk.open = desk.open.filter((other) => other !== missing);
  desk.beat(1, { running: [] });
  assert.equal(desk.dispatches.filter(({ first }) => first === missing.first).length, 2);
  const effects = desk.scheduler.nodeBeat(desk.now, 1, { running: [4711] });
  assert.deepEqual(effects, [{ kind: 'cancel', node: 1, attempt: 4711 }]);
  desk.finishAll();
  assert.equal(desk.results(job), 'rr');
});

test('an answer, a cancel and a time-out in one tick make one result, in whatever order', () => {
  for (const order of ['act', 'atc', 'cat', 'cta', 'tac', 'tca']) {
    const desk = new Desk();
    desk.node(1);
    const job = desk.submit(1);
    const [dispatch] = desk.open;
    desk.now = 600_000;
    for (const what of order) {
      if (what === 'a') desk.take(desk.scheduler.answered(desk.now, 1, dispatch!.attempt, RENDERED));
      if (what === 'c') desk.take(desk.scheduler.cancel(desk.now, job));
      if (what === 't') desk.take(desk.scheduler.tick(desk.now));
    }
    assert.equal(desk.results(job), order[0] === 'a' ? 'r' : 'f', order);
    assert(desk.ends.has(job));
    desk.advance(10_000_000);
    assert.equal(desk.scheduler.nextAt, null);
  }
});

test('a job is canceled whatever its images are doing: waiting, under way, resting or paused', () => {
  const states: Record<string, (desk: Desk, job: number) => void> = {
    waiting: (desk) => desk.gone(1),
    'under way': () => {},
    resting: (desk) => desk.answer(CRASH),
    'rendered in part': (desk) => desk.answer(RENDERED),
    paused: (desk, job) => desk.take(desk.scheduler.pause(desk.now, job)),
    again: (desk) => {
      desk.answer(CRASH);
      desk.gone(1);
      desk.advance(1000);
    },
  };
  for (const [name, prepare] of Object.entries(states)) {
    const desk = new Desk();
    desk.node(1);
    const job = desk.submit(5);
    prepare(desk, job);
    const under = [...desk.open];
    desk.take(desk.scheduler.cancel(desk.now, job));
    desk.take(desk.scheduler.cancel(desk.now, job));
    assert.equal(desk.ends.get(job)!.code, Code.CANCELED, name);
    assert.equal(desk.results(job), name === 'rendered in part' ? 'rffff' : 'fffff');
    assert.deepEqual(desk.canceled, under, 'the node is told');
    for (const { attempt } of under) desk.take(desk.scheduler.answered(desk.now, 1, attempt, RENDERED));
    desk.advance(100_000_000);
    assert.equal(desk.scheduler.figures().imagesOpen, 0);
    assert.equal(desk.scheduler.nextAt, null, name);
  }
});

test('when a driver goes, its jobs are canceled and those of others are not', () => {
  const desk = new Desk();
  desk.node(1);
  const [mine, also, other] = [desk.submit(5), desk.submit(5), desk.submit(5, { driver: 2 })];
  desk.take(desk.scheduler.driverGone(desk.now, 1));
  assert.deepEqual([...desk.ends.keys()], [mine, also]);
  // The node still has the canceled ones and says so by its answers.
  for (const { attempt } of desk.canceled) desk.take(desk.scheduler.answered(desk.now, 1, attempt, RENDERED));
  desk.finishAll();
  assert.equal(desk.results(other), 'rrrrr');
});

test('a job that is not done by its deadline ends then', () => {
  const desk = new Desk();
  desk.node(1);
  const job = desk.submit(5, { deadlineMs: 1000 });
  desk.answer();
  desk.advance(999);
  assert(!desk.ends.has(job));
  desk.advance(1);
  assert.equal(desk.ends.get(job)!.code, Code.PARTIAL);
  assert.equal(desk.results(job), 'rffff');
});

test('failed images of a finished job are rendered again when they are requeued, and the others are not', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(6);
  desk.finishAll(({ first }) => (first === 4 ? CRASH : RENDERED));
  assert.equal(desk.results(job), 'rrrrfr');
  const sent = desk.dispatches.length;
  desk.requeued(job);
  desk.take(desk.scheduler.requeue(desk.now, job));
  desk.finishAll();
  assert.deepEqual([desk.results(job), desk.dispatches.length - sent], ['rrrrrr', 1]);
  assert.equal(desk.ends.get(job)!.code, Code.OK);
});

test('the rest of a job is given up when more than the allowed share of it has failed', () => {
  const desk = new Desk({ failedShareMax: 0.1, retriesMax: 0, blockAfter: 100 });
  desk.node(1);
  const job = desk.submit(200);
  desk.finishAll(({ first }) => (first % 2 === 0 ? CRASH : RENDERED));
  assert.match(desk.ends.get(job)!.message, /too many of its images failed/);
  assert(desk.dispatches.length < 60);
});

test('a node that tells of images it was not asked for has failed', () => {
  const desk = new Desk();
  desk.node(1);
  desk.node(2);
  const job = desk.submit(2);
  const wrong = [{ index: 9, code: ErrCode.EC_CRASHED, error: '' }];
  desk.answer({ kind: 'rendered', imageMs: 1, failures: wrong });
  desk.finishAll();
  assert.equal(desk.results(job), 'rr');
});

test('the late messages of a node whose id another one has now are nobody’s', () => {
  let epoch = 0n;
  const serials = new SerialAllocator(() => (epoch += 1n), { node: 1 });
  const nodes = new Registrations<string, 'node'>('node', serials);
  const desk = new Desk();
  const old = nodes.register('old');
  desk.node(old.key);
  const job = desk.submit(1);
  const late: Dispatch = desk.open[0]!;
  for (const second of [1, 2, 3]) {
    for (const { key } of nodes.tick(second * 1000)) desk.gone(key);
  }
  const fresh = nodes.register('fresh');
  assert.deepEqual([fresh.serial.serial, fresh.key === old.key], [old.serial.serial, false]);
  desk.node(fresh.key);
  assert.equal(nodes.beat(old.serial), null);
  assert.equal(nodes.release(old.serial), null);
  assert.equal(nodes.find(fresh.serial)!.value, 'fresh');
  desk.take(desk.scheduler.answered(desk.now, old.key, late.attempt, RENDERED));
  assert.equal(desk.results(job), '-');
  desk.finishAll();
  assert.equal(desk.results(job), 'r');
});
