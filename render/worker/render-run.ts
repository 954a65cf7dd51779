// One request of the main node while it is here: its images as they come, and those who wait for them.
// The desk fills it; slave-service.ts reads it, for every call that asks for the same request from the beginning.

import type { SlaveRenderReq, Status } from '../proto/render.js';
import type { ImageResult } from './answer-pieces.js';

export class RenderRun {
  /** Within the task table. */
  readonly id: number;
  readonly request: SlaveRenderReq;
  /** Path of its .blend file, once it is there; '' for what the renderers were started with. */
  scene = '';
  /** What its images may take, at most. */
  readonly bytesReserved: number;
  /** In the order in which they came. */
  readonly results: ImageResult[] = [];
  /** Ends a fetch of its scene. */
  readonly giveUp: AbortController = new AbortController();
  readonly takenAt: number;
  /** Since when nobody listens; null while somebody does. */
  unheardSince: number | null;
  isCanceled = false;
  #end: Status | null = null;
  #endedAt: number | null = null;
  #readers = 0;
  #waiting: (() => void)[] = [];
  #waitingForEnd: (() => void)[] = [];

  constructor(id: number, request: SlaveRenderReq, bytesReserved: number, now: number) {
    this.id = id;
    this.request = request;
    this.bytesReserved = bytesReserved;
    this.takenAt = now;
    this.unheardSince = now;
  }

  /** How it ended; null while it has not. */
  get end(): Status | null {
    return this.#end;
  }

  get endedAt(): number | null {
    return this.#endedAt;
  }

  /** Not over, or somebody still gets its images. */
  get isOpen(): boolean {
    return this.#end === null || this.#readers > 0;
  }

  add(result: ImageResult): void {
    this.results.push(result);
    this.#wake();
  }

  finish(now: number, end: Status): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#endedAt = now;
    this.#wake();
    for (const wake of this.#waitingForEnd.splice(0)) wake();
  }

  enter(): void {
    this.#readers += 1;
    this.unheardSince = null;
  }

  leave(now: number): void {
    this.#readers -= 1;
    if (this.#readers === 0) this.unheardSince = now;
  }

  /** Resolves when there are more results than `seen`, when it is over, or when `signal` says to stop waiting. */
  async news(seen: number, signal: AbortSignal): Promise<void> {
    while (this.results.length <= seen && this.#end === null && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        signal.addEventListener('abort', wake, { once: true });
        this.#waiting.push(wake);
      });
    }
  }

  /** Resolves when it is over, or after `ms`. */
  async over(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#waitingForEnd = this.#waitingForEnd.filter((waiting) => waiting !== wake);
        resolve();
      }, ms);
      const wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waitingForEnd.push(wake);
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
