import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskFiles } from '../../../kv/index.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { SlowFiles } from './slow-files.js';

test('a stalled disk takes writes and ends no sync before it goes on', async (t) => {
  const files = new SlowFiles(await DiskFiles.open(temporaryFolder(t)), () => 0);
  const file = await files.create('log');
  t.after(() => file.close());
  files.stall(true);
  await file.write(Buffer.from('abc'), 0);
  let isDurable = false;
  const syncs = [file.dataSync(), files.syncFolder()].map((sync) => sync.then(() => (isDurable = true)));
  assert.equal((await file.read(0, 3)).toString(), 'abc');
  assert.equal(isDurable, false);
  files.stall(false);
  await Promise.all(syncs);
});

test('a failing disk fails every sync, also those that wait', async (t) => {
  const files = new SlowFiles(await DiskFiles.open(temporaryFolder(t)), () => 0);
  const file = await files.create('log');
  t.after(() => file.close());
  files.stall(true);
  const waiting = file.dataSync();
  files.fail();
  files.stall(false);
  await assert.rejects(waiting, { code: 'EIO' });
  await assert.rejects(file.dataSync(), { code: 'EIO' });
  await assert.rejects(files.syncFolder(), { code: 'EIO' });
});

test('a slow disk is later by what was drawn', async (t) => {
  const files = new SlowFiles(await DiskFiles.open(temporaryFolder(t)), () => 0.5);
  const file = await files.create('log');
  t.after(() => file.close());
  files.delay(20, 40);
  const startMs = performance.now();
  await file.dataSync();
  assert(performance.now() - startMs >= 29);
});
