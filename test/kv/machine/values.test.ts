import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Container, ValueReader, ValueWriter } from '../../../kv/machine/value.js';
import { CONTAINER_DECODERS } from '../../../kv/machine/values/decoders.js';
import { HashValue } from '../../../kv/machine/values/hash-value.js';
import { ListValue } from '../../../kv/machine/values/list-value.js';
import { orderKey, scoreOf } from '../../../kv/machine/values/score-order.js';
import { SetValue } from '../../../kv/machine/values/set-value.js';
import { SortedSetValue } from '../../../kv/machine/values/sorted-set-value.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);
const OPTIONS = { seed: SEED, numRuns: 60 };
const NAME = fc.nat({ max: 120 }).map((number) => `m${number}`);

function encoded(value: Container): Buffer {
  const writer = new ValueWriter();
  value.encode(writer);
  return Buffer.from(writer.view());
}

/** What every container owes: encoding and back, a clone that shares nothing, memory by content. */
function checkContainer(value: Container, change: (value: Container) => void): void {
  const bytes = encoded(value);
  const reader = new ValueReader(bytes);
  const restored = CONTAINER_DECODERS[value.type](reader);
  assert(reader.atEnd);
  assert.deepEqual(encoded(restored), bytes);
  assert.equal(restored.memoryBytes, value.memoryBytes, 'memory follows from the content');
  const clone = value.clone();
  assert.deepEqual(encoded(clone), bytes);
  assert.equal(clone.memoryBytes, value.memoryBytes);
  change(clone);
  assert.deepEqual(encoded(value), bytes, 'a clone shares nothing that changes');
}

test('a list equals an array under pushes, pops, inserts, trims and removals', () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom('head', 'tail'), item: NAME, times: fc.nat({ max: 90 }) }),
    },
    fc.record({ do: fc.constantFrom('popHead', 'popTail'), item: NAME, times: fc.nat({ max: 60 }) }),
    fc.record({
      do: fc.constantFrom('insert', 'set', 'remove', 'removeFromTail', 'trim'),
      item: NAME,
      times: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
      const list = new ListValue();
      let model: string[] = [];
      for (const { do: what, item, times } of steps) {
        const place = model.length === 0 ? 0 : times % model.length;
        if (what === 'insert') {
          list.insert(place, item);
          model.splice(place, 0, item);
        } else if (what === 'set') {
          if (model.length === 0) continue;
          list.set(place, item);
          model[place] = item;
        } else if (what === 'trim') {
          const end = Math.min(model.length, place + 100);
          list.trim(place, end);
          model = model.slice(place, end);
        } else if (what === 'remove' || what === 'removeFromTail') {
          const most = 1 + (times % 5);
          const fromTail = what === 'removeFromTail';
          let left = most;
          const inOrder = fromTail ? model.toReversed() : model;
          const rest = inOrder.filter((each) => each !== item || (left -= 1) < 0);
          const removed = list.removeEqual(item, most, fromTail);
          assert.equal(removed, model.length - rest.length);
          model = fromTail ? rest.toReversed() : rest;
        } else {
          for (let left = times; left > 0; left -= 1) {
            if (what === 'head') list.pushHead(`${item}:${left}`);
            if (what === 'head') model.unshift(`${item}:${left}`);
            if (what === 'tail') list.pushTail(item);
            if (what === 'tail') model.push(item);
            if (what === 'popHead') assert.equal(list.popHead(), model.shift());
            if (what === 'popTail') assert.equal(list.popTail(), model.pop());
          }
        }
        assert.deepEqual(list.slice(0, list.size), model);
        assert.equal(list.indexOf(item), model.indexOf(item));
        assert.equal(list.indexOf(item, true), model.lastIndexOf(item));
        if (model.length > 0) assert.equal(list.get(place % model.length), model[place % model.length]);
      }
      assert.deepEqual([...list.items()], model);
      checkContainer(list, (clone) => (clone as ListValue).pushTail('x'));
    }),
    OPTIONS,
  );
});

test('a sorted set equals a sorted array under changes of scores and removals, small and large', () => {
  const SCORE = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true }));
  const step = fc.record({ removes: fc.nat({ max: 3 }).map((n) => n === 0), member: NAME, score: SCORE });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 250, size: 'max' }), SCORE, SCORE, (steps, a, b) => {
      const zset = new SortedSetValue();
      const model = new Map<string, number>();
      for (const { removes, member, score } of steps) {
        if (removes) assert.equal(zset.delete(member), model.delete(member));
        else {
          assert.equal(zset.set(member, score), !model.has(member));
          model.set(member, score);
        }
      }
      const sorted = [...model]
        .map(([member, score]) => ({ member, score: score + 0 }))
        .toSorted((x, y) => x.score - y.score || (x.member < y.member ? -1 : 1));
      assert.deepEqual(zset.slice(0, zset.size), sorted);
      assert.deepEqual(zset.slice(0, zset.size, true), sorted.toReversed());
      for (const [rank, { member, score }] of sorted.entries()) {
        assert.equal(zset.rank(member), rank);
        assert.equal(zset.score(member), score);
      }
      for (const bound of [a, b]) {
        assert.equal(zset.countBelow(bound, false), sorted.filter(({ score }) => score < bound).length);
        assert.equal(zset.countBelow(bound, true), sorted.filter(({ score }) => score <= bound).length);
      }
      checkContainer(zset, (clone) => (clone as SortedSetValue).set('new', 0));
    }),
    OPTIONS,
  );
});

test('sets and hashes equal a set and a map, and keep the order of their arrays in a snapshot', () => {
  const step = fc.record({ removes: fc.boolean(), name: NAME, value: NAME });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const set = new SetValue();
      const hash = new HashValue();
      const model = new Map<string, string>();
      for (const { removes, name, value } of steps) {
        const isNew = !model.has(name);
        if (removes) {
          assert.equal(set.delete(name), !isNew);
          assert.equal(hash.delete(name), !isNew);
          model.delete(name);
        } else {
          assert.equal(set.add(name), isNew);
          assert.equal(hash.set(name, value), isNew);
          model.set(name, value);
        }
      }
      assert.deepEqual(set.members.toSorted(), [...model.keys()].toSorted());
      assert.deepEqual(new Map(hash.fields.map((field) => [field, hash.get(field)])), model);
      checkContainer(set, (clone) => (clone as SetValue).add('new'));
      checkContainer(hash, (clone) => (clone as HashValue).set('new', '1'));
    }),
    OPTIONS,
  );
});

test('order keys are ordered as scores are, and give them back', () => {
  const scores = [
    Number.NEGATIVE_INFINITY,
    -1e300,
    -2,
    -1,
    -Number.MIN_VALUE,
    0,
    Number.MIN_VALUE,
    0.1,
    1,
    2 ** 53,
    Number.MAX_VALUE,
    Number.POSITIVE_INFINITY,
  ];
  const keys = scores.map((score) => orderKey(score, 'm'));
  assert.deepEqual(keys.toSorted(), keys);
  assert.deepEqual(keys.map(scoreOf), scores);
  assert.equal(orderKey(-0, 'm'), orderKey(0, 'm'));
  const long = 'x'.repeat(5_000);
  assert.equal(orderKey(1, long).slice(8), long);
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
      assert.equal(orderKey(a, '') < orderKey(b, ''), a < b);
      assert.equal(scoreOf(orderKey(a, 'm')), a + 0);
    }),
    { seed: SEED, numRuns: 500 },
  );
});
