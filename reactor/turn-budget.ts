// How much one turn of an event loop may do before sockets get their share: a number of tasks and a time.
// event-loop.ts begins it, and gives each source of work the share of it up to which that source may go.

import assert from 'node:assert/strict';
import type { Clock } from './loop-timers.js';

export class TurnBudget {
  readonly #clock: Clock;
  readonly #tasksMax: number;
  readonly #turnMs: number;
  #beganMs: number = 0;
  #tasks: number = 0;
  #tasksLimit: number = 0;
  #limitMs: number = 0;

  constructor(clock: Clock, tasksMax: number, turnMs: number) {
    assert(tasksMax >= 1);
    assert(turnMs >= 0);
    this.#clock = clock;
    this.#tasksMax = tasksMax;
    this.#turnMs = turnMs;
  }

  begin(): void {
    this.#beganMs = this.#clock.nowMs();
    this.#tasks = 0;
  }

  /** The next source may go on until `share` of the whole turn is spent, 0 to 1; what is left over stays. */
  allow(share: number): void {
    this.#tasksLimit = this.#tasksMax * share;
    this.#limitMs = this.#beganMs + this.#turnMs * share;
  }

  /** Counts one task that ran; whether the source has to stop. It has run at least one, so none starves. */
  spend(): boolean {
    this.#tasks += 1;
    return this.#tasks >= this.#tasksLimit || this.#clock.nowMs() >= this.#limitMs;
  }
}
