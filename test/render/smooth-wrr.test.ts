import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { loadedWeight, SmoothWrr } from '../../render/index.js';

function peers(weights: Readonly<Record<string, number>>, options = {}): SmoothWrr<string> {
  const wrr = new SmoothWrr<string>(options);
  for (const [key, weight] of Object.entries(weights)) wrr.add(key, weight);
  return wrr;
}

test('weights 5, 1, 1 come up as a a b a c a a, and then all start from 0 again', () => {
  const wrr = peers({ a: 5, b: 1, c: 1 });
  const picks = Array.from({ length: 7 }, () => `${wrr.pick()} ${wrr.currentWeights().join(',')}`);
  assert.deepEqual(picks, [
    'a -2,1,1',
    'a -4,2,2',
    'b 1,-4,3',
    'a -1,-3,4',
    'c 4,-2,-2',
    'a 2,-1,-1',
    'a 0,0,0',
  ]);
});

test('a peer that failed gets less, and all of its weight back pick by pick', () => {
  const wrr = peers({ a: 3, b: 3 });
  wrr.failed('a');
  assert.equal(wrr.effectiveWeight('a'), 2);
  wrr.failed('a');
  wrr.failed('a');
  wrr.failed('a');
  assert.equal(wrr.effectiveWeight('a'), 0);
  assert.equal(wrr.pick(), 'b');
  assert.equal(wrr.effectiveWeight('a'), 1);
  wrr.pick();
  wrr.pick();
  assert.equal(wrr.effectiveWeight('a'), 3);
});

test('load takes weight from 0.6 on, and a fully loaded peer is taken only when there is no other', () => {
  assert.deepEqual(
    [0, 0.6, 0.7, 0.8, 0.9, 1, 1.5].map((load) => loadedWeight(100, load)),
    [100, 100, 75, 50, 25, 0, 0],
  );
  const wrr = peers({ a: 100, b: 100 });
  wrr.setLoad('a', 1);
  assert.deepEqual(
    [1, 2, 3].map(() => wrr.pick()),
    ['b', 'b', 'b'],
  );
  assert.equal(
    wrr.pick((key) => key === 'a'),
    'a',
  );
  wrr.setLoad('a', 0.8);
  assert.equal(wrr.effectiveWeight('a'), 50);
});

test('nobody eligible is null and changes nothing', () => {
  const wrr = peers({ a: 2, b: 1 });
  wrr.pick();
  const before = wrr.currentWeights();
  assert.equal(
    wrr.pick(() => false),
    null,
  );
  assert.deepEqual(wrr.currentWeights(), before);
  assert.equal(new SmoothWrr<string>().pick(), null);
  assert.throws(() => wrr.add('c', 0), { code: 'RENDER_OPTION_INVALID' });
});

test('when a peer leaves in the middle of a round, the others go on in proportion', () => {
  const wrr = peers({ a: 5, b: 1, c: 2 });
  wrr.pick();
  wrr.pick();
  wrr.remove('a');
  assert.deepEqual(wrr.currentWeights(), [0, 0]);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => wrr.pick()),
    ['c', 'b', 'c', 'c', 'b', 'c'],
  );
});

test('a peer that is left out for a while keeps its place and its weight', () => {
  const [wrr, same] = [peers({ a: 5, b: 1, c: 2 }), peers({ a: 5, b: 1, c: 2 })];
  const out = new Set<string>();
  for (const [at, key] of Array.from('abcabaccbabcacb').entries()) {
    if (!out.delete(key)) out.add(key);
    wrr.setPresent(key, !out.has(key));
    assert.equal(
      wrr.pick(),
      same.pick((peer) => !out.has(peer)),
      `pick ${at}`,
    );
    assert.deepEqual(wrr.currentWeights(), same.currentWeights());
  }
});

test('in a whole round every peer comes up as often as its weight says', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
      const wrr = new SmoothWrr<number>();
      for (const [at, weight] of weights.entries()) wrr.add(at, weight);
      const counts = weights.map(() => 0);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let pick = 0; pick < total; pick += 1) counts[wrr.pick()!]! += 1;
      assert.deepEqual(counts, weights);
    }),
  );
});

test('the current weights sum to 0 whatever happens to peers, weights and eligibility', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('pick' as const), mask: fc.integer({ min: 0, max: 15 }) }),
    fc.record({ kind: fc.constant('failed' as const), peer: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ kind: fc.constant('remove' as const), peer: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ kind: fc.constant('add' as const), peer: fc.integer({ min: 4, max: 9 }) }),
    fc.record({
      kind: fc.constant('load' as const),
      peer: fc.integer({ min: 0, max: 3 }),
      load: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wrr = new SmoothWrr<number>();
      for (const peer of [0, 1, 2, 3]) wrr.add(peer, (peer + 1) * 100);
      const there = new Set([0, 1, 2, 3]);
      for (const step of steps) {
        if (step.kind === 'pick') {
          const picked = wrr.pick((peer) => ((step.mask >> (peer % 4)) & 1) === 1);
          assert(picked === null || there.has(picked));
        } else if (step.kind === 'failed') wrr.failed(step.peer);
        else if (step.kind === 'load') wrr.setLoad(step.peer, step.load);
        else if (step.kind === 'remove') assert.equal(wrr.remove(step.peer), there.delete(step.peer));
        else if (!there.has(step.peer)) {
          wrr.add(step.peer, 50);
          there.add(step.peer);
        }
        assert.equal(
          wrr.currentWeights().reduce((sum, weight) => sum + weight, 0),
          0,
        );
      }
    }),
  );
});
