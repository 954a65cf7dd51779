// A concurrency limit that finds itself: limit = highest rate × ((2 + alpha) × lowest latency − latency), as in brpc.
// While the answers are as quick as they can be the limit is a little above what the rate needs; as they slow down, queues
// are building up somewhere and it falls. concurrency-limiter.ts feeds it every call that ends. Pure: time comes in.
// The lowest latency is only known when nothing queues: at first and from time to time the limit is halved for a moment,
// again and again while no fewer calls end for it. (brpc lowers it by a tenth, and from a bad start finds down slowly.)

import { checkNumber, withDefaults } from '../option-checks.js';

export interface GradientLimitOptions {
  /** Where it starts. Default 40 (brpc). */
  initial?: number;
  /** It never falls below. Default 4. */
  limitMin?: number;
  /** It never rises above. Default 1024. */
  limitMax?: number;
  /** How far above the need it goes, as a share. Default 0.3 (brpc). */
  alpha?: number;
  /** Calls are judged together over this time. Default 1 s (brpc). */
  sampleMs?: number;
  /** Or, if they come, over this many calls; fewer than half say nothing. Default 200 (brpc). */
  sampleCalls?: number;
  /** The lowest latency is measured anew, with a halved limit, after this time. Default 50 s (brpc). */
  remeasureMs?: number;
}

const DEFAULTS: Required<GradientLimitOptions> = {
  initial: 40,
  limitMin: 4,
  limitMax: 1024,
  alpha: 0.3,
  sampleMs: 1_000,
  sampleCalls: 200,
  remeasureMs: 50_000,
};

/** How fast the lowest latency follows a lower one and the highest rate forgets a higher one. */
const SMOOTHING = 0.1;
const RATE_DECAY = 0.01;
/** A halved limit was above the need if the rate stays above this share of what it was. */
const RATE_KEPT = 0.75;

export class GradientLimit {
  readonly #options: Required<GradientLimitOptions>;
  #limit: number;
  #startMs = -1;
  #calls = 0;
  #good = 0;
  #latencySumMs = 0;
  #inFlightMax = 0;
  #latencyMinMs = 0;
  #ratePerMsMax = 0;
  #remeasureAtMs = 0;
  #isRemeasuring = false;
  /** Before the limit was halved. */
  #rateBefore = 0;
  /** Calls that end before began under a limit that was higher. */
  #ignoreUntilMs = -Infinity;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: GradientLimitOptions = {}) {
    this.#options = withDefaults('concurrency limit', DEFAULTS, options);
    const { initial, limitMin, limitMax, alpha, sampleMs, sampleCalls, remeasureMs } = this.#options;
    checkNumber('concurrency limit', 'limitMin', limitMin, { min: 1, whole: true });
    checkNumber('concurrency limit', 'limitMax', limitMax, { min: limitMin, whole: true });
    checkNumber('concurrency limit', 'initial', initial, { min: limitMin, max: limitMax, whole: true });
    checkNumber('concurrency limit', 'alpha', alpha, { above: 0, max: 10 });
    checkNumber('concurrency limit', 'sampleMs', sampleMs, { above: 0 });
    checkNumber('concurrency limit', 'sampleCalls', sampleCalls, { min: 2, whole: true });
    checkNumber('concurrency limit', 'remeasureMs', remeasureMs, { above: 0 });
    this.#limit = initial;
  }

  get limit(): number {
    return this.#limit;
  }

  /** A call ended; `inFlight` counts it. A failure's time counts, its success does not. */
  ended(latencyMs: number, isFailure: boolean, inFlight: number, nowMs: number): void {
    if (nowMs < this.#ignoreUntilMs) return;
    if (this.#startMs < 0) this.#begin(nowMs);
    this.#calls += 1;
    this.#latencySumMs += latencyMs;
    if (!isFailure) this.#good += 1;
    if (inFlight > this.#inFlightMax) this.#inFlightMax = inFlight;
    const { sampleMs, sampleCalls } = this.#options;
    const tookMs = nowMs - this.#startMs;
    if (tookMs <= 0 || (tookMs < sampleMs && this.#calls < sampleCalls)) return;
    if (this.#calls >= sampleCalls / 2) this.#judge(tookMs, nowMs);
    this.#begin(Math.max(nowMs, this.#ignoreUntilMs));
  }

  #judge(tookMs: number, nowMs: number): void {
    const { alpha, limitMin, limitMax } = this.#options;
    if (this.#good === 0) {
      this.#limit = Math.max(limitMin, Math.floor(this.#limit / 2));
      return;
    }
    const latencyMs = this.#latencySumMs / this.#good; // failures make the others look slower
    const ratePerMs = this.#good / tookMs;
    this.#ratePerMsMax =
      ratePerMs > this.#ratePerMsMax
        ? ratePerMs
        : this.#ratePerMsMax + (ratePerMs - this.#ratePerMsMax) * RATE_DECAY;
    // A limit that is far from reached makes nothing queue, and its height says nothing.
    const isReached = this.#inFlightMax >= this.#limit / 2;
    if (this.#measured(latencyMs, ratePerMs, isReached, nowMs)) return;
    const limit = this.#ratePerMsMax * ((2 + alpha) * this.#latencyMinMs - latencyMs);
    if (limit < this.#limit && !isReached) return;
    const stepped = Math.min(Math.max(limit, this.#limit / 2), this.#limit * 2);
    this.#limit = Math.round(Math.min(Math.max(stepped, limitMin), limitMax));
  }

  /** Keeps the lowest latency. @returns whether the limit was halved to measure it */
  #measured(latencyMs: number, ratePerMs: number, isReached: boolean, nowMs: number): boolean {
    const { limitMin, remeasureMs } = this.#options;
    const isFirst = this.#latencyMinMs === 0;
    const wasAbove = this.#isRemeasuring && ratePerMs > RATE_KEPT * this.#rateBefore;
    const isDue = !this.#isRemeasuring && nowMs >= this.#remeasureAtMs;
    if (isFirst || this.#isRemeasuring) this.#latencyMinMs = latencyMs;
    else if (latencyMs < this.#latencyMinMs)
      this.#latencyMinMs += (latencyMs - this.#latencyMinMs) * SMOOTHING;
    this.#isRemeasuring = (isFirst || wasAbove || isDue) && isReached && this.#limit > limitMin;
    if (!this.#isRemeasuring) {
      if (nowMs >= this.#remeasureAtMs) this.#remeasureAtMs = nowMs + remeasureMs;
      return false;
    }
    this.#rateBefore = ratePerMs;
    this.#limit = Math.max(limitMin, Math.floor(this.#limit / 2));
    this.#ignoreUntilMs = nowMs + 2 * latencyMs;
    this.#remeasureAtMs = nowMs + remeasureMs;
    return true;
  }

  #begin(nowMs: number): void {
    this.#startMs = nowMs;
    this.#calls = 0;
    this.#good = 0;
    this.#latencySumMs = 0;
    this.#inFlightMax = 0;
  }
}
