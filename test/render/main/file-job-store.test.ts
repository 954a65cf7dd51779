// The journal of a main node, by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileJobStore } from '../../../render/main/file-job-store.js';
import type { RenderError } from '../../../render/index.js';
import type { StoreRecord } from '../../../render/main/job-store.js';
import { FaultyDisk, systemError } from '../../kv/support/faulty-disk.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

function driver(key: number): StoreRecord {
  return { kind: 'driver', key, serial: key, epoch: 1n, name: 'somebody' };
}

test('a record that is given in the moment in which the one before is kept is kept as well', async (t) => {
  const folder = temporaryFolder(t);
  const store = await FileJobStore.open(folder, (error) => assert.fail(error));
  assert.deepEqual(await store.load(), []);
  const records = [1, 2, 3, 4].map(driver);
  for (const record of records) {
    store.append(record);
    await store.flush();
  }
  store.compact([driver(5)]);
  await store.flush();
  store.append(driver(6));
  await store.close();
  const next = await FileJobStore.open(folder, (error) => assert.fail(error));
  assert.deepEqual(await next.load(), [driver(5), driver(6)]);
  await next.close();
});

interface Opened {
  readonly store: FileJobStore;
  readonly records: readonly StoreRecord[];
  readonly failures: RenderError[];
}

async function openOn(disk: FaultyDisk): Promise<Opened> {
  const failures: RenderError[] = [];
  const store = new FileJobStore(disk, await disk.lock(), (error) => failures.push(error));
  return { store, records: await store.load(), failures };
}

test('wherever the machine dies, what was kept is found again, and a compaction is done or not', async () => {
  const seed = 71;
  const old = [1, 2, 3].map(driver);
  const late = driver(4);
  const anew = [10, 11].map(driver);
  const after = driver(12);
  const truths = new Set<number>();
  for (let diesAt = 1; ; diesAt += 1) {
    const disk = new FaultyDisk(seededRandom(seed + diesAt));
    const first = await openOn(disk);
    for (const record of old) first.store.append(record);
    await first.store.flush();
    const calls = disk.calls;
    disk.diesAtCall = calls + diesAt;
    first.store.append(late);
    await first.store.flush().catch(() => undefined);
    first.store.compact(anew);
    first.store.append(after);
    await first.store.flush().catch(() => undefined);
    const isOver = !disk.isDead;
    await first.store.close().catch(() => undefined);
    disk.crash();
    const { store, records } = await openOn(disk);
    const keys = records.map((record) => (record.kind === 'driver' ? record.key : -1)).join();
    assert(
      ['1,2,3', '1,2,3,4', '10,11', '10,11,12'].includes(keys),
      `seed ${seed}, died at call ${diesAt}: ${keys}`,
    );
    if (isOver) assert.equal(keys, '10,11,12');
    truths.add(records.length);
    store.append(driver(99));
    await store.close();
    disk.restart();
    const { records: again, store: last } = await openOn(disk);
    assert.deepEqual(again, [...records, driver(99)], `seed ${seed}, died at call ${diesAt}`);
    await last.close();
    if (isOver) break;
  }
  assert(truths.size >= 3, [...truths].join());
});

test('a disk that takes nothing is told to whoever waits, and a compaction is the way on', async () => {
  const disk = new FaultyDisk(seededRandom(3));
  const { store, failures } = await openOn(disk);
  store.append(driver(1));
  await store.flush();
  disk.fault = (kind) => (kind === 'write' ? systemError('ENOSPC') : null);
  store.append(driver(2));
  await assert.rejects(store.flush(), { code: 'RENDER_IO', message: /cannot be written/ });
  assert.equal(failures.length, 1);
  store.append(driver(3));
  await assert.rejects(store.flush(), { code: 'RENDER_IO' });
  assert(store.wantsCompaction);
  disk.fault = () => null;
  store.compact([1, 2, 3].map(driver));
  await store.flush();
  assert(!store.wantsCompaction);
  await store.close();
  disk.crash();
  const again = await openOn(disk);
  assert.deepEqual(again.records, [1, 2, 3].map(driver));
  await again.store.close();
});

test('a compaction that fails leaves no descriptor open, however often it is tried', async () => {
  const disk = new FaultyDisk(seededRandom(5));
  const { store } = await openOn(disk);
  let open = 0;
  const create = disk.create.bind(disk);
  disk.create = async (name) => {
    const file = await create(name);
    const close = file.close.bind(file);
    open += 1;
    file.close = async () => {
      open -= 1;
      await close();
    };
    return file;
  };
  for (const broken of ['write', 'dataSync', 'rename', 'syncFolder'] as const) {
    disk.fault = (kind) => (kind === broken ? systemError('EIO') : null);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      store.compact([driver(attempt)]);
      store.append(driver(9));
      await assert.rejects(store.flush(), { code: 'RENDER_IO' }, broken);
    }
    assert.equal(open, 0, broken);
  }
  disk.fault = () => null;
  store.compact([driver(1)]);
  store.append(driver(2));
  await store.flush();
  await store.close();
  assert.equal(open, 0);
});
