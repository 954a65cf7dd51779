import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry, HardState } from '../../kv/raft/index.js';
import { FaultyDisk } from './support/faulty-disk.js';
import { seededRandom } from './support/seeded-random.js';
import { openWal } from './support/wal-harness.js';

test("the core's entries and hard state go into the log and come back without being translated", async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const hardState: HardState = { term: 2, vote: null, commit: 1 };
  const entries: Entry[] = [
    { index: 1, term: 1, kind: 'config', data: Buffer.from('members') },
    { index: 2, term: 2, kind: 'noop', data: Buffer.alloc(0) },
    { index: 3, term: 2, kind: 'normal', data: Buffer.from('x') },
  ];
  const { wal, write } = await openWal(disk);
  await write({ hardState, entries });
  await wal.close();
  const again = await openWal(disk);
  const found: { hardState: HardState; entries: readonly Entry[] } = again.wal.recovered;
  assert.deepEqual(found.hardState, hardState);
  assert.deepEqual(found.entries, entries);
  await again.wal.close();
});
