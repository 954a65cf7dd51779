// Whether a job may come: what it asks for can be, somebody could render it, and there is room for what waits.
// scheduler.ts asks before it takes one. Pure.

import { RenderError } from '../errors.js';
import type { JobRequest } from './job.js';
import type { SchedulerOptions } from './scheduler-options.js';
import type { WorkerNodes } from './worker-nodes.js';

const RETRY_AFTER_MIN_MS = 200;
const RETRY_AFTER_MAX_MS = 10_000;

/** What is there already. */
export interface Waiting {
  readonly jobs: number;
  readonly imagesOpen: number;
}

export class Admission {
  readonly #options: Required<SchedulerOptions>;
  readonly #nodes: WorkerNodes;

  constructor(options: Required<SchedulerOptions>, nodes: WorkerNodes) {
    this.#options = options;
    this.#nodes = nodes;
  }

  /** @throws RenderError RENDER_REQUEST_INVALID, RENDER_REQUEST_TOO_LARGE; RENDER_OVERLOAD with `retryAfterMs` */
  check(request: JobRequest, { jobs, imagesOpen }: Waiting): void {
    const { images, tag = '' } = request;
    checkNumbers(request);
    const { imagesPerJobMax, imagesOpenMax, jobsMax } = this.#options;
    if (images > imagesPerJobMax)
      throw new RenderError(
        'RENDER_REQUEST_TOO_LARGE',
        `${images} images; a job has at most ${imagesPerJobMax}`,
      );
    if (!this.#nodes.hasTag(tag)) {
      const text = tag === '' ? 'there is no worker node' : `no worker node has the tag ${tag}`;
      throw this.#overload(text, imagesOpen);
    }
    if (jobs >= jobsMax) throw this.#overload(`there are ${jobsMax} jobs already`, imagesOpen);
    if (imagesOpen + images > imagesOpenMax)
      throw this.#overload(`${imagesOpen} images wait already; at most ${imagesOpenMax} may`, imagesOpen);
  }

  #overload(message: string, imagesOpen: number): RenderError {
    const slots = Math.max(1, this.#nodes.slots());
    const waitMs = (imagesOpen * this.#options.estimateMs) / slots / 2;
    const retryAfterMs = Math.round(Math.max(RETRY_AFTER_MIN_MS, Math.min(RETRY_AFTER_MAX_MS, waitMs)));
    return new RenderError('RENDER_OVERLOAD', message, { retryAfterMs });
  }
}

/** @throws RenderError RENDER_REQUEST_INVALID */
function checkNumbers({ images, chunkMax = 1, deadlineMs = 1, priority = 0 }: JobRequest): void {
  if (!Number.isInteger(images) || images < 1)
    throw new RenderError('RENDER_REQUEST_INVALID', `${images} is no number of images`);
  if (!Number.isInteger(chunkMax) || chunkMax < 1)
    throw new RenderError('RENDER_REQUEST_INVALID', `chunkMax: ${chunkMax} is no number of images`);
  if (!(deadlineMs > 0) || !Number.isInteger(priority))
    throw new RenderError('RENDER_REQUEST_INVALID', 'the deadline or the priority is no number that can be');
}
