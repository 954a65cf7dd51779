import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wal } from '../../kv/index.js';
import { FaultyDisk, systemError } from './support/faulty-disk.js';
import { entriesFrom, openWal } from './support/wal-harness.js';
import { seededRandom } from './support/seeded-random.js';

function someDisk(seed = 1): FaultyDisk {
  return new FaultyDisk(seededRandom(seed));
}

for (const kind of ['dataSync', 'write'] as const) {
  test(`the first failed ${kind} is final: what waits fails, later calls fail, also when the disk is well again`, async () => {
    const disk = someDisk();
    const { wal, write, ended } = await openWal(disk);
    await write({ entries: entriesFrom(1, 3) });
    disk.fault = (call) => (call === kind ? systemError('EIO') : null);
    const failing = [write({ entries: entriesFrom(4, 1) }), write({ entries: entriesFrom(5, 1) })];
    for (const failed of failing) await assert.rejects(failed, { code: 'KV_POISONED', message: /EIO/ });
    disk.fault = () => null;
    assert.equal(wal.state, 'poisoned');
    await assert.rejects(write({ entries: entriesFrom(4, 1) }), { code: 'KV_POISONED' });
    await assert.rejects(wal.compact(1), { code: 'KV_POISONED' });
    assert.throws(() => wal.hardState, { code: 'KV_POISONED' });
    assert.throws(() => wal.lastIndex, { code: 'KV_POISONED' });
    await wal.close();
    assert.equal(wal.state, 'poisoned');
    assert.deepEqual(
      ended.map(({ token, error }) => [token, error?.code ?? null]),
      [
        [1, null],
        [2, 'KV_POISONED'],
        [3, 'KV_POISONED'],
      ],
    );
    const again = await openWal(disk);
    assert.deepEqual(again.wal.recovered.entries.slice(0, 3), entriesFrom(1, 3));
    await again.wal.close();
  });
}

test('what a restart reported after a failed fsync is on the disk, although the kernel called it clean', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const disk = someDisk(seed);
    const { write } = await openWal(disk);
    await write({ entries: entriesFrom(1, 3) });
    disk.fault = (call) => (call === 'dataSync' ? systemError('EIO') : null);
    await assert.rejects(write({ entries: entriesFrom(4, 5, 1, 400) }), { code: 'KV_POISONED' });
    disk.fault = () => null;
    disk.restart(); // the process alone: the page cache shows the entries
    const second = await openWal(disk);
    assert.equal(second.wal.recovered.entries.length, 8);
    disk.crash();
    const third = await openWal(disk);
    assert.equal(third.wal.recovered.entries.length, 8);
    await third.wal.close();
  }
});

test('a failed spare segment poisons the log too', async () => {
  const disk = someDisk();
  disk.fault = (kind, name) =>
    kind === 'allocate' && name === 'spare.tmp' && disk.calls > 12 ? systemError('EIO') : null;
  const { wal, write } = await openWal(disk);
  await assert.rejects(
    (async () => {
      for (let index = 1; index < 200; index += 1) await write({ entries: entriesFrom(index, 1, 1, 500) });
    })(),
    { code: 'KV_POISONED' },
  );
  await wal.close();
});

test('a full disk refuses entries, takes a snapshot record, and goes on once compaction freed space', async () => {
  const disk = someDisk();
  disk.capacityBytes = 5 * 4096;
  const { wal, write, ended } = await openWal(disk);
  let last = 0;
  const fill = async (): Promise<void> => {
    for (; last < 500; last += 1) await write({ entries: entriesFrom(last + 1, 1, 1, 200) });
  };
  await assert.rejects(fill(), { code: 'KV_DISK_FULL' });
  assert.equal(wal.state, 'full');
  assert(last > 60 && last < 100, `${last} entries fit`);
  await assert.rejects(write({ entries: entriesFrom(last + 1, 1) }), { code: 'KV_DISK_FULL' });
  assert.equal(await wal.retry(), false);
  await write({ hardState: { term: 2, vote: 1, commit: last } });
  await write({ snapshot: { index: last, term: 1 } });
  assert((await wal.compact(last - 20)) >= 2);
  assert.equal(wal.state, 'open');
  await write({ entries: entriesFrom(last + 1, 5, 2, 200) });
  assert.equal(wal.lastIndex, last + 5);
  assert(ended.some(({ error }) => error?.code === 'KV_DISK_FULL'));
  await wal.close();
  disk.crash();
  const { wal: reopened } = await openWal(disk);
  assert.deepEqual(reopened.recovered.snapshot, { index: last, term: 1 });
  assert.deepEqual(reopened.recovered.hardState, { term: 2, vote: 1, commit: last });
  assert.deepEqual(reopened.recovered.entries.slice(-5), entriesFrom(last + 1, 5, 2, 200));
  await reopened.close();
});

test('whoever looks for space while a segment is needed makes no second spare beside its', async () => {
  for (let turns = 0; turns <= 24; turns += 1) {
    const disk = someDisk();
    disk.capacityBytes = 5 * 4096;
    const { wal, write } = await openWal(disk);
    const look = async (): Promise<void> => {
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      await wal.retry();
    };
    const fill = async (): Promise<void> => {
      for (let index = 1; index < 500; index += 1)
        await Promise.all([write({ entries: entriesFrom(index, 1, 1, 200) }), look()]);
    };
    await assert.rejects(fill(), { code: 'KV_DISK_FULL' }, `after ${turns} turns`);
    assert.equal(wal.state, 'full', `after ${turns} turns`);
    await wal.close();
  }
});

test('no space in the middle of a batch leaves nothing of the batch, now and after a crash', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const disk = someDisk(seed);
    const { wal, write } = await openWal(disk);
    await write({ entries: entriesFrom(1, 3) });
    let writes = 0;
    disk.fault = (kind, name) => {
      if (kind === 'allocate') return systemError('ENOSPC');
      if (kind !== 'write' || !name.endsWith('.wal')) return null;
      writes += 1;
      return writes === 1 ? 150 : systemError('ENOSPC');
    };
    const failing = [write({ entries: entriesFrom(4, 2, 1, 100) }), write({ entries: entriesFrom(6, 1) })];
    for (const failed of failing) await assert.rejects(failed, { code: 'KV_DISK_FULL' });
    assert.equal(wal.state, 'full');
    if (seed % 2 === 0) {
      disk.fault = () => null;
      assert.equal(await wal.retry(), true);
      await write({ entries: entriesFrom(4, 1, 9) });
      disk.crash();
      const { wal: reopened } = await openWal(disk);
      assert.deepEqual(reopened.recovered.entries, [...entriesFrom(1, 3), ...entriesFrom(4, 1, 9)]);
    } else {
      disk.fault = () => null;
      disk.crash();
      const { wal: reopened } = await openWal(disk);
      assert.deepEqual(reopened.recovered.entries, entriesFrom(1, 3));
    }
  }
});

test('writes that the system takes in pieces are made again as a whole', async () => {
  const disk = someDisk();
  let writes = 0;
  disk.fault = (kind) => {
    if (kind !== 'write') return null;
    writes += 1;
    return writes % 3 === 0 ? null : 37;
  };
  const { wal, write } = await openWal(disk);
  for (let index = 1; index <= 60; index += 4) await write({ entries: entriesFrom(index, 4) });
  await wal.close();
  const { wal: reopened } = await openWal(disk);
  assert.deepEqual(reopened.recovered.entries, entriesFrom(1, 60));
  await reopened.close();
});

test('a completion that throws stops no other', async () => {
  const disk = someDisk();
  const ended: number[] = [];
  const thrown: unknown[] = [];
  const listener = (error: unknown): void => void thrown.push(error);
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', listener);
  try {
    const wal = await Wal.open(disk, { clusterId: 1, memberId: 1 }, (token) => {
      ended.push(token);
      if (token === 1) throw new Error('the handler of token 1');
    });
    wal.append(1, { entries: entriesFrom(1, 1) });
    wal.append(2, { entries: entriesFrom(2, 1) });
    await wal.close();
  } finally {
    process.off('uncaughtException', listener);
    for (const other of before) process.on('uncaughtException', other);
  }
  assert.deepEqual(ended, [1, 2]);
  assert.equal(thrown.length, 1);
});
