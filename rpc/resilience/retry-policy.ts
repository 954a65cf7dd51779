// Which failed attempts are tried again, how often and after how long: gRPC A6, and what it leaves out.
// call-retries.ts decides with it for one call. Pure: chance comes in.

import type { RpcError, RpcErrorCode } from '../errors.js';
import { RPC_ERROR_CODES } from '../errors.js';
import { checkChoice, checkNumber, invalidOption, withDefaults } from '../option-checks.js';
import { STATUS, type StatusName } from '../status.js';

/** A status, or one of the finer codes: 'UNAVAILABLE', 'RPC_QUEUE_FULL'. */
export type RetryableCode = StatusName | RpcErrorCode;

export interface RetryOptions {
  /** Attempts of one call, the first included: 1 is no retry; above 5 counts as 5 (A6), with a warning. Default 3. */
  attemptsMax?: number;
  /** Before the second attempt. Default 100 ms (moleculer). */
  backoffMs?: number;
  /** No wait is longer, jitter aside. Default 1 s (moleculer). */
  backoffMaxMs?: number;
  /** Growth from one wait to the next. Default 2. */
  backoffFactor?: number;
  /** Every wait is multiplied by a random number from 1 − this to 1 + this. Default 0.2 (A6). */
  jitter?: number;
  /** Failures that may be tried again. Default UNAVAILABLE alone. Cancelled and timed-out calls never are. */
  retryable?: readonly RetryableCode[];
}

/** gRPC A6: no configuration may ask for more. */
export const ATTEMPTS_CAP = 5;

const DEFAULTS: Required<RetryOptions> = {
  attemptsMax: 3,
  backoffMs: 100,
  backoffMaxMs: 1_000,
  backoffFactor: 2,
  jitter: 0.2,
  retryable: ['UNAVAILABLE'],
};

/** To try these again would be to do what the caller's limit or wish forbids. */
const NEVER: readonly RetryableCode[] = ['OK', 'CANCELLED', 'DEADLINE_EXCEEDED'];

export class RetryPolicy {
  readonly attemptsMax: number;
  /** What a user must be told about the options; null when all is as asked for. */
  readonly warning: string | null;
  readonly #random: () => number;
  readonly #options: Required<RetryOptions>;
  readonly #retryable: ReadonlySet<string>;

  /**
   * @param random uniform in [0, 1)
   * @throws RpcError RPC_OPTION_INVALID naming the option
   */
  constructor(random: () => number, options: RetryOptions = {}) {
    this.#random = random;
    this.#options = checked(withDefaults('retry', DEFAULTS, options));
    this.#retryable = new Set(this.#options.retryable);
    const { attemptsMax } = this.#options;
    this.attemptsMax = Math.min(attemptsMax, ATTEMPTS_CAP);
    this.warning =
      attemptsMax > ATTEMPTS_CAP
        ? `retry option attemptsMax is ${attemptsMax}; no more than ${ATTEMPTS_CAP} attempts are made`
        : null;
  }

  isRetryable({ status, code }: RpcError): boolean {
    if (status === 'CANCELLED' || status === 'DEADLINE_EXCEEDED') return false;
    return this.#retryable.has(status) || this.#retryable.has(code);
  }

  /** The wait before a retry, with jitter, in ms. @param step 0 for the first wait, and again after a pushback */
  backoffMs(step: number): number {
    const { backoffMs, backoffMaxMs, backoffFactor, jitter } = this.#options;
    const plainMs = Math.min(backoffMs * backoffFactor ** step, backoffMaxMs);
    return plainMs * (1 + jitter * (2 * this.#random() - 1));
  }
}

function checked(options: Required<RetryOptions>): Required<RetryOptions> {
  checkNumber('retry', 'attemptsMax', options.attemptsMax, { min: 1, whole: true });
  checkNumber('retry', 'backoffMs', options.backoffMs, { min: 0 });
  checkNumber('retry', 'backoffMaxMs', options.backoffMaxMs, { min: options.backoffMs });
  checkNumber('retry', 'backoffFactor', options.backoffFactor, { min: 1 });
  checkNumber('retry', 'jitter', options.jitter, { min: 0, max: 1 });
  checkCodes('retry', 'retryable', options.retryable);
  for (const code of NEVER) {
    if (options.retryable.includes(code))
      throw invalidOption('retry', 'retryable', `must not contain ${code}`);
  }
  return options;
}

/** @throws RpcError RPC_OPTION_INVALID */
export function checkCodes(what: string, name: string, codes: unknown): void {
  if (!Array.isArray(codes)) throw invalidOption(what, name, 'must be a list of statuses and codes');
  const known = [...(Object.keys(STATUS) as StatusName[]), ...RPC_ERROR_CODES];
  for (const code of codes as unknown[]) checkChoice(what, name, code, known);
}
