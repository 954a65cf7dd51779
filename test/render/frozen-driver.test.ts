// A driver that is stopped in the middle of a call, by a signal: a process that is there, and silent.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import { JobStates } from '../../render/index.js';
import { KEEPALIVE_INTERVAL_MS } from '../../rpc/limits.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { eventually, jobState, startFarm } from './support/farm-processes.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const IMAGES = 40;

test('a frozen driver is missed by its beats, and asks for what is missing when it thaws', {
  skip: missing ?? false,
}, async (t) => {
  const { target, farm } = await startFarm(t, { workerFlags: ['--builtin-sleep', '400ms'] });
  const out = path.join(temporaryFolder(t), 'out');
  const what = ['--size', '24x16', '--images', String(IMAGES), '--out', out];
  const driver = new Command(t, ['render', 'submit', '--main', target, '--json', ...what]);
  await driver.line((line) => line.includes('"image"'));

  driver.child.kill('SIGSTOP');
  const frozenMs = performance.now();
  await eventually(async () => (await jobState(farm, 1n)) === JobStates.CANCELED);
  const noticedMs = performance.now() - frozenMs;
  assert(noticedMs < KEEPALIVE_INTERVAL_MS, `after ${noticedMs} ms, three beats of a second`);
  const { job } = await farm.job(1n, { images: false });
  assert.match(job.message, /its driver is gone/);
  // Its renderers are free for others at once.
  await eventually(async () => (await farm.workers()).every(({ running }) => running === 0));

  driver.child.kill('SIGCONT');
  assert.equal(await driver.exitCode, 0, driver.stderr);
  const images = driver.lines.filter((line) => line.includes('"image"')).map((line) => JSON.parse(line));
  assert.deepEqual(
    images.map(({ index }: { index: number }) => index).toSorted((a: number, b: number) => a - b),
    Array.from({ length: IMAGES }, (_, index) => index),
    'each once',
  );
  const { jobs } = await farm.jobs();
  assert.equal(jobs.length, 2);
  assert.equal(jobs[0]!.state, JobStates.COMPLETED);
  assert(
    jobs[0]!.images < IMAGES && jobs[0]!.images >= IMAGES - jobs[1]!.done,
    'what it had was not asked for again',
  );
});
