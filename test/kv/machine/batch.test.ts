import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KvError } from '../../../kv/index.js';
import {
  BatchReader,
  BatchWriter,
  ITEM_EXEC,
  ITEM_NATIVE,
  ITEM_REDIS,
  ITEM_SETTING,
  ItemWriter,
  itemCountOf,
  originOf,
  stampTime,
  timeOf,
} from '../../../kv/machine/batch.js';
import { batchOf, commandBatch, Harness, itemsOf, ORIGIN } from './machine-harness.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);
const BYTES = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const UINT = fc.maxSafeNat();

test('what a writer put into a batch a reader finds in it, whatever the bytes', () => {
  const args = fc.array(BYTES, { minLength: 1, maxLength: 6 });
  const item = fc.oneof(
    fc.record({ kind: fc.constant(ITEM_REDIS), args, readOnly: fc.boolean() }),
    fc.record({
      kind: fc.constant(ITEM_EXEC),
      watches: fc.array(fc.record({ key: BYTES, version: UINT }), { maxLength: 3 }),
      commands: fc.array(args, { maxLength: 4 }),
    }),
    fc.record({
      kind: fc.constant(ITEM_NATIVE),
      numbers: fc.tuple(UINT, UINT, UINT),
      command: fc.uint8Array(),
    }),
    fc.record({ kind: fc.constant(ITEM_SETTING), name: BYTES, value: BYTES }),
  );
  const writer = new ItemWriter();
  const batch = new BatchWriter();
  const reader = new BatchReader();
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 12 }),
      fc.nat(),
      UINT,
      UINT,
      UINT,
      (items, origin, boot, sequence, timeMs) => {
        for (const each of items) {
          if ('args' in each) writer.redis(each.args, each.readOnly);
          else if ('commands' in each) writer.exec(each.watches, each.commands);
          else if ('numbers' in each) writer.native(...each.numbers, each.command);
          else writer.setting(each.name, each.value);
        }
        batch.add(writer.take());
        const data = batch.take({ origin, boot, sequence }, 1);
        stampTime(data, timeMs);
        assert.deepEqual(originOf(data), { origin, boot, sequence });
        assert.equal(timeOf(data), timeMs);
        assert.equal(itemCountOf(data), items.length);
        reader.open(data);
        for (const each of items) {
          assert(reader.next());
          assert.equal(reader.kind, each.kind);
          if ('args' in each) {
            assert.equal(reader.readOnly, each.readOnly);
            assert.deepEqual(reader.args(), each.args);
          } else if ('commands' in each) {
            const watches = Array.from({ length: reader.u32() }, () => ({
              key: reader.text(),
              version: reader.u64(),
            }));
            assert.deepEqual(
              watches,
              each.watches.map((watch) => ({ ...watch })),
            );
            assert.deepEqual(
              Array.from({ length: reader.u32() }, () => reader.args()),
              each.commands,
            );
          } else if ('numbers' in each) {
            assert.deepEqual([reader.u64(), reader.u64(), reader.u64()], each.numbers);
            assert.deepEqual(Buffer.from(reader.rest()), Buffer.from(each.command));
          } else {
            assert.deepEqual([reader.text(), reader.text()], [each.name, each.value]);
          }
        }
        assert(!reader.next());
      },
    ),
    { seed: SEED, numRuns: 300 },
  );
});

test('a batch handed off stays as it was while the writers go on', () => {
  const writer = new ItemWriter();
  const batch = new BatchWriter();
  const taken: { data: Buffer; copy: Buffer }[] = [];
  for (let number = 0; number < 2000; number += 1) {
    writer.redis(['SET', `key${number}`, 'x'.repeat(number % 300)], false);
    if (number % 3 === 0) continue;
    batch.add(writer.take());
    if (number % 5 !== 0) continue;
    const data = batch.take(ORIGIN, number);
    taken.push({ data, copy: Buffer.from(data) });
  }
  for (const { data, copy } of taken) assert.deepEqual(data, copy);
});

test('an item larger than a slab, and items that together are, come out whole', () => {
  const huge = 'h'.repeat(300_000);
  const items = itemsOf((writer) => {
    for (let number = 0; number < 100; number += 1)
      writer.redis(['SET', 'k', 'v'.repeat(number * 50)], false);
    writer.redis(['SET', 'huge', huge], false);
    writer.redis(['GET', 'k'], true);
  });
  const reader = new BatchReader();
  reader.open(batchOf(items, ORIGIN, 1));
  for (let number = 0; number < 100; number += 1) {
    assert(reader.next());
    assert.deepEqual(reader.args(), ['SET', 'k', 'v'.repeat(number * 50)]);
  }
  assert(reader.next());
  assert.equal(reader.args()[2], huge);
  assert(reader.next());
  assert.deepEqual(reader.args(), ['GET', 'k']);
  assert(!reader.next());
});

test('a batch cut anywhere is refused with a code, and nothing of it is executed', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1');
  const before = harness.machine.hash();
  const data = mixedBatch();
  for (let length = 0; length < data.length; length += 1) {
    assert.throws(
      () => harness.machine.apply(9, 1, data.subarray(0, length), true),
      isCode('KV_BATCH_MALFORMED'),
    );
  }
  assert.throws(
    () => harness.machine.apply(9, 1, Buffer.concat([data, Buffer.alloc(1)]), true),
    isCode('KV_BATCH_MALFORMED'),
  );
  assert.equal(harness.machine.hash(), before);
  assert.notEqual(harness.machine.apply(9, 1, data, true), null, 'whole, it is executed');
});

test('a batch with any byte changed is either refused whole or executed like any other', () => {
  const data = mixedBatch();
  for (let at = 0; at < data.length; at += 1) {
    for (const change of [0x01, 0xff]) {
      const harness = new Harness();
      harness.run('SET', 'a', '1');
      const before = harness.machine.hash();
      const damaged = Buffer.from(data);
      damaged[at]! ^= change;
      try {
        harness.machine.apply(2, 1, damaged, true);
      } catch (error) {
        assert(error instanceof KvError && /^KV_BATCH_(MALFORMED|FOREIGN)$/.test(error.code), String(error));
        assert.equal(harness.machine.hash(), before);
      }
      harness.machine.keyspace.checkInvariants();
    }
  }
});

test('a batch of a newer version stops the member that does not know it', () => {
  const data = commandBatch(['SET', 'a', '1']);
  data[0] = 2;
  assert.throws(() => new Harness().apply(data), isCode('KV_BATCH_FOREIGN'));
});

test('counts far beyond the bytes that follow them are refused without being believed', () => {
  const data = commandBatch(['SET', 'a', '1']);
  for (const at of [32, 44, 48, 52]) {
    const damaged = Buffer.from(data);
    damaged.writeUInt32LE(0xffff_fff0, at);
    assert.throws(() => new Harness().apply(damaged), isCode('KV_BATCH_MALFORMED'), `at ${at}`);
  }
});

function mixedBatch(): Buffer {
  const items = itemsOf((writer) => {
    writer.redis(['SET', 'a', '2'], false);
    writer.exec(
      [{ key: 'b', version: 0 }],
      [
        ['SET', 'b', '1'],
        ['GET', 'b'],
      ],
    );
    writer.setting('quota-bytes', '1000000');
    writer.redis(['GET', 'a'], true);
    writer.native(0, 0, 0, new Uint8Array(0));
  });
  return batchOf(items, { ...ORIGIN, sequence: 100 }, 2_000_000);
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof KvError && error.code === code;
}
