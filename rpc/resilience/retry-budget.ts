// Keeps retries from multiplying an overload: gRPC A6's retry throttling, a bucket of tokens per service.
// Every failure takes one, every success gives a tenth back, and retries and hedges are made only above half: when
// everything fails a few calls are retried and then none. call-retries.ts and call-hedges.ts ask it. Pure.

import { checkNumber, withDefaults } from '../option-checks.js';

export interface RetryBudgetOptions {
  /** Where the bucket starts and what it never passes, above 0 up to 1000. Default 10 (A6). */
  tokensMax?: number;
  /** Given back by a success, above 0. Default 0.1 (A6): one retry for ten good calls. */
  tokenRatio?: number;
}

const DEFAULTS: Required<RetryBudgetOptions> = { tokensMax: 10, tokenRatio: 0.1 };

export class RetryBudget {
  readonly #tokensMax: number;
  readonly #tokenRatio: number;
  #tokens: number;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: RetryBudgetOptions = {}) {
    const { tokensMax, tokenRatio } = withDefaults('retry budget', DEFAULTS, options);
    checkNumber('retry budget', 'tokensMax', tokensMax, { above: 0, max: 1000 });
    checkNumber('retry budget', 'tokenRatio', tokenRatio, { above: 0 });
    this.#tokensMax = tokensMax;
    this.#tokenRatio = tokenRatio;
    this.#tokens = tokensMax;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Whether a retry or a hedge may be made now. */
  get allowsRetry(): boolean {
    return this.#tokens > this.#tokensMax / 2;
  }

  /** An attempt ended well, or with an error that is an answer. */
  succeeded(): void {
    if (this.#tokens !== this.#tokensMax) {
      this.#tokens = Math.min(this.#tokens + this.#tokenRatio, this.#tokensMax);
    }
  }

  /** An attempt failed in a way that could be retried, or the server asked not to retry. */
  failed(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }
}
