// Gives a thread's idle buffers back after a peak, and sleeps while there is nothing to give back.
// sub-reactor.ts begins it with every connection; each period that passes is one window of BufferPool.trim.

import type { EventLoop } from './event-loop.js';
import { POOL_TRIM_PERIOD_MS } from './limits.js';
import { TimerNode } from './timer-wheel.js';

export class PoolTrimmer extends TimerNode {
  readonly #loop: EventLoop;

  constructor(loop: EventLoop) {
    super();
    this.#loop = loop;
  }

  /** Something may use the pool from now on. */
  begin(): void {
    if (!this.isScheduled) this.#loop.timers.schedule(this, POOL_TRIM_PERIOD_MS);
  }

  override onTimer(): void {
    const { pool, connections } = this.#loop;
    pool.trim();
    // Two windows without a peak empty the pool; with nothing owned and nobody here, no timer is needed.
    if (connections.size > 0 || pool.stats().idleBytes > 0) this.begin();
  }
}
