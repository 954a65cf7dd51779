import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { assignLeastLoaded } from '../../../render/worker/assignment.js';

test('five tasks for renderers with 2, 0 and 1 go 1, 3, 1', () => {
  const given = assignLeastLoaded(
    new Map([
      [12, 1],
      [10, 2],
      [11, 0],
    ]),
    5,
  );
  assert.deepEqual(
    [...given],
    [
      [10, 1],
      [11, 3],
      [12, 1],
    ],
  );
});

test('nobody is given nothing, and without renderers nothing is given', () => {
  assert.deepEqual(
    [
      ...assignLeastLoaded(
        new Map([
          [1, 0],
          [2, 9],
        ]),
        3,
      ),
    ],
    [[1, 3]],
  );
  assert.deepEqual([...assignLeastLoaded(new Map(), 3)], []);
  assert.deepEqual([...assignLeastLoaded(new Map([[1, 0]]), 0)], []);
});

test('it gives what taking the least loaded one task by task would give', () => {
  const loads = fc.uniqueArray(fc.tuple(fc.nat(20), fc.nat(12)), {
    selector: ([id]) => id,
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(loads, fc.nat(60), (loads, count) => {
      const now = new Map(loads.toSorted(([a], [b]) => a - b));
      const expected = new Map<number, number>();
      for (let task = 0; task < count; task += 1) {
        const [id] = [...now].reduce((least, other) => (other[1] < least[1] ? other : least));
        now.set(id, now.get(id)! + 1);
        expected.set(id, (expected.get(id) ?? 0) + 1);
      }
      assert.deepEqual(
        [...assignLeastLoaded(new Map(loads), count)],
        [...expected].toSorted(([a], [b]) => a - b),
      );
    }),
  );
});
