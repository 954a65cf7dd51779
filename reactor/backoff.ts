// How long to wait before trying again: capped exponential growth with jitter.
// Asked before a client connects again, a thread or process is started again, and accepting goes on after a pause.
// Pure: the random number comes in as a function, time is the caller's, so a test replays any sequence.

import { ReactorError } from './errors.js';

export interface BackoffOptions {
  /** The first delay before jitter, in ms. Default 100. */
  firstMs?: number;
  /** No delay is longer than this, in ms. Default 30,000. */
  capMs?: number;
  /** Growth per attempt, at least 1. Default 2. */
  factor?: number;
  /**
   * Share of each delay that is random, 0 to 1: a delay `d` becomes one of [d × (1 − jitter), d].
   * Default 0.5, so that many clients that lost the same server do not return in step.
   */
  jitter?: number;
}

const DEFAULTS: Required<BackoffOptions> = {
  firstMs: 100,
  capMs: 30_000,
  factor: 2,
  jitter: 0.5,
};

/** Before a thread that ended is started again. */
export const RESTART_BACKOFF: BackoffOptions = { firstMs: 100, capMs: 10_000 };

export class Backoff {
  readonly #random: () => number;
  readonly #options: Required<BackoffOptions>;
  #attempts = 0;
  /** The next delay before jitter; kept instead of a power so that it cannot overflow. */
  #plainMs: number;

  /**
   * @param random gives a number in [0, 1), as Math.random does.
   * @throws ReactorError REACTOR_OPTION_INVALID
   */
  constructor(random: () => number, options: BackoffOptions = {}) {
    this.#random = random;
    this.#options = checked({ ...DEFAULTS, ...options });
    this.#plainMs = this.#options.firstMs;
  }

  /** Delays handed out since the start or the last `reset`. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The delay before the next attempt, in whole ms; each call counts as one failed attempt. */
  nextDelayMs(): number {
    const { capMs, factor, jitter } = this.#options;
    const plainMs = this.#plainMs;
    this.#attempts += 1;
    this.#plainMs = Math.min(plainMs * factor, capMs);
    return Math.round(plainMs * (1 - jitter * this.#random()));
  }

  /** To be called once an attempt has really succeeded: the next failure starts small again. */
  reset(): void {
    this.#attempts = 0;
    this.#plainMs = this.#options.firstMs;
  }
}

function checked(options: Required<BackoffOptions>): Required<BackoffOptions> {
  const { firstMs, capMs, factor, jitter } = options;
  if (!(firstMs >= 0 && Number.isFinite(firstMs)))
    throw invalid('firstMs', 'a finite number of ms, 0 or more');
  if (!(capMs >= firstMs && Number.isFinite(capMs)))
    throw invalid('capMs', 'a finite number of ms, at least firstMs');
  if (!(factor >= 1 && Number.isFinite(factor))) throw invalid('factor', 'a finite number, at least 1');
  if (!(jitter >= 0 && jitter <= 1)) throw invalid('jitter', 'a number from 0 to 1');
  return options;
}

function invalid(name: keyof BackoffOptions, right: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', `backoff option ${name} must be ${right}`);
}
