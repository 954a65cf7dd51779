// When a host may be dialled: exponential backoff after failures, and a rate that no path can exceed.
// host-pool.ts asks before every dial and tells how each went. Pure: time and chance come in.

import { Backoff } from '../../reactor/index.js';
import type { CompletePoolOptions } from './pool-options.js';

/** A connection that lived this long was a success; one that died earlier counts as a failed connect. */
const STABLE_MS = 1_000;

export class DialGate {
  readonly #backoff: Backoff;
  readonly #ratePerMs: number;
  readonly #tokensMax: number;
  #tokens: number;
  #tokensAtMs: number = -Infinity;
  /** No dial before. */
  #notBeforeMs: number = -Infinity;
  #isFailing: boolean = false;
  #isDoubtful: boolean = false;
  #succeededMs: number = Infinity;

  constructor(random: () => number, options: CompletePoolOptions) {
    this.#backoff = new Backoff(random, {
      firstMs: options.backoffFirstMs,
      capMs: options.backoffMaxMs,
      factor: options.backoffFactor,
      jitter: options.backoffJitter,
    });
    this.#ratePerMs = options.dialsPerSecondMax / 1000;
    this.#tokensMax = Math.max(1, options.dialsPerSecondMax);
    this.#tokens = this.#tokensMax;
  }

  /** The last dial failed, or its connection died young. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** The last thing heard of the host was a failure: one dial at a time is enough to find out more. */
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  /** Milliseconds until a dial is allowed; 0: now. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    const forToken = this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#ratePerMs;
    return Math.max(0, this.#notBeforeMs - nowMs, forToken);
  }

  started(nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens -= 1;
  }

  /** A connection is up. The delays start small again only once it has proved stable. */
  succeeded(nowMs: number): void {
    this.#isFailing = false;
    this.#isDoubtful = false;
    this.#notBeforeMs = -Infinity;
    this.#succeededMs = nowMs;
  }

  /** Failures that come while a delay is running belong to the one that began it: they do not lengthen it. */
  failed(nowMs: number): void {
    this.#isDoubtful = true;
    if (nowMs < this.#notBeforeMs) return;
    if (nowMs - this.#succeededMs >= STABLE_MS) this.#backoff.reset();
    this.#succeededMs = Infinity;
    this.#isFailing = true;
    this.#notBeforeMs = nowMs + this.#backoff.nextDelayMs();
  }

  /** A connection that was made at `createdMs` died. */
  lost(createdMs: number, nowMs: number): void {
    this.#isDoubtful = true;
    if (nowMs - createdMs < STABLE_MS) this.failed(nowMs);
  }

  #refill(nowMs: number): void {
    if (nowMs <= this.#tokensAtMs) return;
    this.#tokens = Math.min(this.#tokensMax, this.#tokens + (nowMs - this.#tokensAtMs) * this.#ratePerMs);
    this.#tokensAtMs = nowMs;
  }
}
