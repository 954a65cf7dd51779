// Lets so many calls run at once and the next ones wait in turn: a fixed number, or one that finds itself.
// A call that cannot make its deadline any more is dropped rather than run, so that an overloaded server works on calls
// somebody still waits for. limit-middleware.ts drives it and keeps the timers. Pure: time comes in.
// Bounds: `queueMax` calls wait; one more is refused with RPC_QUEUE_FULL. Both refusals say 'surely not executed'.

import assert from 'node:assert/strict';

import { RpcError } from '../errors.js';
import { checkNumber, invalidOption, withDefaults } from '../option-checks.js';
import { GradientLimit, type GradientLimitOptions } from './gradient-limit.js';

export interface ConcurrencyLimitOptions {
  /** Calls that run at once, or 'auto', which goes by their latency. Default 1024 (gRPC A32). */
  limit?: number | 'auto';
  /** For 'auto'. */
  auto?: GradientLimitOptions;
  /** Calls that may wait; 0 for none. Default 1024. */
  queueMax?: number;
  /** No call waits longer, whatever its deadline. Default 10 s. */
  waitMaxMs?: number;
}

const DEFAULTS: Required<ConcurrencyLimitOptions> = {
  limit: 1024,
  auto: {},
  queueMax: 1024,
  waitMaxMs: 10_000,
};

/** One call that waits. Exactly one of the two is called, once, unless it leaves first. */
export interface Waiter {
  /** It runs now and has to `release`. */
  admitted(): void;
  dropped(error: RpcError): void;
}

interface Place {
  readonly waiter: Waiter;
  readonly deadlineMs: number;
  previous: Place | null;
  next: Place | null;
}

export class ConcurrencyLimiter {
  readonly #options: Required<ConcurrencyLimitOptions>;
  readonly #auto: GradientLimit | null;
  readonly #places = new Map<Waiter, Place>();
  #first: Place | null = null;
  #last: Place | null = null;
  #running = 0;
  #refused = 0;
  #dropped = 0;
  /** Quick answers take about this long: follows a quicker one at once, a slower one slowly. */
  #quickMs = -1;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: ConcurrencyLimitOptions = {}) {
    this.#options = withDefaults('concurrency limit', DEFAULTS, options);
    const { limit, auto, queueMax, waitMaxMs } = this.#options;
    if (typeof limit === 'string' && limit !== 'auto') {
      throw invalidOption('concurrency limit', 'limit', `must be a number or 'auto', not '${String(limit)}'`);
    }
    if (limit !== 'auto') checkNumber('concurrency limit', 'limit', limit, { min: 1, whole: true });
    checkNumber('concurrency limit', 'queueMax', queueMax, { min: 0, whole: true });
    checkNumber('concurrency limit', 'waitMaxMs', waitMaxMs, { above: 0, max: 2 ** 31 - 1 });
    this.#auto = limit === 'auto' ? new GradientLimit(auto) : null;
  }

  get limit(): number {
    return this.#auto === null ? (this.#options.limit as number) : this.#auto.limit; // 'auto' has #auto
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#places.size;
  }

  stats(): { limit: number; running: number; waiting: number; refused: number; dropped: number } {
    const { limit, running, waiting } = this;
    return { limit, running, waiting, refused: this.#refused, dropped: this.#dropped };
  }

  /** Runs a call now if it needs not wait; it then has to `release`. */
  tryAcquire(): boolean {
    if (this.#running >= this.limit || this.#first !== null) return false;
    this.#running += 1;
    return true;
  }

  /**
   * Puts a call behind those that wait, after `tryAcquire` refused it.
   * @returns ms after which `drop` is to be called for it
   * @throws RpcError RPC_QUEUE_FULL, or RPC_DEADLINE_EXCEEDED for one that would not make it even if all went quickly
   */
  enqueue(waiter: Waiter, remainingMs: number, nowMs: number): number {
    const { queueMax, waitMaxMs } = this.#options;
    if (this.waiting >= queueMax) {
      this.#refused += 1;
      throw new RpcError('RPC_QUEUE_FULL', `${this.#running} calls run and ${this.waiting} wait`, {
        executed: 'no',
      });
    }
    // At best all that run end now, those before it take this many turns, and then it runs.
    const turns = Math.floor(this.waiting / this.limit) + 1;
    if (turns * this.#quickMs > remainingMs || remainingMs <= 0) {
      this.#dropped += 1;
      throw this.#late();
    }
    const place: Place = { waiter, deadlineMs: nowMs + remainingMs, previous: this.#last, next: null };
    if (this.#last === null) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
    this.#places.set(waiter, place);
    return Math.min(remainingMs, waitMaxMs);
  }

  /**
   * A call that ran has ended: the next may run.
   * @param latencyMs how long it ran; null when that says nothing about other calls (streams)
   */
  release(latencyMs: number | null, isFailure: boolean, nowMs: number): void {
    assert(this.#running > 0, 'released once per call that ran');
    if (latencyMs !== null) {
      if (!isFailure) this.#learn(latencyMs);
      this.#auto?.ended(latencyMs, isFailure, this.#running, nowMs);
    }
    this.#running -= 1;
    while (this.#first !== null && this.#running < this.limit) this.#takeFirst(this.#first, nowMs);
  }

  /** A call that waits was given up. */
  leave(waiter: Waiter): void {
    const place = this.#places.get(waiter);
    if (place !== undefined) this.#unlink(place);
  }

  /** The time that `enqueue` gave a call is over; nothing happens if it does not wait any more. */
  drop(waiter: Waiter): void {
    const place = this.#places.get(waiter);
    if (place !== undefined) this.#drop(place);
  }

  #learn(latencyMs: number): void {
    const isQuicker = this.#quickMs < 0 || latencyMs < this.#quickMs;
    this.#quickMs = isQuicker ? latencyMs : this.#quickMs + (latencyMs - this.#quickMs) * 0.01;
  }

  #takeFirst(place: Place, nowMs: number): void {
    if (nowMs + Math.max(0, this.#quickMs) >= place.deadlineMs) return this.#drop(place);
    this.#unlink(place);
    this.#running += 1;
    place.waiter.admitted();
  }

  #drop(place: Place): void {
    this.#unlink(place);
    this.#dropped += 1;
    place.waiter.dropped(this.#late());
  }

  #late(): RpcError {
    const message = `the call would be late: ${this.#running} calls run and ${this.waiting} wait`;
    return new RpcError('RPC_DEADLINE_EXCEEDED', message, { executed: 'no' });
  }

  #unlink(place: Place): void {
    if (place.previous === null) this.#first = place.next;
    else place.previous.next = place.next;
    if (place.next === null) this.#last = place.previous;
    else place.next.previous = place.previous;
    this.#places.delete(place.waiter);
  }
}
