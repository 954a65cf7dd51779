import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LivenessTable } from '../../render/index.js';

test('who is silent for three ticks is gone, and told once', () => {
  const table = new LivenessTable<string>();
  table.add('a');
  assert.deepEqual(
    [1, 2, 3, 4].map((second) => table.tick(second * 1000)),
    [[], [], ['a'], []],
  );
  assert.equal(table.beat('a'), false, 'it has to register again');
  assert.equal(table.size, 0);
});

test('who beats every second for a minute is never removed', () => {
  const table = new LivenessTable<string>();
  table.add('a');
  for (let second = 1; second <= 60; second += 1) {
    assert.deepEqual(table.tick(second * 1000), []);
    assert.equal(table.beat('a'), true);
  }
});

test('a loop that stood still for two seconds removes nobody', () => {
  const table = new LivenessTable<string>();
  table.add('a');
  assert.deepEqual(table.tick(1000), []);
  assert.deepEqual(table.tick(2000), []);
  // One life is left, and its beats wait unread behind the tick that comes late.
  assert.deepEqual(table.tick(4000), []);
  assert.equal(table.ticksSkipped, 1);
  assert.equal(table.beat('a'), true);
  assert.deepEqual(table.tick(5000), []);
});

test('a removed key does not die, and one life is refused', () => {
  const table = new LivenessTable<number>({ lives: 2 });
  table.add(1);
  assert.equal(table.remove(1), true);
  assert.deepEqual([table.tick(1000), table.tick(2000)], [[], []]);
  assert.throws(() => new LivenessTable({ lives: 1 }), { code: 'RENDER_OPTION_INVALID' });
});

test('a key dies at the tick that ends its lives, and never while it beats more often than that', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.array(fc.boolean(), { maxLength: 40 }), (lives, beats) => {
      const table = new LivenessTable<string>({ lives });
      table.add('a');
      let silent = 0;
      let dead = false;
      for (const [at, beat] of beats.entries()) {
        if (beat) {
          assert.equal(table.beat('a'), !dead);
          if (!dead) silent = 0;
        }
        silent += 1;
        const gone = table.tick(at * 1000);
        assert.deepEqual(gone, !dead && silent === lives ? ['a'] : []);
        dead ||= silent === lives;
      }
    }),
  );
});
