// The queue of output: order, sharing of slabs, and what it leaves when memory runs out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCodec } from '../../reactor/codecs/create-codec.js';
import { OutputQueue } from '../../reactor/output-queue.js';
import { poolOfTest } from '../support/frame-wire.js';
import { tlvFrame } from '../support/tlv.js';

const codec = createCodec({ kind: 'tlv' });

function append(queue: OutputQueue, body: Buffer): void {
  queue.appendFrame(codec, 1, body, codec.encodedBytes(1, body));
}

function drain(queue: OutputQueue): { bytes: Buffer; chunks: number } {
  const parts: Buffer[] = [];
  for (let chunk = queue.shift(); chunk !== null; chunk = queue.shift()) {
    parts.push(Buffer.from(chunk.slab.bytes.subarray(0, chunk.usedBytes)));
    chunk.slab.release();
  }
  return { bytes: Buffer.concat(parts), chunks: parts.length };
}

test('frames and raw bytes of every size come out in the order in which they went in', () => {
  const pool = poolOfTest();
  const queue = new OutputQueue(pool);
  const expected: Buffer[] = [];
  for (const size of [0, 1, 4000, 100, 5000, 70_000, 3, 65_536, 0, 300_000, 16_000]) {
    const body = Buffer.alloc(size, size % 251);
    append(queue, body);
    queue.appendBytes(body);
    expected.push(tlvFrame(1, body), body);
  }
  assert.equal(queue.bytes, Buffer.concat(expected).length);
  assert.deepEqual(drain(queue).bytes, Buffer.concat(expected));
  assert.equal(queue.bytes, 0);
  assert.equal(queue.shift(), null);
  pool.close();
});

test('a thousand small frames leave in few chunks, and the memory held stays close to the bytes that wait', () => {
  const pool = poolOfTest();
  const queue = new OutputQueue(pool);
  for (let count = 0; count < 1000; count += 1) {
    append(queue, Buffer.alloc(100));
    assert(pool.stats().lentBytes <= Math.max(4096, 4 * queue.bytes));
  }
  assert.equal(drain(queue).chunks, 2);
  pool.close();
});

test('a long frame behind a short one gets a slab of its own and does not drag the short one along', () => {
  const pool = poolOfTest();
  const queue = new OutputQueue(pool);
  append(queue, Buffer.alloc(10));
  append(queue, Buffer.alloc(500_000));
  append(queue, Buffer.alloc(10));
  assert.equal(drain(queue).chunks, 2);
  pool.close();
});

test('at the cap of the pool nothing is appended, and what waits stays whole', () => {
  const pool = poolOfTest(64 * 1024);
  const queue = new OutputQueue(pool);
  append(queue, Buffer.alloc(3000, 1));
  assert.throws(() => append(queue, Buffer.alloc(60_000, 2)), { code: 'REACTOR_POOL_EXHAUSTED' });
  assert.throws(() => queue.appendBytes(Buffer.alloc(100_000)), { code: 'REACTOR_POOL_EXHAUSTED' });
  append(queue, Buffer.alloc(500, 3));
  const expected = Buffer.concat([tlvFrame(1, Buffer.alloc(3000, 1)), tlvFrame(1, Buffer.alloc(500, 3))]);
  assert.equal(queue.bytes, expected.length);
  assert.deepEqual(drain(queue).bytes, expected);
  pool.close();
});

test('clear gives all memory back, full chunks and the open one', () => {
  const pool = poolOfTest();
  const queue = new OutputQueue(pool);
  for (let count = 0; count < 10; count += 1) append(queue, Buffer.alloc(50_000));
  queue.clear();
  assert.equal(pool.stats().lentBytes, 0);
  append(queue, Buffer.alloc(1));
  assert.equal(drain(queue).chunks, 1);
  pool.close();
});
