// The small parts of a renderer process: what is kept of its output, when it may start again, whose folders are stale.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { blenderRenderer, RendererPool, RendererProcess, builtinRenderer } from '../../render/index.js';
import { LogTail } from '../../render/worker/log-tail.js';
import { RestartBudget } from '../../render/worker/restart-budget.js';
import {
  makeScratchFolder,
  removeScratchFolder,
  removeStaleScratchFolders,
} from '../../render/scratch-folder.js';

test('of a log the last bytes are kept, and those before them counted', () => {
  const log = new LogTail(8);
  assert.equal(log.take(), '');
  for (const piece of ['abc', 'def', 'gh']) log.push(Buffer.from(piece));
  assert.equal(log.take(), 'abcdefgh');
  for (const piece of ['abc', 'def', 'ghi']) log.push(Buffer.from(piece));
  assert.equal(log.take(), '[1 bytes before this were dropped]\nbcdefghi');
  log.push(Buffer.from('0123456789'));
  assert.equal(log.take(), '[2 bytes before this were dropped]\n23456789');
});

test('so many restarts are allowed in any minute, and more again when it has passed', () => {
  const budget = new RestartBudget(2);
  assert.deepEqual(
    [0, 30_000, 59_999].map((nowMs) => budget.take(nowMs)),
    [true, true, false],
  );
  assert.deepEqual(
    [60_000, 60_001, 90_000].map((nowMs) => budget.take(nowMs)),
    [true, false, true],
  );
  assert.equal(new RestartBudget(0).take(0), false);
});

test('folders of processes that are gone are removed, and those of living ones are not', async () => {
  const mine = await makeScratchFolder();
  const earlier = path.basename(mine).replace(/^(reactor-net-render-\d+)-\d+-/, '$1-1-');
  const stale = path.join(path.dirname(mine), earlier);
  mkdirSync(stale);
  await removeStaleScratchFolders();
  assert.equal(existsSync(mine), true);
  assert.equal(existsSync(stale), false, 'our number, but of a process that began at another time');
  await removeScratchFolder(mine);
});

test('impossible options are refused by name', () => {
  const invalid = (message: RegExp): object => ({ code: 'RENDER_OPTION_INVALID', message });
  assert.throws(() => blenderRenderer({ threads: 0 }), invalid(/threads/));
  assert.throws(() => new RendererProcess(builtinRenderer(), { rendersMax: 0 }), invalid(/rendersMax/));
  assert.throws(
    () => new RendererProcess(builtinRenderer(), { restartFirstMs: 20_000 }),
    invalid(/restartCapMs/),
  );
  assert.throws(() => new RendererPool(builtinRenderer(), { min: 3, max: 2 }), invalid(/3 to 2/));
});
