// The emergency state of a host pool: begins when many connects or connections fail at once, and ends in a relay.
// While it lasts nobody is served. host-pool.ts cleans up and says when that is done; then this opens the relay:
// one waiter is served, in the next turn two, then four… until nobody waits.
// The relay is a number of hand-outs per turn and not a token that is passed on: a waiter that has timed out or
// whose call fails cannot break it.

import { FailureWindow } from './failure-window.js';
import type { CompletePoolOptions } from './pool-options.js';
import type { PoolTime } from './pool-time.js';

/** @internal */
export interface QuarantineHost {
  /** The pause is over: if the clean-up is done too, `end` is due. */
  quarantinePaused(): void;
  /** More waiters may be served. */
  relayGoesOn(): void;
}

export class Quarantine {
  readonly #time: PoolTime;
  readonly #random: () => number;
  readonly #jitterMs: number;
  readonly #host: QuarantineHost;
  readonly #failures: FailureWindow;
  #isActive: boolean = false;
  #pauseTimer: unknown = null;
  /** Hand-outs per turn in a relay; Infinity outside of one. */
  #relayWidth: number = Infinity;
  /** Hand-outs left in this turn. */
  #relayLeft: number = Infinity;
  #relayTimer: unknown = null;

  constructor(time: PoolTime, random: () => number, options: CompletePoolOptions, host: QuarantineHost) {
    this.#time = time;
    this.#random = random;
    this.#jitterMs = options.quarantineJitterMs;
    this.#host = host;
    this.#failures = new FailureWindow(options.quarantineFailures, options.quarantineWindowMs);
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  /** The least it lasts is over. */
  get isPauseOver(): boolean {
    return this.#pauseTimer === null;
  }

  /** A connect failed or a connection was lost. True: this one began a quarantine. */
  failed(nowMs: number): boolean {
    if (!this.#failures.record(nowMs) || this.#isActive) return false;
    this.#stopTimers();
    this.#isActive = true;
    this.#pauseTimer = this.#time.runAfter(this.#jitter(), () => {
      this.#pauseTimer = null;
      this.#host.quarantinePaused();
    });
    return true;
  }

  /** The clean-up is done. */
  end(): void {
    this.#isActive = false;
    this.#failures.clear();
    this.#relayWidth = 1;
    this.#relayLeft = 1;
  }

  /** Whether one more waiter may be served in this turn; if not, `relayGoesOn` follows. */
  takeTurn(): boolean {
    if (this.#relayLeft > 0) {
      this.#relayLeft -= 1;
      return true;
    }
    this.#relayTimer ??= this.#time.runAfter(0, () => {
      this.#relayTimer = null;
      this.#relayWidth *= 2;
      this.#relayLeft = this.#relayWidth;
      this.#host.relayGoesOn();
    });
    return false;
  }

  /** Nobody waits any more. */
  relayDone(): void {
    this.#relayWidth = Infinity;
    this.#relayLeft = Infinity;
  }

  /** Ms by which a waiter that comes now may wait longer, so that not all give up at once. */
  waitJitterMs(): number {
    return this.#isActive ? this.#jitter() : 0;
  }

  /** The host pool is closed: nothing is called any more. */
  close(): void {
    this.#stopTimers();
    this.#isActive = false;
    this.#failures.clear();
    this.relayDone();
  }

  #jitter(): number {
    return this.#random() * this.#jitterMs;
  }

  #stopTimers(): void {
    if (this.#pauseTimer !== null) this.#time.cancel(this.#pauseTimer);
    if (this.#relayTimer !== null) this.#time.cancel(this.#relayTimer);
    this.#pauseTimer = null;
    this.#relayTimer = null;
  }
}
