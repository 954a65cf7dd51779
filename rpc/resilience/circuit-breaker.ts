// The circuit breaker of one instance: closed while it answers, open when too many of its calls fail, half-open to see.
// An open breaker lets nothing through for an isolation time, which doubles with every opening up to a maximum and starts
// small again once the breaker has stayed closed that long. Half-open lets a few probes through and judges by them.
// balance/instance-selector.ts keeps one per instance. Pure: time comes in; results tell by when they began whether they
// are probes, so that an old call that ends late says nothing about now.

import { checkNumber, withDefaults } from '../option-checks.js';
import { RollingCounts } from './rolling-counts.js';

export interface CircuitBreakerOptions {
  /** Calls are counted over this time. Default 10 s (opossum). */
  windowMs?: number;
  /** Fewer calls in the window open nothing. Default 20 (moleculer). */
  callsMin?: number;
  /** This share of failures, above 0 up to 1, opens it. Default 0.5 (opossum, moleculer, kitex). */
  failureRatio?: number;
  /** How long it lets nothing through after the first opening. Default 100 ms (brpc). */
  isolationMs?: number;
  /** And at most. Default 30 s (brpc). */
  isolationMaxMs?: number;
  /** Calls let through when half-open, on whose results it closes or opens again. Default 1 (opossum). */
  probeCount?: number;
  /** It closes when this share of the probes ends well. Default 1. */
  probeSuccessRatio?: number;
}

const DEFAULTS: Required<CircuitBreakerOptions> = {
  windowMs: 10_000,
  callsMin: 20,
  failureRatio: 0.5,
  isolationMs: 100,
  isolationMaxMs: 30_000,
  probeCount: 1,
  probeSuccessRatio: 1,
};

export type CircuitBreakerState = 'closed' | 'open' | 'half-open';

/** Start times come as end minus duration, which rounding may put just before the moment they were. */
const ROUNDING_MS = 0.001;

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function checkedBreakerOptions(options: CircuitBreakerOptions): Required<CircuitBreakerOptions> {
  const checked = withDefaults('circuit breaker', DEFAULTS, options);
  const check = (name: keyof CircuitBreakerOptions, range: Parameters<typeof checkNumber>[3]): void =>
    checkNumber('circuit breaker', name, checked[name], range);
  check('windowMs', { above: 0 });
  check('callsMin', { min: 1, whole: true });
  check('failureRatio', { above: 0, max: 1 });
  check('isolationMs', { above: 0 });
  check('isolationMaxMs', { min: checked.isolationMs });
  check('probeCount', { min: 1, whole: true });
  check('probeSuccessRatio', { above: 0, max: 1 });
  return checked;
}

export class CircuitBreaker {
  readonly #options: Required<CircuitBreakerOptions>;
  readonly #counts: RollingCounts;
  #state: CircuitBreakerState = 'closed';
  #isolationMs: number;
  /** When the present state began. */
  #sinceMs = -Infinity;
  #probesStarted = 0;
  #probesGood = 0;
  #probesBad = 0;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: CircuitBreakerOptions = {}) {
    this.#options = checkedBreakerOptions(options);
    this.#counts = new RollingCounts(this.#options.windowMs);
    this.#isolationMs = this.#options.isolationMs;
  }

  get state(): CircuitBreakerState {
    return this.#state;
  }

  /** Whether a call may go through now. */
  get letsThrough(): boolean {
    return (
      this.#state === 'closed' ||
      (this.#state === 'half-open' && this.#probesStarted < this.#options.probeCount)
    );
  }

  /** When `advance` has something to do. */
  get advancesAtMs(): number {
    if (this.#state === 'open') return this.#sinceMs + this.#isolationMs;
    // A probe that does not end, a long stream perhaps, must not hold the instance back for ever.
    if (this.#state === 'half-open' && !this.letsThrough) return this.#sinceMs + this.#options.isolationMaxMs;
    return Infinity;
  }

  /**
   * To half-open once the isolation is over; with new probes if the old ones take too long.
   * Like the methods below, answers whether `letsThrough` may differ from before.
   */
  advance(nowMs: number): boolean {
    if (nowMs < this.advancesAtMs) return false;
    this.#enter('half-open', nowMs);
    return true;
  }

  /** A call goes through. */
  started(): boolean {
    if (this.#state !== 'half-open') return false;
    this.#probesStarted += 1;
    return true;
  }

  /** A call that began at `startedMs` ended. */
  finished(isFailure: boolean, startedMs: number, nowMs: number): boolean {
    switch (this.#state) {
      case 'closed':
        if (startedMs < this.#sinceMs - ROUNDING_MS) return false; // from before it was open
        return this.#counted(isFailure, nowMs);
      case 'open':
        return false;
      case 'half-open':
        return this.#isProbe(startedMs) && this.#judged(isFailure, nowMs);
      default:
        return this.#state satisfies never;
    }
  }

  /** A call that began at `startedMs` was given up before it said anything: its place is for another probe. */
  abandoned(startedMs: number): boolean {
    if (this.#state !== 'half-open' || !this.#isProbe(startedMs)) return false;
    this.#probesStarted -= 1;
    return true;
  }

  #isProbe(startedMs: number): boolean {
    const judged = this.#probesGood + this.#probesBad;
    return startedMs >= this.#sinceMs - ROUNDING_MS && judged < this.#probesStarted;
  }

  #counted(isFailure: boolean, nowMs: number): boolean {
    const { callsMin, failureRatio } = this.#options;
    this.#counts.add(1, isFailure ? 1 : 0, nowMs);
    if (!isFailure) return false; // a success opens nothing
    if (this.#counts.total < callsMin || this.#counts.marked < failureRatio * this.#counts.total)
      return false;
    this.#open(nowMs);
    return true;
  }

  #judged(isFailure: boolean, nowMs: number): boolean {
    const { probeCount, probeSuccessRatio } = this.#options;
    if (isFailure) this.#probesBad += 1;
    else this.#probesGood += 1;
    const goodNeeded = Math.ceil(probeCount * probeSuccessRatio);
    if (this.#probesGood >= goodNeeded) {
      this.#counts.clear();
      this.#enter('closed', nowMs);
      return true;
    }
    if (probeCount - this.#probesBad >= goodNeeded) return false; // the others may still be enough
    this.#open(nowMs);
    return true;
  }

  #open(nowMs: number): void {
    const { isolationMs, isolationMaxMs } = this.#options;
    const wasWell = this.#state === 'closed' && nowMs - this.#sinceMs >= isolationMaxMs;
    const isFirst = this.#sinceMs === -Infinity;
    this.#isolationMs = isFirst || wasWell ? isolationMs : Math.min(this.#isolationMs * 2, isolationMaxMs);
    this.#enter('open', nowMs);
  }

  #enter(state: CircuitBreakerState, nowMs: number): void {
    this.#state = state;
    this.#sinceMs = nowMs;
    this.#probesStarted = 0;
    this.#probesGood = 0;
    this.#probesBad = 0;
  }
}
