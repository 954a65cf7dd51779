// Decides for one call, after each attempt that failed, whether there is another and when.
// client/ makes one when the first attempt fails (a call that succeeds at once needs none) and does what it says.
// Order: what surely never ran goes elsewhere at once; then every reason to stop; then pushback or backoff. Pure.

import type { RpcError, RpcErrorCode } from '../errors.js';
import type { RetryBudget } from './retry-budget.js';
import type { RetryPolicy } from './retry-policy.js';

/** What is true of the whole call. */
export interface RetriedCall {
  /** Its .proto or the caller says that it may be repeated. */
  readonly isIdempotent: boolean;
  /** Attempts before the one in whose handler it is made, or before the ones above that; 0 outside of handlers. */
  readonly previousAttempts: number;
}

/** What is true of the attempt that failed. */
export interface FailedAttempt {
  readonly error: RpcError;
  /** A byte of it may have reached the server: false when no connection came about, or it ended before the write. */
  readonly wasSent: boolean;
  /** Headers or messages of the answer were given to the caller. */
  readonly isCommitted: boolean;
  /** Its requests can be sent once more: it has one, or a stream of them of which nothing was read yet. */
  readonly isReplayable: boolean;
  /** Of the call; Infinity without a deadline. */
  readonly remainingMs: number;
  /** The same event has failed another call already, such as the loss of their connection: it counts once. */
  readonly isCounted: boolean;
  /** Instances this call has not been at and could go to: `InstanceSelector.untriedCount`. */
  readonly untriedCount: number;
}

export type RetryStopReason =
  | 'committed' // the caller has seen a part of the answer
  | 'not-replayable' // the client streams, and what was read of it is not kept
  | 'deadline' // there is no time for another
  | 'not-retryable' // the error is not one to repeat
  | 'not-idempotent' // it may have been carried out
  | 'chained' // the call is part of a call that is being retried further up
  | 'pushback' // the server asked not to
  | 'attempts' // as many as there may be
  | 'budget'; // too many calls to the service fail

export type RetryDecision =
  /** Go to another instance at once; does not count as an attempt. */
  | { readonly kind: 'transparent' }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'stop'; readonly reason: RetryStopReason };

/** With these the server, or the frame order, proves that it never began the call. */
const PROVED_NOT_BEGUN: ReadonlySet<RpcErrorCode> = new Set<RpcErrorCode>([
  'RPC_SHUTTING_DOWN',
  'RPC_CONNECTION_LOST', // with executed 'no': above the last id of a GOAWAY
]);

/** Not retryable by default, but when they come from here, before anything was sent, another instance may have room. */
const FULL_HERE: ReadonlySet<RpcErrorCode> = new Set<RpcErrorCode>([
  'RPC_QUEUE_FULL',
  'RPC_TOO_MANY_STREAMS',
]);

const TRANSPARENT: RetryDecision = { kind: 'transparent' };

export class CallRetries {
  readonly #policy: RetryPolicy;
  readonly #budget: RetryBudget;
  readonly #call: RetriedCall;
  #attempts = 0;
  #backoffStep = 0;
  #wasRefused = false;

  constructor(policy: RetryPolicy, budget: RetryBudget, call: RetriedCall) {
    this.#policy = policy;
    this.#budget = budget;
    this.#call = call;
  }

  /** What the next attempt tells the server: how many came before it, here and up the chain. */
  get previousAttempts(): number {
    return this.#attempts + this.#call.previousAttempts;
  }

  /** To be called once for each attempt that failed: it also counts against the budget. */
  afterFailure(failed: FailedAttempt): RetryDecision {
    const { error, remainingMs, wasSent, untriedCount } = failed;
    const isRetryable = this.#policy.isRetryable(error);
    const isMovable = !wasSent && untriedCount > 0 && FULL_HERE.has(error.code);
    const obstacle = this.#obstacle(failed, isRetryable || isMovable);
    if (obstacle === null && this.#isTransparent(failed)) return TRANSPARENT;

    this.#attempts += 1;
    const { retryPushbackMs } = error;
    const isForbidden = retryPushbackMs !== null && !(retryPushbackMs >= 0); // also NaN: unparsable
    if (failed.isCounted) {
      // the budget has heard of it
    } else if (isRetryable || isForbidden) this.#budget.failed();
    else this.#budget.succeeded(); // the service answered
    if (obstacle !== null) return stop(obstacle);
    if (isForbidden) return stop('pushback');
    if (this.#call.previousAttempts > 0) return stop('chained');
    if (this.#attempts >= this.#policy.attemptsMax) return stop('attempts');
    if (!this.#budget.allowsRetry) return stop('budget');
    const afterMs = retryPushbackMs ?? this.#policy.backoffMs(this.#backoffStep);
    this.#backoffStep = retryPushbackMs === null ? this.#backoffStep + 1 : 0;
    return afterMs < remainingMs ? { kind: 'retry', afterMs } : stop('deadline');
  }

  /** What rules out any further attempt, transparent ones included. */
  #obstacle(failed: FailedAttempt, mayRepeat: boolean): RetryStopReason | null {
    const { error, wasSent, isCommitted, isReplayable, remainingMs } = failed;
    if (isCommitted) return 'committed';
    if (remainingMs <= 0 || error.status === 'DEADLINE_EXCEEDED') return 'deadline';
    if (!mayRepeat) return 'not-retryable';
    if (wasSent && error.executed !== 'no' && !this.#call.isIdempotent) return 'not-idempotent';
    return isReplayable ? null : 'not-replayable';
  }

  /**
   * Without a limit while the call never left the client, but never twice to one instance, so it ends; and once when
   * the server proved that it did not begin it.
   */
  #isTransparent({ error, wasSent, untriedCount }: FailedAttempt): boolean {
    if (untriedCount === 0 || error.retryPushbackMs !== null) return false;
    if (!wasSent) return true;
    if (this.#wasRefused || error.executed !== 'no' || !PROVED_NOT_BEGUN.has(error.code)) return false;
    this.#wasRefused = true;
    return true;
  }
}

function stop(reason: RetryStopReason): RetryDecision {
  return { kind: 'stop', reason };
}
