// How many images travel together, what room they take on a node, and how long they may be at it.
// scheduler.ts asks for each task that it gives out. Pure: what images take is known by render-times.ts, room by worker-nodes.ts.
// A short image is a share of one that is not, so that a node with short ones has as much work in hand as any other.

import type { Job } from './job.js';
import type { RenderTimes } from './render-times.js';
import type { SchedulerOptions } from './scheduler-options.js';
import { IMAGE_WORK, type WorkerNode, type WorkerNodes } from './worker-nodes.js';

/** However short they are: of an image that turns out to be long, not too many are in one hand. */
const IMAGE_SHARE_MIN = 1 / 128;
const CHUNK_IMAGES_MAX = 512;

export class TaskSizes {
  readonly #options: Required<SchedulerOptions>;
  readonly #times: RenderTimes;
  readonly #nodes: WorkerNodes;

  constructor(options: Required<SchedulerOptions>, times: RenderTimes, nodes: WorkerNodes) {
    this.#options = options;
    this.#times = times;
    this.#nodes = nodes;
  }

  /** As many images of the job as the node may have in one task now. */
  roomFor(job: Job, node: WorkerNode): number {
    const imageWork = this.imageWork(job);
    const short = Math.floor((node.slots * this.#options.chunkPerSlot * IMAGE_WORK) / imageWork);
    // Of the last ones everybody gets some, in case they take longer than those before.
    const share = Math.ceil((job.images - job.done - job.failed) / (2 * this.#nodes.size));
    const chunk = Math.max(this.chunkOf(node), Math.min(short, share));
    return Math.min(this.#nodes.room(node, imageWork), chunk, job.chunkMax, CHUNK_IMAGES_MAX);
  }

  /** Images of a task whose images are not short. */
  chunkOf(node: WorkerNode): number {
    return Math.max(1, Math.floor(node.slots * this.#options.chunkPerSlot));
  }

  /** What one image takes of a node's room, as far as its time is known. */
  imageWork(job: Job): number {
    const imageMs = this.#times.estimateMs(job.kind) ?? Number.POSITIVE_INFINITY;
    const share = Math.max(IMAGE_SHARE_MIN, Math.min(1, imageMs / this.#options.shortImageMs));
    return Math.ceil(IMAGE_WORK * share);
  }

  /** How long an attempt at so many more images may take on the node. @param imageMs null: nothing was measured yet */
  timeoutMs(imageMs: number | null, node: WorkerNode, count: number): number {
    const { timeoutFactor, timeoutMinMs, timeoutUnknownMs } = this.#options;
    if (imageMs === null) return timeoutUnknownMs;
    const rounds = Math.ceil((node.handed + count) / Math.max(1, node.slots));
    return Math.max(timeoutMinMs, imageMs * rounds * timeoutFactor);
  }

  /** By which jobs share, in ms of rendering. */
  cost(imageMs: number | null, count: number): number {
    return Math.max(1e-3, imageMs ?? this.#options.estimateMs) * count;
  }
}
