// Acceptance scenario 6: one instance 20 × slower than the others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BALANCERS, type BalancerName, createBalancer } from '../../../rpc/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { percentile, simulate } from './simulation.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);
const HEALTHY = { meanMs: [5, 5, 5, 5, 5], workers: 8, callsPerMs: 4, calls: 20_000 };
const ONE_SLOW = { ...HEALTHY, meanMs: [5, 5, 100, 5, 5] };

function p99(service: typeof HEALTHY, name: BalancerName, seed: number): number {
  const random = seededRandom(seed);
  const { latenciesMs } = simulate(service, createBalancer(name, random), random, { outlier: false });
  return percentile(latenciesMs, 0.99);
}

test(`with one instance 20 x slower the p99 under peak EWMA is at most 1.5 x the healthy one (seeds from ${SEED})`, () => {
  for (let seed = SEED; seed < SEED + 3; seed += 1) {
    const healthy = p99(HEALTHY, 'peak-ewma', seed);
    const oneSlow = p99(ONE_SLOW, 'peak-ewma', seed);
    assert(oneSlow <= 1.5 * healthy, `p99 ${oneSlow} ms against ${healthy} ms, seed ${seed}`);
  }
});

test(`plain round robin and chance do not pass that test (seed ${SEED})`, () => {
  for (const name of ['round-robin', 'random', 'smooth-weighted-round-robin'] as const) {
    assert(p99(ONE_SLOW, name, SEED) > 10 * p99(HEALTHY, name, SEED), name);
  }
});

test(`the slow instance is asked now and then, not flooded and not forgotten (seed ${SEED})`, () => {
  const random = seededRandom(SEED);
  // Two minutes, so that the estimate fades several times.
  const service = { ...ONE_SLOW, calls: 90_000, callsPerMs: 1 };
  const { callsOf } = simulate(service, createBalancer('peak-ewma', random), random, { outlier: false });
  assert(callsOf[2]! >= 3 && callsOf[2]! <= 600, callsOf.join(' '));
});

test('the figures of all balancers, for the reader', (t) => {
  for (const name of BALANCERS) {
    const [healthy, oneSlow] = [p99(HEALTHY, name, SEED), p99(ONE_SLOW, name, SEED)];
    t.diagnostic(`${name}: p99 ${healthy.toFixed(1)} ms, with one slow ${oneSlow.toFixed(1)} ms`);
    assert(Number.isFinite(oneSlow));
  }
});
