// The circuit breaker's transitions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CircuitBreaker, type CircuitBreakerOptions } from '../../../rpc/index.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);

/** Calls that end the moment they begin. */
function calls(breaker: CircuitBreaker, results: string, nowMs: number): void {
  for (const result of results) {
    breaker.started();
    breaker.finished(result === 'x', nowMs, nowMs);
  }
}

function opened(options: CircuitBreakerOptions = {}, nowMs = 0): CircuitBreaker {
  const breaker = new CircuitBreaker({ callsMin: 4, isolationMs: 100, isolationMaxMs: 1000, ...options });
  calls(breaker, 'xxxx', nowMs);
  assert.equal(breaker.state, 'open');
  return breaker;
}

test('it opens at the failure ratio, but not below the minimum of calls', () => {
  const table = [
    ['xxx', 'closed'],
    ['xxxx', 'open'],
    ['.x.x', 'open'],
    ['...x', 'closed'],
    ['...xx', 'closed'],
    ['...xxx', 'open'],
    ['xxx.', 'closed'], // a success opens nothing
    ['xxx.x', 'open'],
  ] as const;
  for (const [results, state] of table) {
    const breaker = new CircuitBreaker({ callsMin: 4 });
    calls(breaker, results, 0);
    assert.equal(breaker.state, state, results);
    assert.equal(breaker.letsThrough, state === 'closed');
  }
});

test('failures older than the window count no more', () => {
  const breaker = new CircuitBreaker({ callsMin: 4, windowMs: 1000 });
  calls(breaker, 'xxx', 0);
  calls(breaker, 'x', 1000);
  assert.equal(breaker.state, 'closed');
  calls(breaker, 'xxx', 1900);
  assert.equal(breaker.state, 'open');
});

test('it stays open for the isolation and then lets one probe through', () => {
  const breaker = opened();
  assert.equal(breaker.advance(99), false);
  assert.equal(breaker.state, 'open');
  assert.equal(breaker.advance(100), true);
  assert.equal(breaker.state, 'half-open');
  assert.equal(breaker.letsThrough, true);
  breaker.started();
  assert.equal(breaker.letsThrough, false);
  breaker.finished(false, 100, 105);
  assert.equal(breaker.state, 'closed');
});

test('the isolation doubles with every failed probe, up to the maximum', () => {
  const breaker = opened();
  const isolations: number[] = [];
  let nowMs = 0;
  for (let round = 0; round < 6; round += 1) {
    isolations.push(breaker.advancesAtMs - nowMs);
    nowMs = breaker.advancesAtMs;
    breaker.advance(nowMs);
    calls(breaker, 'x', nowMs);
  }
  assert.deepEqual(isolations, [100, 200, 400, 800, 1000, 1000]);
});

test('it starts small again after it was closed for the longest isolation, and not before', () => {
  for (const [wellMs, isolationMs] of [
    [999, 200],
    [1000, 100],
  ] as const) {
    const breaker = opened();
    breaker.advance(100);
    calls(breaker, '.', 100);
    calls(breaker, 'xxxx', 100 + wellMs);
    assert.equal(breaker.state, 'open');
    assert.equal(breaker.advancesAtMs - (100 + wellMs), isolationMs);
  }
});

test('several probes are judged by their share of successes', () => {
  const table = [
    ['....', 'closed'],
    ['...', 'closed'], // three of four are enough
    ['x...', 'closed'],
    ['xx', 'open'], // two failed: three can no longer succeed
    ['x.', 'half-open'],
  ] as const;
  for (const [results, state] of table) {
    const breaker = opened({ probeCount: 4, probeSuccessRatio: 0.75 });
    breaker.advance(100);
    for (let probe = 0; probe < 4; probe += 1) {
      assert.equal(breaker.letsThrough, true);
      breaker.started();
    }
    assert.equal(breaker.letsThrough, false);
    for (const result of results) breaker.finished(result === 'x', 100, 110);
    assert.equal(breaker.state, state, results);
  }
});

test('calls from before it opened are no probes and open nothing later', () => {
  const breaker = opened();
  breaker.finished(false, -50, 50);
  assert.equal(breaker.state, 'open');
  breaker.advance(100);
  breaker.finished(false, -50, 120);
  assert.equal(breaker.state, 'half-open');
  calls(breaker, '.', 130);
  assert.equal(breaker.state, 'closed');
  for (let late = 0; late < 10; late += 1) breaker.finished(true, 50, 140);
  assert.equal(breaker.state, 'closed');
});

test('a probe that is given up makes room for another', () => {
  const breaker = opened();
  breaker.advance(100);
  breaker.started();
  assert.equal(breaker.abandoned(100), true);
  assert.equal(breaker.letsThrough, true);
  assert.equal(breaker.abandoned(50), false); // no probe
});

test('a probe that never ends does not hold the instance back for ever', () => {
  const breaker = opened();
  breaker.advance(100);
  breaker.started();
  assert.equal(breaker.advancesAtMs, 1100);
  breaker.advance(1100);
  assert.equal(breaker.letsThrough, true);
  breaker.started();
  breaker.finished(true, 100, 1150); // the old one, at last
  assert.equal(breaker.state, 'half-open');
  breaker.finished(false, 1100, 1160);
  assert.equal(breaker.state, 'closed');
});

test(`whatever happens, some time later a call gets through (seed ${SEED})`, () => {
  const step = fc.record({
    action: fc.constantFrom('start', 'good', 'bad', 'abandon', 'wait'),
    ms: fc.integer({ min: 0, max: 500 }),
  });
  const property = fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
    const breaker = new CircuitBreaker({ callsMin: 2, isolationMs: 10, isolationMaxMs: 200, probeCount: 2 });
    const running: number[] = [];
    let nowMs = 0;
    for (const { action, ms } of steps) {
      breaker.advance(nowMs);
      if (action === 'wait') nowMs += ms;
      else if (action === 'start') {
        if (!breaker.letsThrough) continue;
        breaker.started();
        running.push(nowMs);
      } else {
        const startedMs = running.shift();
        if (startedMs === undefined) continue;
        if (action === 'abandon') breaker.abandoned(startedMs);
        else breaker.finished(action === 'bad', startedMs, nowMs);
      }
    }
    breaker.advance(nowMs + 200);
    assert.equal(breaker.letsThrough, true);
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

test('impossible options are refused with their name', () => {
  const bad = [
    { windowMs: 0 },
    { callsMin: 0 },
    { failureRatio: 1.1 },
    { isolationMs: 0 },
    { isolationMs: 10, isolationMaxMs: 9 },
    { probeCount: 0.5 },
    { probeSuccessRatio: 0 },
  ];
  for (const options of bad) {
    const name = Object.keys(options).at(-1)!;
    assert.throws(() => new CircuitBreaker(options), {
      code: 'RPC_OPTION_INVALID',
      message: new RegExp(name),
    });
  }
});
