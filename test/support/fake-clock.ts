// A clock that a test moves by hand. What waits for it runs in the order of its time, and code that awaits in between
// gets its turns.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../rpc/registry/clock.js';

interface Alarm {
  readonly atMs: number;
  readonly task: () => void;
}

/** Turns of the loop that code between two alarms may need, with real files or sockets in it more. */
const TURNS = 3;

export class FakeClock implements Clock {
  /** What a wall clock shows when this one shows 0. */
  readonly epochMs: number = Date.UTC(2026, 0, 1);
  #nowMs = 0;
  readonly #alarms = new Set<Alarm>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.epochMs + this.#nowMs;
  }

  after(delayMs: number, task: () => void): () => void {
    const alarm = { atMs: this.#nowMs + Math.max(0, delayMs), task };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Alarms that are set. */
  get waiting(): number {
    return this.#alarms.size;
  }

  /** Lets `ms` pass. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#alarms].toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#alarms.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.task();
      await this.settle();
    }
    this.#nowMs = untilMs;
    await this.settle();
  }

  /** Time passes while this process sleeps: nothing runs in between, then all of it at once. */
  async jump(ms: number): Promise<void> {
    this.#nowMs += ms;
    await this.advance(0);
  }

  /** Lets everything that is ready run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await nextTurn();
  }
}
