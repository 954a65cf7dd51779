// A member's clock in the simulation: it runs a little fast or slow, shows another time of day than those of others, and
// stands still for nobody: what a paused process missed is there when it goes on.

import type { NodeClock } from '../../../kv/node/node-clock.js';

export interface ClockHost {
  now(): number;
  /** Calls `run` after so many ms of the world, if this life still goes on. */
  later(delayMs: number, run: () => void): void;
}

export interface ClockFaults {
  /** Its ms per ms of the world. */
  readonly rate: number;
  /** What the wall clock is wrong by. */
  readonly wallOffsetMs: number;
}

const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Delays are multiples of this, so that a rest too small to move the clock cannot be waited for again and again. */
const GRAIN = 1024;

export class SimClock implements NodeClock {
  readonly #host: ClockHost;
  readonly #faults: ClockFaults;

  constructor(host: ClockHost, faults: ClockFaults) {
    this.#host = host;
    this.#faults = faults;
  }

  nowMs(): number {
    return 1000 + this.#host.now() * this.#faults.rate;
  }

  wallMs(): number {
    return EPOCH_MS + Math.floor(this.#host.now() * this.#faults.rate) + this.#faults.wallOffsetMs;
  }

  after(delayMs: number, task: () => void): () => void {
    let isOff = false;
    this.#host.later(Math.ceil((delayMs / this.#faults.rate) * GRAIN) / GRAIN, () => {
      if (!isOff) task();
    });
    return () => {
      isOff = true;
    };
  }

  defer(task: () => void): void {
    this.#host.later(0, task);
  }
}
