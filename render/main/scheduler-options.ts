// The numbers of the scheduler, with their defaults and what they have to be.

import { RenderError } from '../errors.js';

export interface SchedulerOptions {
  /** Jobs in the table, finished ones that are kept included. Default 10,000. */
  readonly jobsMax?: number;
  /** Images of one job. Default 65,536. */
  readonly imagesPerJobMax?: number;
  /** Images of all jobs that have no result yet. Default 1,000,000. */
  readonly imagesOpenMax?: number;
  /** Images of one task for each slot of its worker node. Default 1. */
  readonly chunkPerSlot?: number;
  /** Images that take less than so long, in ms, count as their share of it: they travel together. Default 25. */
  readonly shortImageMs?: number;
  /** Images in the hands of a worker node for each of its slots: what it renders and what waits there. Default 2. */
  readonly handedPerSlot?: number;
  /** Attempts after the first one that may fail. Default 3. */
  readonly retriesMax?: number;
  /** So often may the node of a task go away under it, which costs no retry. Default 8. */
  readonly lossesMax?: number;
  /** Failed attempts in a row after which a node gets nothing more of a job. Default 3. */
  readonly blockAfter?: number;
  /** Share of failed images above which the rest of a job is given up; needs 10 failed ones. Default 1: never. */
  readonly failedShareMax?: number;
  /** Before the second attempt and at most, in ms. Default 200 and 10,000. */
  readonly backoffBaseMs?: number;
  readonly backoffCapMs?: number;
  /** An attempt may take so many times what is estimated, and never less than the minimum. Default 3 and 10,000. */
  readonly timeoutFactor?: number;
  readonly timeoutMinMs?: number;
  /** While nothing was measured yet. Default 600,000. */
  readonly timeoutUnknownMs?: number;
  /** For a job that names no deadline. Default 86,400,000: a day. */
  readonly jobTimeoutMs?: number;
  /** What an image is taken to cost while nothing was measured yet, in ms. Default 1,000. */
  readonly estimateMs?: number;
  /** Beats in a row that do not mention an attempt before it is given to others. Default 2. */
  readonly beatsMissedMax?: number;
  /** The id of the first attempt: above all that an earlier life of the main node gave. Default 1. */
  readonly firstAttempt?: number;
  /** The id of the first job, likewise. Default 1. */
  readonly firstJob?: number;
}

export const SCHEDULER_DEFAULTS: Required<SchedulerOptions> = {
  jobsMax: 10_000,
  imagesPerJobMax: 65_536,
  imagesOpenMax: 1_000_000,
  chunkPerSlot: 1,
  shortImageMs: 25,
  handedPerSlot: 2,
  retriesMax: 3,
  lossesMax: 8,
  blockAfter: 3,
  failedShareMax: 1,
  backoffBaseMs: 200,
  backoffCapMs: 10_000,
  timeoutFactor: 3,
  timeoutMinMs: 10_000,
  timeoutUnknownMs: 600_000,
  jobTimeoutMs: 86_400_000,
  estimateMs: 1000,
  beatsMissedMax: 2,
  firstAttempt: 1,
  firstJob: 1,
};

/** @throws RenderError RENDER_OPTION_INVALID */
export function schedulerOptions(given: SchedulerOptions): Required<SchedulerOptions> {
  const options = { ...SCHEDULER_DEFAULTS, ...given };
  for (const [name, value] of Object.entries(options)) {
    const least = name === 'retriesMax' || name === 'lossesMax' ? 0 : Number.MIN_VALUE;
    if (!(Number.isFinite(value) && value >= least))
      throw new RenderError('RENDER_OPTION_INVALID', `${name}: ${value} is too small or no number`);
  }
  if (options.handedPerSlot < options.chunkPerSlot)
    throw new RenderError('RENDER_OPTION_INVALID', 'handedPerSlot: a node could not take one whole task');
  return options;
}
