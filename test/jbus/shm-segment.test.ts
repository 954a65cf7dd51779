// Segments seen from JavaScript: one mapping, views that go to length 0, nothing left behind. Each of the defects that
// other bindings of System V memory have shown has its test here.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { requireAddon } from '../../addon/index.js';
import { ShmSegment } from '../../addon/jbus/index.js';
import { until } from '../support/until.js';
import { jbusError } from './support/rings.js';

const BYTES = 8192;
const addon = requireAddon();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A segment that lives while somebody is attached. */
function privateSegment(): ShmSegment {
  const segment = ShmSegment.create(0, BYTES);
  segment.remove();
  return segment;
}

function isGone(id: number): boolean {
  try {
    addon.shmStat(id);
    return false;
  } catch {
    return true; // EINVAL: no such segment
  }
}

test('attaching twice in a thread is one mapping and one buffer, and the last close ends both', async () => {
  const first = privateSegment();
  const second = ShmSegment.attach(first.id);
  assert.equal(second.buffer, first.buffer);
  assert.equal(first.stat().attachCount, 1);
  first.close();
  assert.equal(second.buffer.byteLength, BYTES);
  second.close();
  await until(() => isGone(first.id));
});

test('after close every view has length 0 and reads undefined', async () => {
  const segment = privateSegment();
  const { buffer } = segment;
  const bytes = new Uint8Array(buffer);
  const words = new BigUint64Array(buffer, 8, 2);
  bytes[9] = 7;
  segment.close();
  segment.close();
  assert.equal(buffer.byteLength, 0);
  assert.equal(bytes[9], undefined);
  assert.equal(words.length, 0);
  assert.throws(() => segment.buffer, jbusError('JBUS_CLOSED'));
  await until(() => isGone(segment.id));
});

test('1000 attachments that nobody closed are collected, and each mapping is undone once', async () => {
  const before = addon.shmTotals();
  const keeper = privateSegment();
  for (let round = 0; round < 1000; round += 1) ShmSegment.attach(keeper.id);
  const forgotten = (): number => privateSegment().id;
  const ids = Array.from({ length: 50 }, forgotten);
  await until(() => {
    collectGarbage();
    return ids.every(isGone);
  });
  assert.equal(keeper.stat().attachCount, 1);
  keeper.close();
  await until(() => addon.shmTotals().segments === before.segments);
  const after = addon.shmTotals();
  assert.equal(after.bytes, before.bytes);
  assert.equal(after.attached - before.attached, 51);
  assert.equal(after.detached - before.detached, 51);
});

test('a view keeps the memory although its segment was collected', async () => {
  const make = (): Uint8Array => new Uint8Array(privateSegment().buffer).fill(5);
  const view = make();
  for (let round = 0; round < 5; round += 1) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(view[BYTES - 1], 5);
});

test('a buffer cannot be transferred to another thread', () => {
  const segment = privateSegment();
  const { buffer } = segment;
  try {
    // Node 20 copies instead, later ones throw.
    assert.notEqual(structuredClone(buffer, { transfer: [buffer] }), buffer);
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError');
  }
  assert.equal(buffer.byteLength, BYTES);
  segment.close();
});

test('a worker attaches for itself, and its end leaves the views of the main thread alone', async () => {
  const segment = privateSegment();
  const bytes = new Uint8Array(segment.buffer);
  bytes[1] = 41;
  const worker = new Worker(new URL('support/segment.worker.js', import.meta.url), {
    workerData: { id: segment.id },
  });
  const exited = once(worker, 'exit'); // it may come in the same turn as the message
  const [answer] = (await once(worker, 'message')) as [{ read: number; attachCount: number }];
  assert.deepEqual(answer, { read: 41, attachCount: 1 });
  await exited;
  assert.equal(bytes[1], 42);
  assert.equal(segment.stat().attachCount, 1);
  segment.close();
  await until(() => isGone(segment.id));
});

test('a terminated worker leaves no mapping', async () => {
  const segment = privateSegment();
  const before = addon.shmTotals();
  for (let round = 0; round < 5; round += 1) {
    const worker = new Worker(new URL('support/segment.worker.js', import.meta.url), {
      workerData: { id: segment.id, keep: true },
    });
    await once(worker, 'message');
    await worker.terminate();
  }
  assert.equal(addon.shmTotals().segments, before.segments);
  segment.close();
  await until(() => isGone(segment.id));
});

test('the mode is 0600 whatever the umask', () => {
  const before = process.umask(0);
  const segment = privateSegment();
  process.umask(before);
  assert.equal(segment.stat().mode, 0o600);
  segment.close();
});

test('a removed segment can be attached by id, and not found by its key any more', () => {
  const key = 0x4b00_0000 + (process.pid % 0xffff);
  const segment = ShmSegment.create(key, BYTES);
  try {
    assert.throws(() => ShmSegment.create(key, BYTES), jbusError('JBUS_KEY_IN_USE'));
    assert.equal(ShmSegment.attachByKey(key).id, segment.id);
  } finally {
    segment.remove();
    segment.remove();
  }
  assert.equal(segment.stat().removed, true);
  assert.throws(() => ShmSegment.attachByKey(key), jbusError('JBUS_NO_SEGMENT'));
  ShmSegment.attach(segment.id).close();
  segment.close();
  segment.close();
});

test('what cannot be is refused with a code, errno and system call', () => {
  assert.throws(() => ShmSegment.attach(2 ** 31 - 1), {
    name: 'JbusError',
    code: 'JBUS_NO_SEGMENT',
    errno: 22,
    syscall: 'shmat',
  });
  assert.throws(() => ShmSegment.attach(1.5), jbusError('JBUS_INVALID_ARGUMENT'));
  assert.throws(() => ShmSegment.create(0, 0), jbusError('JBUS_INVALID_ARGUMENT'));
  assert.throws(() => ShmSegment.create(2 ** 31, BYTES), jbusError('JBUS_INVALID_ARGUMENT'));
  assert.throws(() => addon.shmUnmap(new Uint8Array(8) as unknown as ArrayBuffer), {
    code: 'ADDON_INVALID_ARGUMENT',
  });
});
