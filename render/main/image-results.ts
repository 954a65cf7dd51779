// What became of the images of jobs: each is settled once, as rendered or as failed, and a job whose images all are is over.
// scheduler.ts settles; what is settled is told as an effect. It counts what is open over all jobs. Pure.

import assert from 'node:assert/strict';
import { Code, type ErrCode } from '../proto/render.js';
import type { SchedulerEffect } from './effects.js';
import type { Attempt, Job, RestoredJob, Task } from './job.js';

const NONE = 0;
const RENDERED = 1;
const FAILED = 2;

export class ImageResults {
  readonly #tell: (effect: SchedulerEffect) => void;
  #open = 0;
  #rendered = 0;
  #failed = 0;

  constructor(tell: (effect: SchedulerEffect) => void) {
    this.#tell = tell;
  }

  /** Images of all jobs that have no result. */
  get open(): number {
    return this.#open;
  }

  /** Counted since the beginning, as the next one is. */
  get rendered(): number {
    return this.#rendered;
  }

  get failed(): number {
    return this.#failed;
  }

  /** A new job: none of its images has a result. */
  opened(job: Job): void {
    this.#open += job.images;
  }

  /** Takes over what an earlier life of the main node settled; returns the images that are left. */
  restore(job: Job, { results, failures }: RestoredJob): number[] {
    job.results.set(results);
    const open: number[] = [];
    for (const [index, result] of job.results.entries()) {
      if (result === NONE) open.push(index);
      else if (result === RENDERED) job.done += 1;
      else job.failed += 1;
    }
    for (const [index, failure] of failures) job.failures.set(index, failure);
    this.#open += open.length;
    return open;
  }

  /** The images that failed have no result any more; returns them. */
  reopen(job: Job): number[] {
    const indexes = [...job.failures.keys()].toSorted((a, b) => a - b);
    for (const index of indexes) job.results[index] = NONE;
    this.#open += indexes.length;
    job.failures.clear();
    job.failed = 0;
    return indexes;
  }

  settleRendered({ id: attempt, task, node }: Attempt, first: number, count: number): void {
    const { job } = task;
    this.#settle(job, first, count, RENDERED);
    job.done += count;
    this.#rendered += count;
    this.#tell({
      kind: 'rendered',
      job: job.id,
      first,
      count,
      node: node.id,
      attempt,
      attempts: task.failures + 1,
    });
  }

  settleFailed({ job, first, count, failures: attempts }: Task, code: ErrCode, error: string): void {
    this.#settle(job, first, count, FAILED);
    job.failed += count;
    this.#failed += count;
    for (let index = first; index < first + count; index += 1)
      job.failures.set(index, { code, error, attempts });
    this.#tell({ kind: 'failed', job: job.id, first, count, code, error, attempts });
  }

  /** Every image of the job has a result: how it went on the whole. @param cause why it was given up; null: it was not */
  finish(job: Job, now: number, cause: Code | null): void {
    assert(job.done + job.failed === job.images, 'every image has a result');
    assert(job.running.size === 0 && job.resting.size === 0, 'nothing of it is under way');
    job.finishedAt = now;
    if (job.failed === 0) job.state = 'completed';
    else job.state = cause === Code.CANCELED ? 'canceled' : 'failed';
    if (job.failed === 0) job.code = Code.OK;
    else if (cause === Code.CANCELED) job.code = cause;
    else job.code = job.done > 0 ? Code.PARTIAL : (cause ?? Code.INTERNAL);
    if (job.failed > 0 && job.message === '')
      job.message = `${job.failed} of ${job.images} images failed: ${job.lastError}`;
    const { id, code, message, done, failed } = job;
    this.#tell({ kind: 'finished', job: id, code, message, done, failed });
  }

  #settle(job: Job, first: number, count: number, result: number): void {
    const { results } = job;
    for (let index = first; index < first + count; index += 1) {
      assert(results[index] === NONE, 'an image has one result');
      results[index] = result;
    }
    this.#open -= count;
  }
}
