import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SnapshotFile } from '../../../rpc/registry/snapshot-file.js';
import { decodeSnapshot, encodeSnapshot } from '../../../rpc/registry/snapshot-format.js';
import type { StateDump } from '../../../rpc/registry/state.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { facts, openStore, registration } from './support.js';

/** Written by the first version; every later one reads it. */
const RECORDED = new URL('../../../../test/rpc/registry/recorded/registry-1.snapshot', import.meta.url);

async function filledDump(t: Parameters<typeof openStore>[0]): Promise<StateDump> {
  const { store } = openStore(t);
  await store.register(registration(1, { epoch: 7, owner: 'render' }));
  const rich = facts(2, { tags: { zone: 'north\n' }, resources: { gpus: 2 }, version: '1.2', weight: 0.5 });
  await store.register(registration(2, { instances: [rich, facts(2, { service: 'demo.Other' })] }));
  return store.dump();
}

test('what was written is read again, and leases start their time anew', async (t) => {
  const dump = await filledDump(t);
  const { dump: read, damages } = decodeSnapshot(encodeSnapshot(dump));
  assert.deepEqual(damages, []);
  assert.deepEqual(read, dump);
  const clock = new FakeClock();
  await clock.advance(500_000);
  const { store } = openStore(t, {}, { clock, restored: read });
  const lease = dump.leases.find(({ owner }) => owner === 'render')!;
  await clock.advance(25_000);
  assert.equal(store.figures().instances, 3);
  assert.equal((await store.heartbeat(lease.id, 'render')).state, 'alive', 'its client need not notice');
  assert(store.figures().revision >= dump.revision);
  await clock.advance(10_000);
  assert.equal(store.figures().instances, 1, 'the one that spoke');
});

test('a changed byte is found wherever it is, and costs no other line', async (t) => {
  const dump = await filledDump(t);
  const text = encodeSnapshot(dump);
  const lineCount = text.trimEnd().split('\n').length;
  for (let at = 0; at < text.length - 1; at += 1) {
    const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
    const { dump: read, damages } = decodeSnapshot(changed);
    const line = text.slice(0, at).split('\n').length;
    assert(damages.length > 0, `byte ${at}`);
    assert.match(damages[0]!, new RegExp(`^line ${line}: `), `byte ${at}`);
    const kept = read.leases.length + read.records.length;
    if (line > 1) assert(kept >= lineCount - 2 - 2, `byte ${at}: ${kept} lines kept`);
  }
});

test('a file that was cut off anywhere says so and gives what is there', async (t) => {
  const text = encodeSnapshot(await filledDump(t));
  for (let bytes = 0; bytes < text.length - 1; bytes += 1) {
    assert(decodeSnapshot(text.slice(0, bytes)).damages.length > 0, `${bytes} bytes`);
  }
});

test('records whose lease was on a damaged line are left out', async (t) => {
  const dump = await filledDump(t);
  const { store } = openStore(t, {}, { restored: { ...dump, leases: dump.leases.slice(1) } });
  assert.equal(store.figures().instances, 2);
});

test('a file of a later version is not read, and said', () => {
  const { dump, damages } = decodeSnapshot('reactor-net registry snapshot 2\n');
  assert.deepEqual(dump.records, []);
  assert.deepEqual(damages, ['line 1: the file is of version 2; version 1 is read']);
});

test('a snapshot recorded by version 1 is read', () => {
  const { dump, damages } = decodeSnapshot(readFileSync(RECORDED, 'utf8'));
  assert.deepEqual(damages, []);
  assert.deepEqual([dump.revision, dump.leases.length, dump.records.length], [2, 2, 3]);
});

test('changes are written once a second at most, the last one when the file is closed', async (t) => {
  const clock = new FakeClock();
  const file = new SnapshotFile(join(temporaryFolder(t), 'made'), {
    clock,
    onFailure: (error) => assert.fail(String(error)),
  });
  assert.equal(await file.recover(), null);
  const dump = await filledDump(t);
  for (let change = 0; change < 100; change += 1) file.changed(() => dump);
  await clock.advance(999);
  assert(!existsSync(file.path));
  await clock.advance(1);
  await until(() => file.counts.writes === 1);
  assert(!existsSync(`${file.path}.tmp`));
  file.changed(() => ({ ...dump, revision: 99 }));
  await file.close();
  assert.equal(
    (await new SnapshotFile(join(file.path, '..'), { clock, onFailure: () => {} }).recover())!.dump.revision,
    99,
  );
});

test('a damaged file is kept beside, with what is wrong and where', async (t) => {
  const folder = temporaryFolder(t);
  const file = new SnapshotFile(folder, { clock: new FakeClock(), onFailure: () => {} });
  const text = encodeSnapshot(await filledDump(t));
  const lines = text.split('\n');
  lines[2] = lines[2]!.replace('ttlMs', 'ttlMS');
  writeFileSync(file.path, lines.join('\n'));
  const { damages, damagedPath, dump } = (await file.recover())!;
  assert.deepEqual(damages, ['line 3: the checksum does not agree with the line']);
  assert.equal(readFileSync(damagedPath, 'utf8'), lines.join('\n'));
  assert.equal(dump.leases.length, 1);
});

test('a write that fails is told, leaves the old file, and is tried again', async (t) => {
  const folder = temporaryFolder(t);
  const clock = new FakeClock();
  const failures: unknown[] = [];
  const file = new SnapshotFile(folder, { clock, onFailure: (error) => failures.push(error) });
  const dump = await filledDump(t);
  mkdirSync(`${file.path}.tmp`); // in the way
  file.changed(() => dump);
  await clock.advance(1000);
  await until(() => failures.length === 1);
  rmdirSync(`${file.path}.tmp`);
  await clock.advance(6000);
  await until(() => file.counts.writes === 1);
});
