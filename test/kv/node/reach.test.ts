import assert from 'node:assert/strict';
import test from 'node:test';
import { Reach } from '../../../kv/node/reach.js';

const PATIENCE = 10;

test('who is listed is reached where the list says, and who left for a while longer', () => {
  const reach = new Reach(PATIENCE);
  assert.deepEqual(
    [
      ...reach.listIs(
        new Map([
          [2, 'b:1'],
          [3, 'c:1'],
        ]),
        0,
      ),
    ],
    [
      [2, 'b:1'],
      [3, 'c:1'],
    ],
  );
  assert.deepEqual(
    [...reach.listIs(new Map([[3, 'c:1']]), 5)],
    [
      [3, 'c:1'],
      [2, 'b:1'],
    ],
  );
  assert.equal(reach.isOverdue(14), false);
  assert.equal(reach.isOverdue(15), true);
  assert.deepEqual([...reach.at(15)], [[3, 'c:1']]);
});

test('a stranger who speaks is reached where it says, until it is silent for long', () => {
  const reach = new Reach(PATIENCE);
  reach.listIs(new Map([[2, 'b:1']]), 0);
  assert.equal(reach.heard(7, 'g:1', 1), true);
  assert.equal(reach.at(1).get(7), 'g:1');
  assert.equal(reach.heard(7, 'g:1', 8), false, 'nothing new');
  assert.equal(reach.at(17).get(7), 'g:1');
  reach.at(18);
  assert.equal(reach.at(18 + PATIENCE).has(7), false);
});

test('one who moved is reached where it says, though the list lags behind; then where the list says', () => {
  const reach = new Reach(PATIENCE);
  reach.listIs(new Map([[2, 'old:1']]), 0);
  assert.equal(reach.heard(2, 'new:1', 1), true);
  assert.equal(reach.at(1).get(2), 'new:1');
  reach.listIs(new Map([[2, 'new:1']]), 2);
  reach.heard(2, 'new:1', 3);
  assert.equal(reach.isOverdue(100), false);
  assert.equal(reach.at(100).get(2), 'new:1');
});

test('who does not say where it is changes nothing, and strangers are a bounded number', () => {
  const reach = new Reach(PATIENCE);
  assert.equal(reach.heard(9, '', 0), false);
  for (let id = 100; id < 400; id += 1) reach.heard(id, `h${id}:1`, 0);
  assert.equal(reach.at(0).size, 64);
});
