// A clock and timers that a test moves: whatever takes a PoolTime lives in it.
// Promises settle between two timers, as they would in a real event loop.

import { setImmediate as nextTurn } from 'node:timers/promises';

interface VirtualTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly task: () => void;
}

export class VirtualTime {
  #nowMs: number = 1_000_000;
  #order: number = 0;
  readonly #timers: Set<VirtualTimer> = new Set();

  nowMs(): number {
    return this.#nowMs;
  }

  runAfter(delayMs: number, task: () => void): VirtualTimer {
    this.#order += 1;
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, task };
    this.#timers.add(timer);
    return timer;
  }

  cancel(timer: unknown): void {
    this.#timers.delete(timer as VirtualTimer); // what runAfter gave
  }

  get timersWaiting(): number {
    return this.#timers.size;
  }

  /** Lets everything happen that is due within `ms`, in order. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await nextTurn();
    for (let timer = this.#next(endMs); timer !== null; timer = this.#next(endMs)) {
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      timer.task();
      await nextTurn();
    }
    this.#nowMs = endMs;
  }

  #next(endMs: number): VirtualTimer | null {
    let next: VirtualTimer | null = null;
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue;
      if (
        next === null ||
        timer.dueMs < next.dueMs ||
        (timer.dueMs === next.dueMs && timer.order < next.order)
      )
        next = timer;
    }
    return next;
  }
}
