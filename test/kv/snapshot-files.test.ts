import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { DiskFiles, SkipList, SnapshotFiles, type WalFiles } from '../../kv/index.js';
import { FaultyDisk, systemError } from './support/faulty-disk.js';
import { seededRandom } from './support/seeded-random.js';

const CLUSTER = 77;
const CHUNK_BYTES = 1024;

function open(files: WalFiles, keep = 2): Promise<SnapshotFiles> {
  return SnapshotFiles.open(files, CLUSTER, { keep, chunkBytes: CHUNK_BYTES });
}

function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function contentOf(
  snapshots: SnapshotFiles,
  position: { index: number; term: number },
  offset = 0,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of snapshots.read(position, offset)) parts.push(part);
  return Buffer.concat(parts);
}

function content(bytes: number, seed = 1): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)));
}

test('a snapshot of any length comes back byte for byte, from any offset', async () => {
  const snapshots = await open(new FaultyDisk(seededRandom(1)), 100);
  for (const [place, length] of [0, 1, 1023, 1024, 1025, 2048, 5000].entries()) {
    const bytes = content(length);
    const position = { index: place + 1, term: 2 };
    const info = await snapshots.write(position, pieces(bytes, 300));
    assert.equal(info.contentBytes, length);
    assert.deepEqual(await snapshots.verify(position), info);
    for (const offset of [0, 1, 1000, 1024, 1500, length]) {
      const expected = bytes.subarray(Math.min(offset, length));
      assert.deepEqual(await contentOf(snapshots, position, offset), expected, `${length} from ${offset}`);
    }
  }
});

test('a view of a store is streamed to a real disk while the store is written', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'reactor-net-snapshot-'));
  try {
    const list = new SkipList<number>(seededRandom(1));
    for (let key = 0; key < 3000; key += 1) list.set(`k${String(key).padStart(5, '0')}`, key);
    const view = list.snapshot();
    const lines = async function* (): AsyncGenerator<Uint8Array> {
      for (const { key, value } of view.entries()) {
        list.delete(key);
        list.set(`${key}x`, -1);
        yield Buffer.from(`${key}=${value}\n`);
      }
    };
    const files = await DiskFiles.open(folder);
    const snapshots = await SnapshotFiles.open(files, CLUSTER);
    await snapshots.write({ index: 9, term: 1 }, lines());
    view.close();
    const text = (await contentOf(snapshots, { index: 9, term: 1 })).toString();
    const expected = Array.from({ length: 3000 }, (_, key) => `k${String(key).padStart(5, '0')}=${key}\n`);
    assert.equal(text, expected.join(''));
    assert.deepEqual(await files.list(), ['snapshot-0000000000000009-0000000000000001.snap']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('every flipped byte and every cut of the newest is refused with its place, and the one before is offered', async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const snapshots = await open(disk);
  const older = await snapshots.write({ index: 5, term: 1 }, [content(100)]);
  const newer = await snapshots.write({ index: 8, term: 1 }, [content(2500)]);
  const good = Buffer.from(disk.bytes(newer.name));
  assert.deepEqual(await snapshots.newest(), { snapshot: newer, refused: [] });
  for (let at = 0; at < good.length; at += 1) {
    const bad = Buffer.from(good);
    bad[at] = bad[at]! ^ (1 << (at % 8));
    disk.put(newer.name, at % 5 === 0 ? good.subarray(0, at) : bad);
    const { snapshot, refused } = await snapshots.newest();
    assert.deepEqual(snapshot, older, `byte ${at}`);
    assert.equal(refused[0]?.code, 'KV_SNAPSHOT_DAMAGED');
    assert.equal(refused[0].file, newer.name);
    assert(refused[0].offset! <= Math.max(at, good.length - 48));
  }
});

test('only so many are kept, and the log may be compacted to the oldest of them', async () => {
  const snapshots = await open(new FaultyDisk(seededRandom(1)), 3);
  for (let index = 1; index <= 6; index += 1)
    await snapshots.write({ index: index * 10, term: 1 }, [content(10)]);
  assert.deepEqual(
    (await snapshots.list()).map(({ index }) => index),
    [60, 50, 40],
  );
});

test('after a crash at any call the newest is a whole snapshot, and a finished one is never lost', async () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = seededRandom(seed);
    const disk = new FaultyDisk(random);
    let finished = 0;
    for (let life = 0; life < 4; life += 1) {
      disk.diesAtCall = 1 + Math.floor(random() * 40);
      try {
        const snapshots = await open(disk);
        for (let count = 0; count < 5; count += 1) {
          const index = finished + 1;
          await snapshots.write({ index, term: 1 }, pieces(content(1000 + index * 300, index), 700));
          finished = index;
        }
      } catch (error) {
        assert(disk.isDead, `seed ${seed}: ${String(error)}`);
      }
      disk.crash();
      const snapshots = await open(disk);
      const { snapshot, refused } = await snapshots.newest();
      assert.deepEqual(refused, [], `seed ${seed}`);
      const found = snapshot?.index ?? 0;
      assert(found === finished || found === finished + 1, `seed ${seed}: ${found} for ${finished}`);
      if (snapshot !== null) {
        assert.deepEqual(await contentOf(snapshots, snapshot), content(1000 + found * 300, found));
      }
      finished = found;
    }
  }
});

test('a full disk, a failed sync and a source that throws leave the snapshots as they were', async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const snapshots = await open(disk);
  const first = await snapshots.write({ index: 1, term: 1 }, [content(500)]);
  const names = disk.names();
  disk.capacityBytes = 4000;
  await assert.rejects(snapshots.write({ index: 2, term: 1 }, [content(9000)]), { code: 'KV_DISK_FULL' });
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  disk.fault = (kind) => (kind === 'dataSync' ? systemError('EIO') : null);
  await assert.rejects(snapshots.write({ index: 2, term: 1 }, [content(900)]), { code: 'KV_IO' });
  disk.fault = () => null;
  const failing = (function* (): Generator<Uint8Array> {
    yield content(2000);
    throw new Error('the source');
  })();
  await assert.rejects(snapshots.write({ index: 2, term: 1 }, failing), { message: 'the source' });
  assert.deepEqual(disk.names(), names);
  assert.deepEqual((await snapshots.newest()).snapshot, first);
});

test('a writer that is fed piece by piece tells how far it is, and can be given up', async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const snapshots = await open(disk);
  const writer = await snapshots.begin({ index: 4, term: 2 });
  await writer.write(content(1500));
  assert.equal(writer.contentBytes, 1500);
  await writer.abort();
  await writer.abort();
  await assert.rejects(writer.write(content(1)), { code: 'KV_CLOSED' });
  assert.deepEqual(disk.names(), []);
  await assert.rejects(SnapshotFiles.open(disk, 1, { keep: 0 }), { code: 'KV_OPTION_INVALID' });
});

test("another cluster's snapshot is refused as such", async () => {
  const disk = new FaultyDisk(seededRandom(1));
  await (await open(disk)).write({ index: 1, term: 1 }, [content(5)]);
  const other = await SnapshotFiles.open(disk, 78);
  await assert.rejects(other.newest(), { code: 'KV_LOG_FOREIGN', message: /cluster 77, not of 78/ });
});
