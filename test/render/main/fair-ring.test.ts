import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FairRing } from '../../../render/main/fair-ring.js';

test('flows that always have work spend the same, whatever their pieces cost, but for two of the largest pieces', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 6 }),
      fc.infiniteStream(fc.double({ min: 0.5, max: 1, noNaN: true })),
      (costs, chances) => {
        const ring = new FairRing<number>();
        const spent = costs.map(() => 0);
        for (const flow of costs.keys()) ring.add(flow);
        const largest = Math.max(...costs);
        for (let piece = 0; piece < 200; piece += 1) {
          const cost = ring.serve((flow) => {
            const cost = costs[flow]! * chances.next().value!;
            spent[flow]! += cost;
            return cost;
          });
          assert(cost > 0);
          assert(Math.max(...spent) - Math.min(...spent) <= 2 * largest + 1e-6, spent.join());
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('a flow that can do nothing now costs the others nothing and gathers no credit', () => {
  const ring = new FairRing<string>();
  for (const flow of 'abc') ring.add(flow);
  const order: string[] = [];
  const serve = (able: string) =>
    ring.serve((flow) => {
      if (!able.includes(flow)) return 0;
      order.push(flow);
      return 5;
    });
  for (let turn = 0; turn < 60; turn += 1) serve('ac');
  assert.deepEqual(order.toSorted().join(''), 'a'.repeat(30) + 'c'.repeat(30));
  order.length = 0;
  for (let turn = 0; turn < 6; turn += 1) serve('abc');
  assert.deepEqual(order.toSorted().join(''), 'aabbcc');
  assert.equal(serve(''), 0);
  assert.equal(serve(''), 0);
  assert.equal(serve('b'), 5);
});

test('a new flow has its turn before any of the others has two', () => {
  const ring = new FairRing<string>();
  ring.add('a');
  ring.add('b');
  const order: string[] = [];
  const spend = (flow: string) => {
    order.push(flow);
    return 1;
  };
  for (let turn = 0; turn < 5; turn += 1) ring.serve(spend);
  ring.add('c');
  for (let turn = 0; turn < 6; turn += 1) ring.serve(spend);
  assert.equal(order.slice(5).join('').indexOf('c') <= 2, true, order.join(''));
  assert.equal(order.filter((flow) => flow === 'c').length, 2);
});

test('flows may come and go at any time, also while they are served', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 200 }), (steps) => {
      const ring = new FairRing<number>();
      const there = new Set<number>();
      for (const step of steps) {
        const flow = step % 4;
        if (step < 4) {
          ring.add(flow);
          there.add(flow);
        } else if (step < 6) {
          assert.equal(ring.remove(flow), there.delete(flow));
        } else {
          const served: number[] = [];
          const cost = ring.serve((value) => {
            served.push(value);
            if (step > 9) {
              ring.remove(value);
              there.delete(value);
            }
            return step === 6 ? 0 : step;
          });
          if (step === 6) assert.equal(cost, 0);
          else assert.equal(cost > 0, served.length === 1);
        }
        assert.equal(ring.size, there.size);
      }
    }),
  );
});
