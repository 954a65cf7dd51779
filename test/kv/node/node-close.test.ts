import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { KvNode } from '../../../kv/node/kv-node.js';
import { NodeStorage } from '../../../kv/node/node-storage.js';
import { Machine } from '../../../kv/machine/machine.js';
import { membershipOf } from '../../../kv/raft/index.js';
import { DiskFiles } from '../../../kv/wal/disk-files.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { FaultyDisk } from '../support/faulty-disk.js';
import { seededRandom } from '../support/seeded-random.js';
import { NodeClockForTests } from './support/node-cluster.js';

const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

test('a network that cannot be closed does not keep a member from letting go of its folder', async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const node = await KvNode.open(
    {
      files: disk,
      peers: {
        start: () => {},
        send: () => {},
        setAddresses: () => {},
        figures: () => [],
        close: () => Promise.reject(new Error('the network hangs')),
      },
      clock: new NodeClockForTests(),
      random: seededRandom(2),
      logger: SILENT,
    },
    { id: 1, clusterId: 7, boot: 1, firstMembers: [1], addresses: new Map([[1, 'a:1']]) },
  );
  await assert.rejects(node.close(), /the network hangs/);
  await (await disk.lock())();
});

test('a half snapshot that cannot be removed does not keep the log open', async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const stored = new Promise<void>((resolve) => {
    void open(resolve);
  });
  let storage: NodeStorage<Machine> | null = null;
  async function open(done: () => void): Promise<void> {
    const opened = await NodeStorage.open<Machine>(
      disk,
      {
        clusterId: 7,
        memberId: 1,
        firstMembers: [1],
        snapshotsKept: 2,
        wal: { nowMs: () => 0 },
        newState: () => new Machine(),
        newLoader: () => Machine.loader(),
      },
      {
        onPersisted: done,
        onInstalled: () => {},
        onInstallFailed: () => {},
        onFailed: () => {},
        onFull: () => {},
      },
    );
    storage = opened.storage;
    const snapshot = { index: 5, term: 1, membership: membershipOf([1]), byteCount: 100 };
    storage.storeChunk(1, snapshot, 0, Buffer.alloc(10));
  }
  await stored;
  disk.fault = (kind) => (kind === 'remove' ? new Error('no removal today') : null);
  await assert.rejects(storage!.close(), /no removal today/);
  disk.fault = () => null;
  await (await disk.lock())();
});

test('a folder is made with all above it, and is refused where there cannot be one', async (t) => {
  const folder = path.join(temporaryFolder(t), 'a', 'b', 'c');
  await DiskFiles.open(folder);
  await DiskFiles.open(folder);
  assert.deepEqual(await (await DiskFiles.open(path.dirname(folder))).list(), ['c']);
  await mkdir(path.join(folder, 'd'));
  for (const wrong of ['/proc/reactor-net-test', '/proc/reactor-net-test/a/b', '/dev/null', '/dev/null/a'])
    await assert.rejects(DiskFiles.open(wrong), {
      code: 'KV_IO',
      message: /^the folder .* cannot be made: /,
    });
});
