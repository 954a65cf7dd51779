// The points of the load graphs, as many as fit into a stated time. Pure: time and workers are arguments.

import type { FarmWorker } from '../main/farm.js';
import type { WebLoad } from './shapes.js';

/** Loads of single workers that are kept: with many workers the graphs go back less far. */
const LOADS_MAX = 100_000;

export class LoadHistory {
  readonly #pointsMax: number;
  readonly #points: WebLoad[] = [];
  #loads = 0;
  #last: { readonly atMs: number; readonly images: number } | null = null;

  constructor(pointsMax: number) {
    this.#pointsMax = pointsMax;
  }

  get points(): readonly WebLoad[] {
    return this.#points;
  }

  /** @param imagesRendered since the main node began */
  note(atMs: number, imagesRendered: number, workers: readonly FarmWorker[]): WebLoad {
    const point: WebLoad = {
      atMs,
      imagesPerSecond: this.#rate(atMs, imagesRendered),
      workers: workers.map(({ serial, cpu, mem, gpu, running, queued, processes }) => ({
        serial,
        cpu,
        mem,
        gpu,
        running,
        queued,
        processes: processes.length,
      })),
    };
    this.#points.push(point);
    this.#loads += point.workers.length;
    while (this.#points.length > this.#pointsMax || (this.#loads > LOADS_MAX && this.#points.length > 1))
      this.#loads -= this.#points.shift()!.workers.length; // the one just pushed is there at least
    return point;
  }

  #rate(atMs: number, images: number): number {
    const last = this.#last;
    this.#last = { atMs, images };
    if (last === null || atMs <= last.atMs) return 0;
    return Math.max(0, ((images - last.images) * 1000) / (atMs - last.atMs));
  }
}
