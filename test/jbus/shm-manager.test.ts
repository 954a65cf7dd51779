// What a taken key means: a live owner is left alone, a dead one's segment replaced, a stranger's refused.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { requireAddon } from '../../addon/index.js';
import {
  isStale,
  pairKey,
  type ShmHeader,
  ShmManager,
  ShmRing,
  type ShmStatus,
  STATE_POISONED,
} from '../../addon/jbus/index.js';
import { checkOwner } from '../../addon/jbus/shm-ring.js';
import { jbusError } from './support/rings.js';

const addon = requireAddon();
/** Keys that no other test process uses at the same time. */
const NAMESPACE = (process.pid * 97) % 2 ** 22;
const used: number[] = [];

after(() => {
  for (const key of used) {
    try {
      addon.shmRemove(addon.shmFind(key));
    } catch {
      // ENOENT: the test has removed it
    }
  }
});

function freshKey(): number {
  const key = pairKey(used.length, 4000, NAMESPACE);
  used.push(key);
  return key;
}

/** Runs the owner in a process of its own, which makes a ring under `key` and says so; then it waits to be killed. */
async function owner(
  key: number,
  options: { uid?: number } = {},
): Promise<{ id: number; kill: () => Promise<void> }> {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('support/ring-owner.js', import.meta.url)),
      String(key),
      ...(options.uid === undefined ? [] : [String(options.uid)]),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    id: Number(line.toString()),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test('a key that a live process has is in use, and can be registered instead', async () => {
  const key = freshKey();
  const { id, kill } = await owner(key);
  const manager = new ShmManager();
  assert.throws(() => manager.create(key), jbusError('JBUS_KEY_IN_USE'));
  const ring = manager.register(key, { name: 'owned' });
  assert.equal(ring.id, id);
  assert.equal(ring.state, 'ready');
  manager.closeAll();
  await kill();
});

test('what a killed owner left is recognised and replaced, with another epoch', async () => {
  const key = freshKey();
  const { id, kill } = await owner(key);
  const { epoch } = addon.shmHeader(id);
  await kill();
  const manager = new ShmManager();
  const ring = manager.create(key);
  assert.notEqual(ring.id, id);
  assert.notEqual(ring.epoch, epoch);
  manager.closeAll({ remove: true });
});

test("somebody who is still attached to a dead owner's ring sees it poisoned", async () => {
  const key = freshKey();
  const { id, kill } = await owner(key);
  const attached = ShmRing.attach(id);
  const reader = attached.reader();
  await kill();
  assert.throws(() => new ShmManager().create(key), jbusError('JBUS_KEY_IN_USE')); // its reader has a fresh heartbeat
  const manager = new ShmManager({ heartbeatMs: -100_000 }); // as if long ago
  manager.create(key);
  assert.throws(() => reader.read(), jbusError('JBUS_POISONED'));
  assert.equal(attached.state, 'poisoned');
  reader.close();
  attached.close();
  manager.closeAll({ remove: true });
});

test('one manager has one ring per key', () => {
  const key = freshKey();
  const manager = new ShmManager();
  const ring = manager.create(key, { capacity: 4096 });
  assert.equal(manager.register(key), ring);
  assert.equal(manager.get(key), ring);
  assert.deepEqual(manager.keys(), [key]);
  assert.throws(() => manager.create(key), jbusError('JBUS_KEY_IN_USE'));
  manager.close(key, { remove: true });
  manager.close(key);
  assert.equal(manager.get(key), undefined);
  assert.throws(() => manager.register(key), jbusError('JBUS_NO_SEGMENT'));
});

test('what is not a ring is neither attached to nor removed', () => {
  const key = freshKey();
  const id = addon.shmCreate(key, 8192);
  const bytes = new Uint8Array(addon.shmMap(id));
  bytes.fill(1, 0, 64);
  const manager = new ShmManager();
  assert.throws(() => manager.create(key), jbusError('JBUS_NOT_OURS'));
  assert.throws(() => manager.register(key), jbusError('JBUS_NOT_OURS'));
  assert.equal(addon.shmStat(id).removed, false);
  addon.shmUnmap(bytes.buffer);
});

test('a segment smaller than a page is not a ring', () => {
  const key = freshKey();
  addon.shmCreate(key, 100);
  assert.throws(() => new ShmManager().register(key), jbusError('JBUS_NOT_OURS'));
  assert.throws(() => new ShmManager().create(key), jbusError('JBUS_NOT_OURS'));
});

test('another epoch and another channel are refused', () => {
  const key = freshKey();
  const manager = new ShmManager();
  const { id, epoch } = manager.create(key, { name: 'frames' });
  assert.throws(() => ShmRing.attach(id, { epoch: epoch + 1 }), jbusError('JBUS_EPOCH'));
  assert.throws(() => ShmRing.attach(id, { name: 'sounds' }), jbusError('JBUS_OTHER_CHANNEL'));
  ShmRing.attach(id, { epoch, name: 'frames' }).close();
  manager.closeAll({ remove: true });
});

test('another version, capacity and flags are refused with a code each', () => {
  const key = freshKey();
  const manager = new ShmManager();
  const ring = manager.create(key, { capacity: 8192 });
  const words = new Uint32Array(ring.segment.buffer);
  const refused = (word: number, value: number, code: Parameters<typeof jbusError>[0]): void => {
    const before = words[word]!;
    words[word] = value;
    assert.throws(() => ring.writer(), jbusError(code));
    assert.throws(() => ring.reader(), jbusError(code));
    words[word] = before;
  };
  refused(2, 2, 'JBUS_VERSION');
  refused(3, 64, 'JBUS_VERSION');
  refused(4, 16384, 'JBUS_BAD_LAYOUT');
  refused(4, 5000, 'JBUS_BAD_LAYOUT');
  refused(6, 8, 'JBUS_BAD_LAYOUT');
  refused(7, STATE_POISONED, 'JBUS_POISONED');
  refused(0, 0, 'JBUS_NOT_OURS');
  ring.writer().close();
  manager.closeAll({ remove: true });
});

test('a segment that others may open is refused', () => {
  const manager = new ShmManager();
  const status = manager.create(freshKey(), { capacity: 4096 }).segment.stat();
  checkOwner(status);
  for (const changes of [{ mode: 0o666 }, { mode: 0o640 }, { mode: 0o601 }, { uid: status.uid + 1 }]) {
    assert.throws(() => checkOwner({ ...status, ...changes }), jbusError('JBUS_FORBIDDEN'));
  }
  manager.closeAll({ remove: true });
});

const isRoot = process.geteuid?.() === 0;

test("another user's segment is refused and left as it is", { skip: !isRoot && 'needs root' }, async () => {
  const key = freshKey();
  const { id, kill } = await owner(key, { uid: 65_534 });
  assert.equal(addon.shmStat(id).uid, 65_534);
  const manager = new ShmManager();
  assert.throws(() => manager.register(key), jbusError('JBUS_FORBIDDEN'));
  assert.throws(() => manager.create(key), jbusError('JBUS_FORBIDDEN'));
  await kill();
  assert.throws(() => manager.create(key), jbusError('JBUS_FORBIDDEN'));
  assert.equal(addon.shmStat(id).removed, false);
});

test('a creator in another pid namespace is not taken for dead, and silence alone is not death', () => {
  const manager = new ShmManager();
  const ring = manager.create(freshKey(), { capacity: 4096 });
  const status: ShmStatus = ring.segment.stat();
  const header: ShmHeader = ring.header();
  const silent = { ...header.producer, heartbeatMs: 0 };
  const dead: ShmHeader = { ...header, creatorAlive: false, producer: silent, consumer: silent };
  assert(isStale(status, dead, 1000));
  assert(!isStale(status, { ...dead, creatorPid: 0 }, 1000));
  assert(!isStale(status, { ...dead, creatorAlive: true }, 1000));
  assert(!isStale(status, { ...dead, consumer: { ...silent, heartbeatMs: Number.MAX_SAFE_INTEGER } }, 1000));
  assert(isStale({ ...status, attachCount: 0 }, header, 1000));
  assert(!isStale({ ...status, attachCount: 0 }, { ...dead, isOurs: false }, 1000));
  manager.closeAll({ remove: true });
});

test('capacities that are no power of two within the bounds are refused before a segment is made', () => {
  for (const capacity of [0, 2048, 5000, 2 ** 32, 1.5, NaN]) {
    assert.throws(() => ShmRing.create(0, { capacity }), jbusError('JBUS_INVALID_ARGUMENT'));
  }
  assert.throws(() => ShmRing.create(0, { epoch: 0 }), jbusError('JBUS_INVALID_ARGUMENT'));
  assert.throws(() => ShmRing.create(0, { epoch: 2 ** 53 }), jbusError('JBUS_INVALID_ARGUMENT'));
});
