// Worker nodes that are killed, frozen, stopped and come back while a job is rendered, each of them a process of its own.
// One farm for all of it, one worker node following the other: what a scenario leaves, the next begins with.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { addonMissingReason } from '../../addon/index.js';
import { type FarmClient, JobStates, RenderDriver, type RenderJob } from '../../render/index.js';
import type { Command } from '../support/command.js';
import { eventually, jobState, startFarm, startWorker, workerNames } from './support/farm-processes.js';
import { figure } from './support/farm-figures.js';
import { OneResultEach, takeAll } from './support/one-result.js';
import { lightsFor, SIZE } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
/** Results that have come when something happens to a worker node. */
const FEW = 5;

/** Renders so many images; when a few have come, `meanwhile` happens. Each image comes once and is the right one. */
async function renderWhile(
  driver: RenderDriver,
  images: number,
  meanwhile: (job: RenderJob) => Promise<unknown>,
): Promise<bigint> {
  const lights = lightsFor(images);
  const job = driver.render({ ...SIZE, images, lights });
  return takeAll(job, new OneResultEach(lights), (taken) => (taken === FEW ? meanwhile(job) : null));
}

/** How many images of a job were rendered, failed, and are there in all. */
async function counts(farm: FarmClient, id: bigint): Promise<number[]> {
  const { job } = await farm.job(id, { images: false });
  return [job.done, job.failed, job.images];
}

test('whatever becomes of the worker nodes, every image of a job is there once', { skip }, async (t) => {
  const { target, main, farm } = await startFarm(t, {
    workers: 0,
    mainFlags: ['--metrics', '127.0.0.1:0'],
  });
  const start = (name: string, of: TestContext = t): Promise<Command> =>
    startWorker(of, target, '--name', name, '--builtin-sleep', '100ms');
  const [killed, steady] = await Promise.all([start('killed'), start('steady')]);
  await using driver = await RenderDriver.connect({ main: target });

  await t.test('one is killed: the others render what it had', async () => {
    const job = await renderWhile(driver, 40, () => killed.stop('SIGKILL'));
    assert.deepEqual(await counts(farm, job), [40, 0, 40]);
    assert((await figure(main, 'losses_total')) > 0);
    await eventually(async () => (await workerNames(farm)).join() === 'steady');
  });

  const frozen = await start('frozen');
  await t.test(
    'one is frozen until its work was given away, and thaws: its late answers count for nothing',
    async () => {
      const before = await figure(main, 'images_rendered_total');
      const job = await renderWhile(driver, 100, async () => {
        frozen.child.kill('SIGSTOP');
        await eventually(async () => (await workerNames(farm)).join() === 'steady');
        frozen.child.kill('SIGCONT');
        await eventually(async () => (await workerNames(farm)).join() === 'frozen,steady');
      });
      assert.deepEqual(await counts(farm, job), [100, 0, 100]);
      assert.equal((await figure(main, 'images_rendered_total')) - before, 100);
      assert.equal(await figure(main, 'images_failed_total'), 0);
      assert.equal(await figure(main, 'workers_expired_total'), 2);
    },
  );

  await t.test('one is told to stop: it finishes what it has and says good-bye', async () => {
    const lost = await figure(main, 'losses_total');
    await renderWhile(driver, 40, async () => {
      assert.equal(await steady.stop('SIGTERM'), 0);
      assert.deepEqual(await workerNames(farm), ['frozen']);
    });
    assert.equal(await figure(main, 'losses_total'), lost);
  });

  await t.test('all are gone: the job waits, and goes on with the first that comes', async () => {
    const job = await renderWhile(driver, 20, async ({ progress }) => {
      await frozen.stop('SIGKILL');
      await eventually(async () => (await workerNames(farm)).length === 0);
      const state = await jobState(farm, progress.job!);
      assert(state === JobStates.ACTIVE || state === JobStates.QUEUED, `its state is ${state}`);
      await start('back');
    });
    assert.deepEqual(await counts(farm, job), [20, 0, 20]);
  });

  assert.equal(await main.stop('SIGTERM'), 0);
});
