// The ring alone: order, bounds, wrap-around, and producers that are killed while they push.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { RING_HEADER_BYTES, type TaskRecord, TaskRing } from '../../reactor/task-ring.js';
import { until } from '../support/until.js';

const CAPACITY = 16 * 1024;

function memoryFor(capacityBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(RING_HEADER_BYTES + capacityBytes);
}

function push(ring: TaskRing, callId: number, payload: Uint8Array, name = 'task'): boolean {
  return ring.tryPush({ kind: 1, format: 2, incarnation: 7, callId, name: Buffer.from(name), payload });
}

/** A payload whose every byte follows from its number and length. */
function patterned(callId: number, length: number): Buffer {
  return Buffer.alloc(length, callId % 251);
}

/** What is there, oldest first, but at most `recordsMax`. */
function takeAll(ring: TaskRing, recordsMax: number = Infinity): TaskRecord[] {
  const records: TaskRecord[] = [];
  while (records.length < recordsMax) {
    const record = ring.take();
    if (record === null) break;
    records.push(record);
  }
  return records;
}

test('a record comes out as it went in', () => {
  const ring = new TaskRing(memoryFor(CAPACITY), 0, CAPACITY);
  ring.tryPush({
    kind: 3,
    format: 0x82,
    incarnation: 65_535,
    callId: 2 ** 32 - 1,
    name: Buffer.from('größe'),
    payload: Buffer.from('abc'),
  });
  assert.deepEqual(ring.take(), {
    kind: 3,
    format: 0x82,
    incarnation: 65_535,
    callId: 2 ** 32 - 1,
    name: 'größe',
    payload: Buffer.from('abc'),
  });
  assert.equal(ring.take(), null);
});

test('records of every size keep their order over many wrap-arounds', () => {
  const ring = new TaskRing(memoryFor(CAPACITY), 0, CAPACITY);
  let pushed = 0;
  let taken = 0;
  while (taken < 30_000) {
    while (push(ring, pushed, patterned(pushed, (pushed * 37) % 4097))) pushed += 1;
    assert.equal(ring.depth, pushed - taken);
    for (let count = 1 + (taken % 5); count > 0; count -= 1) {
      const record = ring.take();
      if (record === null) break;
      assert.equal(record.callId, taken);
      assert.ok(record.payload.equals(patterned(taken, (taken * 37) % 4097)));
      taken += 1;
    }
  }
});

test('a full ring refuses, and takes again what has become free', () => {
  const ring = new TaskRing(memoryFor(CAPACITY), 0, CAPACITY);
  let pushed = 0;
  while (push(ring, pushed, patterned(pushed, 100))) pushed += 1;
  assert.equal(pushed, Math.floor(CAPACITY / 128));
  assert.equal(ring.hasRoom(4, 100), false);
  ring.take();
  assert.equal(ring.hasRoom(4, 100), true);
  assert.equal(push(ring, pushed, patterned(pushed, 100)), true);
  assert.deepEqual(
    takeAll(ring).map((record) => record.callId),
    Array.from({ length: pushed }, (_, index) => index + 1),
  );
});

test('an empty ring takes the largest record wherever it stands', () => {
  const ring = new TaskRing(memoryFor(CAPACITY), 0, CAPACITY);
  for (let shift = 0; shift < CAPACITY / 16; shift += 1) {
    assert.equal(push(ring, shift, patterned(shift, 4096), 'n'.repeat(256)), true);
    assert.equal(ring.take()?.callId, shift);
    push(ring, 0, Buffer.alloc(0), 'n'); // moves on by two units
    ring.take();
  }
});

test('the space a producer wants is announced once', () => {
  const ring = new TaskRing(memoryFor(CAPACITY), 0, CAPACITY);
  assert.equal(ring.takeSpaceWanted(), false);
  ring.wantSpace();
  assert.equal(ring.takeSpaceWanted(), true);
  assert.equal(ring.takeSpaceWanted(), false);
});

test('a producer killed at any moment leaves only whole records, in order', { timeout: 60_000 }, async () => {
  const memory = memoryFor(CAPACITY);
  const ring = new TaskRing(memory, 0, CAPACITY);
  const seed = Date.now() >>> 0;
  let expected = 0;
  const check = (record: TaskRecord): void => {
    assert.equal(record.callId, expected, `seed ${seed}`);
    assert.ok(record.payload.equals(patterned(expected, (expected * 13) % 600)), `seed ${seed}`);
    expected += 1;
  };
  for (let round = 0; round < 50; round += 1) {
    const worker = new Worker(new URL('./fixtures/ring-producer.worker.js', import.meta.url), {
      workerData: { memory, capacityBytes: CAPACITY, first: expected },
      execArgv: [],
    });
    const enough = expected + 1 + (((seed + round) * 7919) % 5000);
    await until(() => {
      for (const record of takeAll(ring, 64)) check(record);
      return expected >= enough;
    });
    let hasEnded = false;
    void worker.terminate().then(() => (hasEnded = true));
    await until(() => {
      for (const record of takeAll(ring, 64)) check(record);
      return hasEnded;
    });
    for (const record of takeAll(ring)) check(record);
    assert.equal(ring.depth, 0);
  }
});
