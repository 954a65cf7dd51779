// Two minutes of a cluster under faults, then none: whatever happened, every image has one result, and all jobs end.
// REACTOR_TEST_SEED repeats one history, REACTOR_TEST_ROUNDS runs more of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Farm } from './support/farm.js';

const FAULTS_MS = 120_000;
/** Deaths are seen after 3 s; an attempt that is lost unseen, by its time-out, of which there may be several in a row. */
const ENDS_WITHIN_MS = 3_600_000;

const seeds =
  process.env['REACTOR_TEST_SEED'] === undefined
    ? Array.from({ length: Number(process.env['REACTOR_TEST_ROUNDS'] ?? 12) }, (_, at) => at + 1)
    : [Number(process.env['REACTOR_TEST_SEED'])];

for (const seed of seeds) {
  test(`every image has exactly one result after a history of faults, seed ${seed}`, (t) => {
    const farm = new Farm(seed, 6, FAULTS_MS);
    const { random } = farm;
    let isOver = false;
    const drive = (): void => {
      if (isOver) return;
      farm.submit(random.pick([1, 1, 5, 40, 300]), random.integer(1, 4), random.pick([0, 0, 0, 5]));
      const job = farm.jobs[random.integer(0, Math.max(0, farm.jobs.length - 1))];
      if (job !== undefined && random.chance(0.4)) farm.act((desk) => meddle(job, desk));
      farm.after(random.integer(200, 3000), drive);
    };
    const meddle = (job: number, { scheduler, ...desk }: Farm['desk']): void => {
      const { now } = desk;
      const { state } = scheduler.status(job);
      const isFinished = state === 'completed' || state === 'failed' || state === 'canceled';
      const what = random.pick(['cancel', 'pause', 'resume', 'priority', 'driver']);
      if (what === 'cancel') farm.desk.take(scheduler.cancel(now, job));
      if (what === 'pause' && !isFinished) farm.desk.take(scheduler.pause(now, job));
      if (what === 'resume' && state === 'paused') farm.desk.take(scheduler.resume(now, job));
      if (what === 'priority') farm.desk.take(scheduler.setPriority(now, job, random.integer(-2, 2)));
      if (what === 'driver' && random.chance(0.1))
        farm.desk.take(scheduler.driverGone(now, random.integer(1, 4)));
    };
    drive();
    farm.run(FAULTS_MS);
    isOver = true;
    farm.heal();
    farm.act((desk) => {
      for (const job of farm.jobs) {
        if (desk.scheduler.status(job).state === 'paused') desk.take(desk.scheduler.resume(desk.now, job));
      }
    });
    const isDone = () => farm.jobs.every((job) => farm.desk.ends.has(job));
    farm.run(FAULTS_MS + ENDS_WITHIN_MS, isDone);
    const figures = farm.desk.scheduler.figures();
    t.diagnostic(
      `${farm.jobs.length} jobs, ${farm.faults} faults, over after ${Math.round(farm.desk.now / 1000)} s: ${JSON.stringify(figures)}`,
    );
    assert(isDone(), 'all jobs end');
    assert(
      farm.jobs.every((job) => !farm.desk.results(job).includes('-')),
      'no image is without a result',
    );
    assert.equal(figures.imagesOpen, 0);
    assert(farm.jobs.length > 20 && farm.faults > 20, 'something happened');
  });
}
