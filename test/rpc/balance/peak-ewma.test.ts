// Peak EWMA: quick to avoid, careful to come back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Balancer, createBalancer } from '../../../rpc/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { candidatesOf, failure, idOf, request, success, type TestCandidate } from './candidates.js';

function create(): Balancer {
  return createBalancer('peak-ewma', seededRandom(1));
}

/** Two candidates, so that every pick compares both. */
function two(): [TestCandidate, TestCandidate] {
  return candidatesOf(1, 1) as [TestCandidate, TestCandidate];
}

function picks(
  balancer: Balancer,
  candidates: readonly TestCandidate[],
  nowMs: number,
  count = 50,
): Set<string> {
  return new Set(Array.from({ length: count }, () => idOf(balancer.pick(candidates, request(nowMs)))));
}

test('one slow answer is enough to be avoided at once', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  for (let call = 0; call < 100; call += 1) {
    balancer.finished!(a, success(call, 1));
    balancer.finished!(b, success(call, 1.1));
  }
  assert.deepEqual(picks(balancer, candidates, 100), new Set(['a']));
  balancer.finished!(a, success(101, 20));
  assert.deepEqual(picks(balancer, candidates, 101), new Set(['b']));
});

test('a high latency fades with the time constant', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  balancer.finished!(a, success(0, 100));
  // After one tau, quick answers weigh 1 - 1/e: 100 / e + 1 × (1 - 1 / e) = 37.4.
  balancer.finished!(a, success(10_000, 1));
  balancer.finished!(b, success(10_000, 37.3));
  assert.deepEqual(picks(balancer, candidates, 10_000), new Set(['b']));
  balancer.finished!(b, success(10_000, 37.5));
  assert.deepEqual(picks(balancer, candidates, 10_000), new Set(['a']));
});

test('calls under way count as much as latency', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  balancer.finished!(a, success(0, 1));
  balancer.finished!(b, success(0, 4));
  a.callsInFlight = 2;
  assert.deepEqual(picks(balancer, candidates, 0), new Set(['a']));
  a.callsInFlight = 4;
  assert.deepEqual(picks(balancer, candidates, 0), new Set(['b']));
});

test('weight divides the score', () => {
  const candidates = candidatesOf(1, 3);
  const balancer = create();
  balancer.finished!(candidates[0]!, success(0, 2));
  balancer.finished!(candidates[1]!, success(0, 5));
  assert.deepEqual(picks(balancer, candidates, 0), new Set(['b']));
});

test('an unknown instance gets one call, and no second before it has answered', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  balancer.finished!(a, success(0, 5));
  a.callsInFlight = 1000;
  assert.equal(balancer.pick(candidates, request(0)), b);
  b.callsInFlight = 1;
  assert.deepEqual(picks(balancer, candidates, 0), new Set(['a']));
});

test('unknown instances are filled evenly while none has answered', () => {
  const candidates = two();
  const balancer = create();
  for (let call = 0; call < 20; call += 1) {
    (balancer.pick(candidates, request(0)) as TestCandidate).callsInFlight += 1;
  }
  assert.deepEqual(
    candidates.map(({ callsInFlight }) => callsInFlight),
    [10, 10],
  );
});

test('an instance that was slow is tried again when that has faded, with one call at a time', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  let nowMs = 0;
  balancer.finished!(a, success(nowMs, 1));
  balancer.finished!(b, success(nowMs, 20));
  let triedAtMs = -1;
  while (nowMs < 60_000 && triedAtMs < 0) {
    nowMs += 10;
    if (balancer.pick(candidates, request(nowMs)) === b) triedAtMs = nowMs;
    else balancer.finished!(a, success(nowMs, 1));
  }
  // ln 20 × 10 s, a little earlier because a's estimate fades between its calls too, by far less.
  assert(triedAtMs > 29_000 && triedAtMs < 31_000, `tried after ${triedAtMs} ms`);
  b.callsInFlight = 1;
  assert.deepEqual(picks(balancer, candidates, triedAtMs), new Set(['a']));
  b.callsInFlight = 0;
  // It has recovered: it competes again, where its old estimate of 20 would have lost.
  balancer.finished!(b, success(triedAtMs + 1, 0.5));
  a.callsInFlight = 1;
  assert.deepEqual(picks(balancer, candidates, triedAtMs + 1), new Set(['b']));
});

test('one whose attempts are always given up before they answer does not stay attractive', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  balancer.finished!(a, success(0, 5));
  assert.deepEqual(picks(balancer, candidates, 0), new Set(['b'])); // unknown and idle
  balancer.abandoned!(b, 50, 50); // a hedge was quicker
  assert.deepEqual(picks(balancer, candidates, 50), new Set(['a']));
  balancer.abandoned!(a, 1, 60); // given up at once: that says nothing
  assert.deepEqual(picks(balancer, candidates, 60), new Set(['a']));
});

test('failing quickly is not taken for answering quickly', () => {
  const candidates = two();
  const [a, b] = candidates;
  const balancer = create();
  balancer.finished!(a, success(0, 50));
  balancer.finished!(b, failure(0, 0.1));
  assert.deepEqual(picks(balancer, candidates, 0), new Set(['a']));
});

test('a clock that steps back does no harm', () => {
  const candidates = two();
  const balancer = create();
  balancer.finished!(candidates[0], success(1000, 5));
  balancer.finished!(candidates[0], success(500, 1));
  balancer.finished!(candidates[1], success(1000, 6));
  assert.deepEqual(picks(balancer, candidates, 10), new Set(['a']));
});
