import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Deadlines } from '../../../kv/machine/deadlines.js';
import { seededRandom } from '../support/seeded-random.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);

test('keys come due in the order of deadline and key, whatever was moved before', () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), at: fc.nat({ max: 12 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat({ max: 12 }), (steps, nowMs) => {
      const truth = new Map<string, number>();
      const deadlines = new Deadlines((key) => truth.get(key) ?? 0);
      for (const { key, at } of steps) move(deadlines, truth, key, at);
      const ordered = [...truth].toSorted(([a, at], [b, bt]) => at - bt || (a < b ? -1 : 1));
      assert.equal(deadlines.live, ordered.length);
      assert.equal(deadlines.next(), ordered[0]?.[1] ?? null);
      const due: string[] = [];
      for (let key = deadlines.due(nowMs); key !== null; key = deadlines.due(nowMs)) {
        due.push(key);
        move(deadlines, truth, key, 0);
      }
      assert.deepEqual(
        due,
        ordered.filter(([, at]) => at <= nowMs).map(([key]) => key),
      );
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test('places stay within twice the keys, however often deadlines are moved sooner, taken away and set again', () => {
  const truth = new Map<string, number>();
  const deadlines = new Deadlines((key) => truth.get(key) ?? 0);
  const random = seededRandom(SEED);
  for (let round = 0; round < 100_000; round += 1) {
    const key = `k${Math.floor(random() * 50)}`;
    move(deadlines, truth, key, random() < 0.3 ? 0 : 1_000_000 - round);
    assert(deadlines.places <= 2 * deadlines.live + 1025);
  }
  assert.equal(deadlines.next(), Math.min(...truth.values()));
});

test('a deadline that is only ever moved later costs no places', () => {
  const truth = new Map<string, number>();
  const deadlines = new Deadlines((key) => truth.get(key) ?? 0);
  for (let at = 1; at <= 10_000; at += 1) move(deadlines, truth, 'session', at);
  assert.equal(deadlines.places, 1);
  assert.equal(deadlines.next(), 10_000);
});

function move(deadlines: Deadlines, truth: Map<string, number>, key: string, at: number): void {
  const before = truth.get(key) ?? 0;
  if (at === 0) truth.delete(key);
  else truth.set(key, at);
  deadlines.move(key, before, at);
}
