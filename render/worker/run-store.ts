// The requests that are on a worker node, by the main node's id and by the task table's: those that are open, those that are kept
// for callers who come again, and the ids of those that were dropped. Bounded by what their images may take.
// render-desk.ts puts them in and takes them out.

import type { SlaveRenderReq } from '../proto/render.js';
import { RenderRun } from './render-run.js';

const RUNS_MAX = 1024;
const FORGOTTEN_MAX = 4096;

export class RunStore {
  readonly #bytesMax: number;
  readonly #runs = new Map<bigint, RenderRun>();
  readonly #byId = new Map<number, RenderRun>();
  readonly #forgotten = new Set<bigint>();
  #lastId = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  find(requestId: bigint): RenderRun | undefined {
    return this.#runs.get(requestId);
  }

  /** By its id in the task table. */
  get(id: number): RenderRun | undefined {
    return this.#byId.get(id);
  }

  wasForgotten(requestId: bigint): boolean {
    return this.#forgotten.has(requestId);
  }

  values(): RenderRun[] {
    return [...this.#runs.values()];
  }

  get size(): number {
    return this.#runs.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Requests that are not answered yet. */
  open(): bigint[] {
    return this.values().flatMap((run) => (run.isOpen ? [run.request.requestId] : []));
  }

  /** Drops answered requests, the oldest first, until there is room. Whether there is. */
  makeRoom(bytes: number): boolean {
    for (const run of this.#runs.values()) {
      if (this.#bytes + bytes <= this.#bytesMax && this.#runs.size < RUNS_MAX) break;
      if (!run.isOpen) this.forget(run);
    }
    return this.#bytes + bytes <= this.#bytesMax;
  }

  /** Not in the store yet: what comes of it may still refuse it. */
  make(now: number, request: SlaveRenderReq, bytes: number): RenderRun {
    this.#lastId += 1;
    return new RenderRun(this.#lastId, request, bytes, now);
  }

  add(run: RenderRun): void {
    this.#runs.set(run.request.requestId, run);
    this.#byId.set(run.id, run);
    this.#bytes += run.bytesReserved;
  }

  forget(run: RenderRun): void {
    const { requestId } = run.request;
    this.#runs.delete(requestId);
    this.#byId.delete(run.id);
    this.#bytes -= run.bytesReserved;
    this.#forgotten.add(requestId);
    const [oldest] = this.#forgotten;
    if (this.#forgotten.size > FORGOTTEN_MAX) this.#forgotten.delete(oldest!);
  }

  /** Ids that were dropped may be given anew. */
  clearForgotten(): void {
    this.#forgotten.clear();
  }
}
