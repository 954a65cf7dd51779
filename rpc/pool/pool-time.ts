// Clock and timers of a pool, from outside, so that a test can live in virtual time.
// Inside a handler module the timers are those of its event loop, elsewhere Node's.

import { performance } from 'node:perf_hooks';
import type { EventLoop, TimerHandle } from '../../reactor/index.js';

export interface PoolTime {
  /** Monotonic time in milliseconds. */
  nowMs(): number;
  /**
   * Runs `task` once after at least `delayMs`.
   * @param isBackground nobody waits for it: it need not keep the process alive
   */
  runAfter(delayMs: number, task: () => void, isBackground?: boolean): unknown;
  /** Takes what `runAfter` gave. Nothing happens when it has run already. */
  cancel(timer: unknown): void;
}

/** performance.now and setTimeout. */
export const systemPoolTime: PoolTime = {
  nowMs: () => performance.now(),
  runAfter(delayMs, task, isBackground = false) {
    const timer = setTimeout(task, delayMs);
    if (isBackground) timer.unref();
    return timer;
  },
  cancel: (timer) => clearTimeout(timer as NodeJS.Timeout), // what runAfter above gave
};

/** The clock and the timers of `loop`. They do not keep the thread alive unless the loop does. */
export function loopPoolTime(loop: EventLoop): PoolTime {
  return {
    nowMs: () => loop.nowMs,
    runAfter: (delayMs, task) => loop.runAfter(delayMs, task),
    cancel: (timer) => void loop.cancel(timer as TimerHandle), // what runAfter above gave
  };
}
