// So many calls per second and, after a quiet time, a burst: a bucket of tokens that fills with time.
// limit-middleware.ts puts it before calls. Pure: time comes in.

import { checkNumber, withDefaults } from '../option-checks.js';

export interface RateLimitOptions {
  /** Calls per second in the long run, above 0. Default 1000. */
  perSecond?: number;
  /** Calls at once after a quiet time, at least 1. Default: those of one second, at least 1. */
  burst?: number;
}

const DEFAULTS: Required<RateLimitOptions> = { perSecond: 1000, burst: 0 };

export class RateLimiter {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs = -Infinity;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: RateLimitOptions = {}) {
    const { perSecond, burst } = withDefaults('rate limit', DEFAULTS, options);
    checkNumber('rate limit', 'perSecond', perSecond, { above: 0 });
    if (options.burst !== undefined) checkNumber('rate limit', 'burst', burst, { min: 1 });
    this.#perMs = perSecond / 1000;
    this.#burst = options.burst ?? Math.max(1, perSecond);
    this.#tokens = this.#burst;
  }

  /** Takes a token if there is one. @returns 0 if so, else ms until there will be one, if nobody else takes it */
  take(nowMs: number): number {
    if (nowMs > this.#filledMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledMs) * this.#perMs);
      this.#filledMs = nowMs;
    }
    if (this.#tokens < 1) return (1 - this.#tokens) / this.#perMs;
    this.#tokens -= 1;
    return 0;
  }
}
