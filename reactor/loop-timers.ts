// The timers of one thread: a timer wheel, the clock it runs on, and the single Node timer that wakes it.
// event-loop.ts, connections and pending calls schedule their nodes here.
// The Node timer is armed for the next due tick only: nothing due, nothing ticks.

import { performance } from 'node:perf_hooks';
import { type TimerNode, TimerWheel } from './timer-wheel.js';

export interface Clock {
  /** Monotonic time in milliseconds, with a fraction. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => performance.now() };

/** Timers fired in one go before sockets get their turn. */
const FIRES_PER_TURN_MAX = 1024;
/** The longest delay Node takes; a later timer is reached in several steps. */
const NODE_DELAY_MS_MAX = 2 ** 31 - 1;

export class LoopTimers {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #wheel: TimerWheel;
  #armed: NodeJS.Timeout | null = null;
  #armedDueMs: number = Infinity;
  #isRef: boolean = false;
  #isClosed: boolean = false;

  /** What a node's `onTimer` throws goes to `onError`; the other nodes still fire. */
  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
    this.#wheel = new TimerWheel(clock.nowMs());
  }

  /** Timers waiting. */
  get size(): number {
    return this.#wheel.size;
  }

  /** Fires `node` once after at least `delayMs`, late by less than TIMER_TICK_MS; moves it if it waits. */
  schedule(node: TimerNode, delayMs: number): void {
    if (this.#isClosed) return; // nothing fires any more, and whoever closes a thread cannot care
    const dueMs = this.#wheel.schedule(node, delayMs, this.#clock.nowMs());
    if (dueMs < this.#armedDueMs) this.#arm(dueMs);
  }

  /** Forgets `node`; false when it was not waiting. */
  cancel(node: TimerNode): boolean {
    return this.#wheel.cancel(node);
  }

  /** Whether a waiting timer keeps the thread alive; it does not until asked. */
  setRef(isRef: boolean): void {
    this.#isRef = isRef;
    if (isRef) this.#armed?.ref();
    else this.#armed?.unref();
  }

  /** Stops for good; waiting nodes never fire. Idempotent. */
  close(): void {
    this.#isClosed = true;
    if (this.#armed !== null) clearTimeout(this.#armed);
    this.#armed = null;
  }

  #arm(dueMs: number): void {
    if (this.#armed !== null) clearTimeout(this.#armed);
    const delayMs = Math.min(Math.max(Math.ceil(dueMs - this.#clock.nowMs()), 0), NODE_DELAY_MS_MAX);
    this.#armedDueMs = dueMs;
    this.#armed = setTimeout(() => this.#advance(), delayMs);
    if (!this.#isRef) this.#armed.unref();
  }

  /** Node may call a little early; then nothing fires and the rest of the time is waited for. */
  #advance(): void {
    this.#armed = null;
    this.#armedDueMs = -Infinity; // whatever fires need not arm: that happens below, once
    this.#wheel.advance(this.#clock.nowMs(), (node) => this.#fire(node), FIRES_PER_TURN_MAX);
    this.#armedDueMs = Infinity;
    const dueMs = this.#wheel.nextDueMs();
    if (dueMs !== null && !this.#isClosed) this.#arm(dueMs);
  }

  #fire(node: TimerNode): void {
    try {
      node.onTimer();
    } catch (error) {
      this.#onError(error);
    }
  }
}
