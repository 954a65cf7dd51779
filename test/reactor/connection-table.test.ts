// Ids of connections: slots are used again, ids are not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionTable } from '../../reactor/connection-table.js';
import { SeededRandom } from '../support/seeded-random.js';

interface Item {
  readonly id: number;
}
const make = (id: number): Item => ({ id });

test('an id whose connection has ended finds nothing, whoever has its slot now', () => {
  const table = new ConnectionTable<Item>();
  const first = table.add(make);
  table.remove(first.id);
  const second = table.add(make);
  assert.equal(second.id % 2 ** 24, first.id % 2 ** 24);
  assert.notEqual(second.id, first.id);
  assert.equal(table.get(first.id), undefined);
  assert.equal(table.get(second.id), second);
});

test('ids that were never given out find nothing', () => {
  const table = new ConnectionTable<Item>();
  table.add(make);
  for (const id of [0, -1, 1.5, NaN, 2 ** 24 + 1, 2 ** 25, 2 ** 53]) assert.equal(table.get(id), undefined);
});

test('a visitor may remove what it visits', () => {
  const table = new ConnectionTable<Item>();
  for (let count = 0; count < 10; count += 1) table.add(make);
  for (const { id } of table) table.remove(id);
  assert.equal(table.size, 0);
  assert.deepEqual([...table], []);
});

test('removing twice is a defect', () => {
  const table = new ConnectionTable<Item>();
  const { id } = table.add(make);
  table.remove(id);
  assert.throws(() => table.remove(id), { name: 'AssertionError' });
});

test('over random comings and goings no id comes twice and the table agrees with a plain map', () => {
  const seed = 20_261_120;
  const random = new SeededRandom(seed);
  const table = new ConnectionTable<Item>();
  const living = new Map<number, Item>();
  const used = new Set<number>();
  for (let step = 0; step < 20_000; step += 1) {
    if (living.size === 0 || random.chance(0.52)) {
      const item = table.add(make);
      assert(!used.has(item.id), `seed ${seed}, step ${step}`);
      used.add(item.id);
      living.set(item.id, item);
    } else {
      const [id] = [...living.keys()].slice(random.integer(0, Math.min(living.size, 20) - 1));
      table.remove(id!);
      living.delete(id!);
    }
    assert.equal(table.size, living.size, `seed ${seed}, step ${step}`);
  }
  for (const id of used) assert.equal(table.get(id), living.get(id), `seed ${seed}, id ${id}`);
});
