// Cuts images of a job into tasks, and tasks into smaller ones, which have the past of the one that they were cut from.
// scheduler.ts has one. Tasks never grow: all images of a task have been through the same.

import type { Job, Task } from './job.js';

export interface ImageRun {
  readonly first: number;
  readonly count: number;
}

export class TaskCutter {
  #lastTask = 0;

  /** A task of images that were in none yet. */
  cut(job: Job, { first, count }: ImageRun): Task {
    this.#lastTask += 1;
    return {
      kind: 'task',
      id: this.#lastTask,
      job,
      first,
      count,
      failures: 0,
      version: 0,
      losses: 0,
      failedOn: null,
      deadline: null,
    };
  }

  /** Some of the images of a task as one of their own. The task itself is not touched. */
  part(task: Task, run: ImageRun): Task {
    const { failures, version, losses, failedOn } = task;
    const copied = failedOn === null ? null : new Set(failedOn);
    return Object.assign(this.cut(task.job, run), { failures, version, losses, failedOn: copied });
  }
}

/** Ascending indexes as runs of neighbours. */
export function runsOf(indexes: readonly number[]): ImageRun[] {
  const runs: { first: number; count: number }[] = [];
  for (const index of indexes) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === index) last.count += 1;
    else runs.push({ first: index, count: 1 });
  }
  return runs;
}
