import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { KvError } from '../../../kv/index.js';
import { Machine } from '../../../kv/machine/machine.js';
import { ErrorReply } from '../../../kv/machine/reply.js';
import { Harness, snapshotOf } from './machine-harness.js';

test('a restored machine has every key, deadline, version, setting and origin, and goes on alike', () => {
  const harness = filled();
  const restored = Machine.restore([snapshotOf(harness.machine)]);
  restored.keyspace.checkInvariants();
  assert.equal(restored.hash(), harness.machine.hash());
  assert.equal(restored.revision, harness.machine.revision);
  assert.equal(restored.timeMs, harness.machine.timeMs);
  assert.equal(restored.nextDeadlineMs(), harness.machine.nextDeadlineMs());
  assert.deepEqual(restored.settings.entries(), harness.machine.settings.entries());
  assert.equal(restored.apply(1, 1, harness.log[0]!, true), null, 'what was executed before stays executed');
  harness.pass(60_000);
  restored.apply(99, 1, harness.log.at(-1)!, false);
  assert.equal(restored.hash(), harness.machine.hash());
});

test('the bytes do not depend on how a state came to be', () => {
  const harness = new Harness();
  harness.run('SET', 'a', 'xyz');
  const [version, revision] = [1, harness.machine.revision];
  assert.equal(version, revision);
  const other = new Harness();
  other.run('SETRANGE', 'a', '0', 'xyz');
  assert.equal(other.machine.hash(), harness.machine.hash(), 'a Buffer and a string of the same bytes');
  assert.equal(other.machine.memoryBytes, harness.machine.memoryBytes);
});

test('the hash is that of the snapshot`s bytes, whatever the chunks they come in', () => {
  const { machine } = filled();
  const bytes = snapshotOf(machine);
  assert.equal(machine.hash(), createHash('sha256').update(bytes).digest('hex'));
  for (const size of [1, 7, 4096, 65_536, 100_000, bytes.length]) {
    const loader = Machine.loader();
    for (let at = 0; at < bytes.length; at += size) loader.write(bytes.subarray(at, at + size));
    assert.equal(loader.finish().hash(), machine.hash(), `cut every ${size} bytes`);
  }
});

test('no chunk is above 64 KiB, and a value larger than that crosses them', () => {
  const harness = new Harness();
  harness.run('SET', 'large', 'x'.repeat(300_000));
  harness.run('SET', 'z', '1');
  const snapshot = harness.machine.snapshot();
  const chunks = [...snapshot.chunks()];
  snapshot.close();
  assert(chunks.length > 4);
  assert(chunks.every((chunk) => chunk.length <= 65_536));
  assert.equal(Machine.restore(chunks).hash(), harness.machine.hash());
});

test('a state whose bytes end exactly with a frame can be read back', () => {
  // One more byte of value is one more byte of stream: every position within a frame comes up once in a while.
  for (let length = 65_300; length < 65_536; length += 1) {
    const harness = new Harness();
    harness.run('SET', 'a', 'x'.repeat(length));
    assert.equal(Machine.restore([snapshotOf(harness.machine)]).hash(), harness.machine.hash());
  }
});

test('a snapshot cut anywhere is refused', () => {
  const bytes = snapshotOf(filled().machine);
  const step = Math.max(1, Math.floor(bytes.length / 3000));
  for (let length = 0; length < bytes.length; length += step) {
    assert.throws(() => Machine.restore([bytes.subarray(0, length)]), isDamaged, `cut at ${length}`);
  }
  assert.throws(() => Machine.restore([bytes, Buffer.alloc(1)]), isDamaged);
  assert.throws(() => Machine.restore([bytes, bytes]), isDamaged);
});

test('a snapshot with any byte changed is refused', () => {
  const bytes = snapshotOf(filled().machine);
  const step = Math.max(1, Math.floor(bytes.length / 3000));
  for (let at = 0; at < bytes.length; at += step) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x40;
    assert.throws(() => Machine.restore([damaged]), isDamaged, `changed at ${at}`);
  }
});

test('a loader that refused once gives no machine', () => {
  const bytes = snapshotOf(filled().machine);
  const damaged = Buffer.from(bytes);
  damaged[20]! ^= 1;
  const loader = Machine.loader();
  assert.throws(() => loader.write(damaged), isDamaged);
  assert.throws(() => loader.write(bytes), isDamaged);
  assert.throws(() => loader.finish(), isDamaged);
});

test('a closed snapshot gives no more chunks and holds nothing; closing twice is no harm', () => {
  const harness = filled();
  harness.run('SET', 'a', 'x'.repeat(200_000));
  const { machine } = harness;
  const snapshot = machine.snapshot();
  const chunks = snapshot.chunks();
  chunks.next();
  snapshot.close();
  snapshot.close();
  assert.throws(
    () => [...chunks],
    (error) => error instanceof KvError && error.code === 'KV_CLOSED',
  );
  for (let count = 0; count < 40; count += 1) machine.snapshot().close();
});

test('an expired key that is not removed yet is in the snapshot, hidden on both sides', () => {
  const harness = new Harness();
  harness.entry((items) => {
    for (let number = 0; number < 10_010; number += 1)
      items.redis(['SET', `k${number}`, 'v', 'PX', '10'], false);
  });
  harness.pass(10);
  assert.equal(harness.machine.keyspace.size, 10);
  const restored = Machine.restore([snapshotOf(harness.machine)]);
  assert.equal(restored.hash(), harness.machine.hash());
  assert.deepEqual(restored.query(['KEYS', '*']), []);
  harness.pass(0);
  restored.apply(99, 1, harness.log.at(-1)!, false);
  assert.equal(restored.hash(), harness.machine.hash());
});

function filled(): Harness {
  const harness = new Harness();
  harness.setting('quota-bytes', '100000000');
  harness.setting('note', 'anything');
  harness.entry((items) => {
    for (let number = 0; number < 200; number += 1) {
      items.redis(['SET', `s${number}`, 'v'.repeat(number), 'PX', String(1000 + number * 500)], false);
      items.redis(['HSET', `h${number % 7}`, `f${number}`, `${number}`], false);
      items.redis(['ZADD', `z${number % 3}`, String(number / 3), `m${number}`], false);
      items.redis(['SADD', `t${number % 5}`, `m${number}`, `${number}`], false);
      items.redis(['RPUSH', `l${number % 5}`, `e${number}`], false);
      items.redis(['XADD', 'x', `${number + 1}-1`, 'f', `${number}`], false);
    }
    items.redis(['SETBIT', 'bits', '100', '1'], false);
  });
  const replies = harness.entry((items) => items.redis(['DEL', 's3', 'h1'], false))!;
  assert(!(replies[0] instanceof ErrorReply));
  return harness;
}

function isDamaged(error: unknown): boolean {
  return error instanceof KvError && error.code === 'KV_SNAPSHOT_DAMAGED';
}
