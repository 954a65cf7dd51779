// When a call is sent to a second instance because the first has not answered yet: gRPC A6 hedging, with brpc's limit on
// how many calls that may be. call-hedges.ts decides with it for one call. Pure: time comes in.

import type { RpcError } from '../errors.js';
import { checkNumber, withDefaults } from '../option-checks.js';
import { ATTEMPTS_CAP, checkCodes, type RetryableCode } from './retry-policy.js';
import { RollingCounts } from './rolling-counts.js';

export interface HedgingOptions {
  /** An attempt that has not answered for this long gets company. Default 100 ms; the p95 of the method is a good one. */
  delayMs?: number;
  /** Attempts of one call, the first included, 2 to 5. Default 2. */
  attemptsMax?: number;
  /** After these failures the other attempts go on, and the next is sent at once. Default UNAVAILABLE alone. */
  nonFatal?: readonly RetryableCode[];
  /** Hedges per call over the last `windowMs`, above 0 up to 1. Default 0.1 (brpc). */
  ratioMax?: number;
  /** Default 10 s (brpc). */
  windowMs?: number;
}

const DEFAULTS: Required<HedgingOptions> = {
  delayMs: 100,
  attemptsMax: 2,
  nonFatal: ['UNAVAILABLE'],
  ratioMax: 0.1,
  windowMs: 10_000,
};

/** One per service: it counts the hedges of all calls. */
export class HedgingPolicy {
  readonly delayMs: number;
  readonly attemptsMax: number;
  readonly #nonFatal: ReadonlySet<string>;
  readonly #ratioMax: number;
  /** Calls, and hedges as the marked ones. */
  readonly #counts: RollingCounts;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: HedgingOptions = {}) {
    const { delayMs, attemptsMax, nonFatal, ratioMax, windowMs } = withDefaults('hedging', DEFAULTS, options);
    checkNumber('hedging', 'delayMs', delayMs, { min: 0 });
    checkNumber('hedging', 'attemptsMax', attemptsMax, { min: 2, max: ATTEMPTS_CAP, whole: true });
    checkNumber('hedging', 'ratioMax', ratioMax, { above: 0, max: 1 });
    checkNumber('hedging', 'windowMs', windowMs, { above: 0 });
    checkCodes('hedging', 'nonFatal', nonFatal);
    this.delayMs = delayMs;
    this.attemptsMax = attemptsMax;
    this.#nonFatal = new Set(nonFatal);
    this.#ratioMax = ratioMax;
    this.#counts = new RollingCounts(windowMs);
  }

  isNonFatal({ status, code }: RpcError): boolean {
    return this.#nonFatal.has(status) || this.#nonFatal.has(code);
  }

  countCall(nowMs: number): void {
    this.#counts.add(1, 0, nowMs);
  }

  /** Counts one hedge if there may be another. The first of a quiet time always may. */
  takeHedge(nowMs: number): boolean {
    this.#counts.advance(nowMs);
    if (this.#counts.marked + 1 > Math.max(1, this.#ratioMax * this.#counts.total)) return false;
    this.#counts.add(0, 1, nowMs);
    return true;
  }
}
