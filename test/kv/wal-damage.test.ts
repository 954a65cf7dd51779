import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KvError, type RecoveredLog, Wal } from '../../kv/index.js';
import { crc32c } from '../../kv/wal/crc32c.js';
import { type ReplayedLog, replay } from '../../kv/wal/recovery.js';
import { FaultyDisk } from './support/faulty-disk.js';
import { seededRandom } from './support/seeded-random.js';
import { entriesFrom, OWNER, openWal } from './support/wal-harness.js';

/** A log of three segments; `closed` ends it cleanly, else the process died behind its last acknowledged write. */
async function smallLog(
  closed: boolean,
): Promise<{ files: Map<string, Buffer>; names: string[]; log: RecoveredLog }> {
  const disk = new FaultyDisk(seededRandom(1));
  const { wal, write } = await openWal(disk);
  await write({ hardState: { term: 1, vote: 2, commit: 0 } });
  for (let index = 1; index < 48; index += 3) await write({ entries: entriesFrom(index, 3, 1, 100) });
  await write({ hardState: { term: 2, vote: null, commit: 20 } });
  await write({ entries: entriesFrom(45, 2, 2, 700) });
  if (closed) await wal.close();
  disk.restart();
  const names = disk.names().filter((name) => name.endsWith('.wal'));
  assert.equal(names.length, 3);
  const files = new Map(names.map((name) => [name, Buffer.from(disk.bytes(name))]));
  return { files, names, log: await opened(files) };
}

async function opened(files: ReadonlyMap<string, Buffer>): Promise<RecoveredLog> {
  const disk = new FaultyDisk(seededRandom(1));
  for (const [name, bytes] of files) disk.put(name, bytes);
  const { wal } = await openWal(disk);
  await wal.close();
  return wal.recovered;
}

/** As opened(), without the repair that follows: what was read, or why not. */
async function read(files: ReadonlyMap<string, Buffer>): Promise<ReplayedLog> {
  const refuse = (): Promise<never> => Promise.reject(new Error('reading changes nothing'));
  return replay(
    {
      folder: 'memory',
      list: async () => [...files.keys()],
      size: async (name) => files.get(name)!.length,
      open: async (name) => ({
        read: async () => files.get(name)!,
        close: async () => undefined,
        write: refuse,
        allocate: refuse,
        truncate: refuse,
        dataSync: refuse,
      }),
      create: refuse,
      rename: refuse,
      remove: refuse,
      syncFolder: refuse,
      lock: refuse,
    },
    OWNER,
  );
}

/** Bytes up to the zeros at the end. */
function usedBytes(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

test('a last segment cut at any byte gives a beginning of the log and says where it was cut', async () => {
  const { files, names, log } = await smallLog(false);
  const name = names.at(-1)!;
  const bytes = files.get(name)!;
  const used = usedBytes(bytes);
  let tornCount = 0;
  for (let length = 0; length <= used; length += 1) {
    const cut = new Map(files).set(name, bytes.subarray(0, length));
    // Opened and repaired now and then, read always.
    const reading = length % 16 === 0 || length === used ? opened(cut) : read(cut);
    if (length < 152) {
      // The head was durable before the file had its name.
      await assert.rejects(reading, { code: 'KV_LOG_DAMAGED', file: name, offset: 0 });
      continue;
    }
    const found = await reading;
    const isReplaced = found.entries.at(-1)?.term === 2;
    const history = isReplaced ? log.entries : entriesFrom(1, 48, 1, 100);
    assert.deepEqual(found.entries, history.slice(0, found.entries.length));
    if (found.tornTail !== null) {
      tornCount += 1;
      assert.equal(found.tornTail.file, name);
      assert(found.tornTail.offset <= length);
    }
    if (length === used) assert.deepEqual(found, log);
  }
  assert(tornCount > (used - 152) * 0.9);
});

test('an earlier segment cut at any byte of its records refuses to start and names a file', async () => {
  const { files, names } = await smallLog(false);
  const bytes = files.get(names[0]!)!;
  for (let length = usedBytes(bytes) - 1; length > 0; length -= 7) {
    const cut = new Map(files).set(names[0]!, bytes.subarray(0, length));
    await assert.rejects(opened(cut), { code: 'KV_LOG_DAMAGED' });
  }
});

for (const closed of [true, false]) {
  const state = closed ? 'a closed log' : 'a log whose process died idle';
  test(`a flipped bit anywhere in ${state} is refused or changes nothing`, { timeout: 60_000 }, async () => {
    const random = seededRandom(5);
    const { files, names, log } = await smallLog(closed);
    let refused = 0;
    let used = 0;
    // How the log ended makes a difference in its last segment alone.
    for (const name of closed ? names : names.slice(-1)) {
      const bytes = files.get(name)!;
      const end = usedBytes(bytes);
      used += end;
      for (let at = 0; at < bytes.length; at += at < end + 64 ? 1 : 61) {
        const flipped = Buffer.from(bytes);
        const flip = random() < 0.5 ? 0xff : 1 << Math.floor(random() * 8);
        flipped[at] = flipped[at]! ^ flip;
        try {
          const found = await opened(new Map(files).set(name, flipped));
          assert.deepEqual(
            { ...found, tornTail: null },
            { ...log, tornTail: null },
            `${name} byte ${at} ^ ${flip}`,
          );
          assert(at >= end, `${name} byte ${at} ^ ${flip} went unnoticed`);
        } catch (error) {
          if ((error as KvError).code !== 'KV_LOG_DAMAGED') throw error;
          refused += 1;
          assert.equal((error as KvError).file, name);
          assert((error as KvError).offset! <= at);
          assert((error as Error).message.includes(name));
        }
      }
    }
    assert(refused >= used, `${refused} refused, ${used} bytes in use`);
  });
}

test('a segment that is missing, in the middle or at the front, refuses to start', async () => {
  const { files, names } = await smallLog(true);
  for (const name of names.slice(0, 2)) {
    const fewer = new Map(files);
    fewer.delete(name);
    await assert.rejects(opened(fewer), { code: 'KV_LOG_DAMAGED' });
  }
});

test('a sector lost from the middle of the last segment refuses to start, for later batches knew it', async () => {
  const { files, names } = await smallLog(false);
  const bytes = Buffer.from(files.get(names[2]!)!);
  assert(usedBytes(bytes) > 1024);
  bytes.fill(0, 152, 200);
  await assert.rejects(opened(new Map(files).set(names[2]!, bytes)), {
    code: 'KV_LOG_DAMAGED',
    file: names[2],
    offset: 152,
  });
});

test('a record of another segment, copied behind the end, is not taken for one of this', async () => {
  const { files, names } = await smallLog(false);
  const bytes = Buffer.from(files.get(names[2]!)!);
  const end = usedBytes(bytes);
  files.get(names[0]!)!.copy(bytes, end, 152, 600);
  await assert.rejects(opened(new Map(files).set(names[2]!, bytes)), { code: 'KV_LOG_DAMAGED', offset: end });
});

test("another member's log and another format are refused as such", async () => {
  const disk = new FaultyDisk(seededRandom(1));
  const { wal } = await openWal(disk);
  await wal.close();
  const other = { ...OWNER, memberId: 4 };
  await assert.rejects(
    Wal.open(disk, other, () => undefined),
    {
      code: 'KV_LOG_FOREIGN',
      message: /member 3 of cluster 77, not of member 4/,
    },
  );
});

test('CRC-32C gives the published check values, however the bytes are divided', () => {
  const nine = Buffer.from('123456789');
  assert.equal(crc32c(nine), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa); // RFC 3720 B.4
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  const bytes = Buffer.from(Array.from({ length: 100 }, (_, index) => (index * 37) & 0xff));
  for (let cut = 0; cut <= 100; cut += 1) {
    assert.equal(crc32c(bytes, cut, 100, crc32c(bytes, 0, cut)), crc32c(bytes));
  }
});
