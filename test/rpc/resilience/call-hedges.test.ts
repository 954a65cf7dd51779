// When a second instance is asked because the first does not answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallHedges, HedgingPolicy, type HedgingOptions, RetryBudget, RpcError } from '../../../rpc/index.js';

const IDEMPOTENT = { isIdempotent: true, previousAttempts: 0 };
const unavailable = (retryPushbackMs?: number): RpcError =>
  new RpcError('RPC_UNAVAILABLE', 'on purpose', retryPushbackMs === undefined ? {} : { retryPushbackMs });

function create(options: HedgingOptions = {}, budget = new RetryBudget()): CallHedges {
  const policy = new HedgingPolicy({ delayMs: 50, attemptsMax: 3, ratioMax: 1, ...options });
  for (let call = 0; call < 10; call += 1) policy.countCall(0);
  return new CallHedges(policy, budget, IDEMPOTENT);
}

test('hedges follow at the delay until there are as many attempts as there may be', () => {
  const hedges = create();
  assert.equal(hedges.begin(0), 50);
  assert.equal(hedges.takeNext(50, 1000), true);
  assert.equal(hedges.nextAfterMs, 50);
  assert.equal(hedges.takeNext(100, 950), true);
  assert.equal(hedges.nextAfterMs, null);
  assert.equal(hedges.takeNext(150, 900), false);
  assert.equal(hedges.attempts, 3);
});

test('calls that may not be repeated, or are part of a repeated one, are not hedged', () => {
  for (const call of [
    { isIdempotent: false, previousAttempts: 0 },
    { isIdempotent: true, previousAttempts: 1 },
  ]) {
    const hedges = new CallHedges(new HedgingPolicy(), new RetryBudget(), call);
    assert.equal(hedges.begin(0), null);
    assert.equal(hedges.takeNext(100, 1000), false);
    assert.deepEqual(hedges.afterFailure(unavailable()), { kind: 'fail' });
  }
});

test('a non-fatal failure sends the next at once, and the call fails with the last attempt', () => {
  const hedges = create({ attemptsMax: 2 });
  hedges.begin(0);
  assert.deepEqual(hedges.afterFailure(unavailable()), { kind: 'next', afterMs: 0 });
  assert.equal(hedges.takeNext(1, 1000), true);
  assert.deepEqual(hedges.afterFailure(unavailable()), { kind: 'fail' });
  assert.equal(hedges.isOver, true);
});

test('one of two attempts failing leaves the other', () => {
  const hedges = create({ attemptsMax: 2 });
  hedges.begin(0);
  hedges.takeNext(50, 1000);
  assert.deepEqual(hedges.afterFailure(unavailable()), { kind: 'wait' });
  assert.deepEqual(hedges.afterFailure(unavailable()), { kind: 'fail' });
});

test('a fatal failure ends the call although others are under way', () => {
  const hedges = create();
  hedges.begin(0);
  hedges.takeNext(50, 1000);
  assert.deepEqual(hedges.afterFailure(new RpcError('RPC_NOT_FOUND', 'an answer')), { kind: 'fail' });
});

test('the server’s word decides when the next is sent, or that none is', () => {
  const later = create();
  later.begin(0);
  assert.deepEqual(later.afterFailure(unavailable(300)), { kind: 'next', afterMs: 300 });
  const never = create();
  never.begin(0);
  never.takeNext(50, 1000);
  assert.deepEqual(never.afterFailure(unavailable(-1)), { kind: 'wait' });
  assert.equal(never.takeNext(100, 1000), false);
  assert.deepEqual(never.afterFailure(unavailable()), { kind: 'fail' });
});

test('no hedge without time left or without budget', () => {
  const late = create();
  late.begin(0);
  assert.equal(late.takeNext(50, 0), false);
  const budget = new RetryBudget();
  const poor = create({}, budget);
  poor.begin(0);
  for (let each = 0; each < 5; each += 1) budget.failed();
  assert.equal(poor.takeNext(50, 1000), false);
});

test('a tenth of the calls of the last ten seconds may be hedged, and one of a quiet time', () => {
  const policy = new HedgingPolicy();
  let hedges = 0;
  for (let call = 0; call < 1000; call += 1) {
    policy.countCall(call);
    if (policy.takeHedge(call)) hedges += 1;
  }
  assert(hedges >= 99 && hedges <= 101, String(hedges));
  assert.equal(policy.takeHedge(1000), false);
  assert.equal(policy.takeHedge(30_000), true);
  assert.equal(policy.takeHedge(30_001), false);
});

test('impossible options are refused with their name', () => {
  const bad = [{ delayMs: -1 }, { attemptsMax: 1 }, { attemptsMax: 6 }, { ratioMax: 0 }, { windowMs: 0 }];
  for (const options of bad) {
    const name = Object.keys(options)[0]!;
    assert.throws(() => new HedgingPolicy(options), {
      code: 'RPC_OPTION_INVALID',
      message: new RegExp(name),
    });
  }
});
