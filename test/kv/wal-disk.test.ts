import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { DiskFiles, type KvError, type LogEntry, type RecoveredLog } from '../../kv/index.js';
import { lockFolder } from '../../kv/wal/folder-lock.js';
import { entriesFrom, openWal } from './support/wal-harness.js';

const root = await mkdtemp(path.join(tmpdir(), 'reactor-net-wal-'));
after(() => rm(root, { recursive: true, force: true }));
const DOOR = new URL('../../kv/index.js', import.meta.url).href;

async function reopened(folder: string): Promise<RecoveredLog> {
  const { wal } = await openWal(await DiskFiles.open(folder));
  await wal.close();
  return wal.recovered;
}

test('what was written is there after each of many reopenings: entries, replacement, cut, hard state', async () => {
  const folder = path.join(root, 'a/b/reopen');
  const expected: LogEntry[] = [];
  for (let round = 0; round < 12; round += 1) {
    const { wal, write } = await openWal(await DiskFiles.open(folder));
    assert.deepEqual(wal.recovered.entries, expected);
    assert.equal(wal.recovered.tornTail, null);
    const fresh = entriesFrom(expected.length + 1, 10, round + 1, 150);
    await write({ hardState: { term: round + 1, vote: 2 ** 40, commit: 0 }, entries: fresh });
    expected.push(...fresh);
    if (round % 3 === 1) {
      const replacement = entriesFrom(expected.length - 4, 2, round + 1, 9000); // a segment longer than others
      await write({ entries: replacement });
      expected.splice(-5, 5, ...replacement);
    }
    if (round % 3 === 2) {
      await write({ truncateFrom: expected.length - 1 });
      expected.splice(-2);
    }
    await wal.close();
    await wal.close();
  }
  const { hardState, entries } = await reopened(folder);
  assert.deepEqual(hardState, { term: 12, vote: 2 ** 40, commit: 0 });
  assert.deepEqual(entries, expected);
});

test('concurrent appends share syncs, end in order, and are all there', async () => {
  const folder = path.join(root, 'group');
  const { wal, write, ended } = await openWal(await DiskFiles.open(folder), { segmentBytes: 65_536 });
  const writes: Promise<void>[] = [];
  for (let index = 1; index <= 300; index += 1) writes.push(write({ entries: entriesFrom(index, 1) }));
  await Promise.all(writes);
  assert.deepEqual(
    ended.map(({ token }) => token),
    Array.from({ length: 300 }, (_, place) => place + 1),
  );
  const { flushes, appends } = wal.stats();
  assert.equal(appends, 300);
  assert(flushes < 10, `${flushes} syncs`);
  await wal.close();
  assert.deepEqual((await reopened(folder)).entries, entriesFrom(1, 300));
});

test('segments are full-sized from the start, carry their first index, and go once a snapshot covers them', async () => {
  const folder = path.join(root, 'segments');
  const { wal, write } = await openWal(await DiskFiles.open(folder));
  for (let index = 1; index <= 200; index += 1) await write({ entries: entriesFrom(index, 1, 1, 100) });
  const before = (await readdir(folder)).filter((name) => name.endsWith('.wal'));
  assert.match(before[1]!, /^0000000002-00000000000000\d\d\.wal$/);
  for (const name of before) assert.equal((await stat(path.join(folder, name))).size, 4096);
  assert.equal(await wal.compact(150), 0); // no snapshot yet
  await write({ snapshot: { index: 150, term: 1 } });
  const removed = await wal.compact(1000);
  assert(removed > 3);
  await wal.close();
  assert.equal(
    (await readdir(folder)).filter((name) => name.endsWith('.wal')).length,
    before.length - removed,
  );
  const { base, entries, snapshot } = await reopened(folder);
  assert.deepEqual(snapshot, { index: 150, term: 1 });
  assert(base.index <= 150);
  assert.deepEqual(entries, entriesFrom(base.index + 1, 200 - base.index, 1, 100));
});

test('a snapshot from elsewhere begins the log anew behind it', async () => {
  const folder = path.join(root, 'install');
  const { wal, write } = await openWal(await DiskFiles.open(folder));
  await write({ entries: entriesFrom(1, 20) });
  await write({ snapshot: { index: 500, term: 7 }, hardState: { term: 7, vote: null, commit: 500 } });
  await assert.rejects(write({ entries: entriesFrom(21, 1) }), { code: 'KV_LOG_ORDER' });
  await write({ entries: entriesFrom(501, 2, 7) });
  await wal.close();
  const found = await reopened(folder);
  assert.deepEqual(found.base, { index: 500, term: 7 });
  assert.deepEqual(found.entries, entriesFrom(501, 2, 7));
});

test('what does not fit the log is refused before anything is written', async () => {
  const { wal, write } = await openWal(await DiskFiles.open(path.join(root, 'order')), {
    appendBytesMax: 4000,
    queueBytesMax: 6000,
  });
  await write({ entries: entriesFrom(1, 3), hardState: { term: 3, vote: 1, commit: 1 } });
  await assert.rejects(write({ entries: entriesFrom(5, 1) }), { code: 'KV_LOG_ORDER' });
  await assert.rejects(write({ entries: [...entriesFrom(4, 1), ...entriesFrom(6, 1)] }), {
    code: 'KV_LOG_ORDER',
  });
  await assert.rejects(write({ hardState: { term: 2, vote: 1, commit: 1 } }), { code: 'KV_LOG_ORDER' });
  await assert.rejects(write({ entries: entriesFrom(4, 1, 3, 5000) }), { code: 'KV_RECORD_TOO_LARGE' });
  const first = write({ entries: entriesFrom(4, 1, 3, 3500) });
  await assert.rejects(write({ entries: entriesFrom(5, 1, 3, 3500) }), { code: 'KV_QUEUE_FULL' });
  await first;
  assert.equal(wal.lastIndex, 4);
  await wal.close();
  await assert.rejects(write({ entries: entriesFrom(5, 1) }), { code: 'KV_CLOSED' });
});

test('a second opener is refused, in this process and from another, until the first has let go', async () => {
  const folder = path.join(root, 'lock');
  const { wal, write } = await openWal(await DiskFiles.open(folder));
  await write({ entries: entriesFrom(1, 1) });
  await assert.rejects(reopened(folder), { code: 'KV_LOCKED', message: new RegExp(`"pid":${process.pid}`) });
  assert.equal(await inAnotherProcess(folder, 'exit'), 'KV_LOCKED');
  assert.match(await readFile(path.join(folder, 'LOCK'), 'utf8'), new RegExp(`"pid":${process.pid}`));
  await wal.close();
  assert.equal(await inAnotherProcess(folder, 'exit'), 'open');
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('LOCK')),
    ['LOCK'],
  );
});

test('the lock of a process that was killed is taken over, its acknowledged entries are there', async () => {
  const folder = path.join(root, 'killed');
  assert.equal(await inAnotherProcess(folder, 'kill'), 'open');
  assert.equal((await reopened(folder)).entries.length, 1);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('LOCK')),
    [],
  );
});

test('of many that find the lock of a dead process, one gets in, also when one died taking it over', async () => {
  const folder = path.join(root, 'race');
  for (let round = 0; round < 6; round += 1) {
    await rm(folder, { recursive: true, force: true });
    assert.equal(await inAnotherProcess(folder, 'kill'), 'open');
    const lockPath = path.join(folder, 'LOCK');
    if (round % 2 === 1) {
      const { nonce } = JSON.parse(await readFile(lockPath, 'utf8')) as { nonce: string };
      await copyFile(lockPath, `${lockPath}.${nonce}`);
    }
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => lockFolder(folder)));
    const [holder, ...others] = results.filter((result) => result.status === 'fulfilled');
    assert(holder !== undefined, 'somebody got in');
    assert.equal(others.length, 0);
    for (const result of results) {
      if (result.status === 'rejected')
        assert.equal((result.reason as KvError).code, 'KV_LOCKED', String(result.reason));
    }
    await holder.value();
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('LOCK')),
      [],
    );
  }
});

test('a process that is killed in the middle of its work loses nothing that it was told is durable', async () => {
  const folder = path.join(root, 'midst');
  let told = 0;
  for (let round = 0; round < 3; round += 1) {
    const script = `
      import { DiskFiles, Wal } from ${JSON.stringify(DOOR)};
      const files = await DiskFiles.open(${JSON.stringify(folder)});
      const next = () => wal.append(0, { entries: Array.from({ length: 7 }, (_, place) => entry(wal.lastIndex + 1 + place)) });
      const entry = (index) => ({ index, term: 1, kind: 'normal', data: Buffer.alloc(index % 900, index) });
      const options = { segmentBytes: 16384 };
      const complete = () => { process.stdout.write(wal.lastIndex + '\\n'); next(); };
      const wal = await Wal.open(files, { clusterId: 77, memberId: 3 }, complete, options);
      next();`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {},
    });
    const before = told;
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      told = Number(lines.at(-1) ?? told);
      if (told > before + 300) child.kill('SIGKILL');
    });
    await once(child, 'close');
    assert(told > before);
    const { entries } = await reopened(folder);
    assert(entries.length >= told, `${entries.length} entries, told of ${told}`);
    for (const { index, data } of entries) assert.deepEqual(data, Buffer.alloc(index % 900, index));
    told = entries.length;
  }
});

/** Opens the folder in a new process, writes one entry, prints how it went and ends without letting go. */
async function inAnotherProcess(folder: string, end: 'exit' | 'kill'): Promise<string> {
  const script = `
    import { DiskFiles, Wal } from ${JSON.stringify(DOOR)};
    try {
      const files = await DiskFiles.open(${JSON.stringify(folder)});
      const wal = await Wal.open(files, { clusterId: 77, memberId: 3 }, () => {
        process.stdout.write('open\\n', () => ${end === 'exit'} ? process.exit(0) : process.kill(process.pid, 'SIGKILL'));
      });
      wal.append(1, { entries: [{ index: wal.lastIndex + 1, term: 1, kind: 'normal', data: Buffer.from('x') }] });
    } catch (error) {
      process.stdout.write(error.code + '\\n');
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(child, 'close');
  return text.trim();
}
