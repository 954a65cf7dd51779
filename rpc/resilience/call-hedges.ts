// Decides for one hedged call when a further attempt is sent beside those under way, and when the call has failed.
// client/ keeps the timer: it sends the first attempt, waits `begin` ms, asks `takeNext`, sends, and so on until one
// attempt answers; each hedge goes to an instance that has none. Pure: time comes in.

import type { RpcError } from '../errors.js';
import type { RetriedCall } from './call-retries.js';
import type { HedgingPolicy } from './hedging-policy.js';
import type { RetryBudget } from './retry-budget.js';

export type HedgeDecision =
  /** The call has failed with this error; what is still under way is cancelled. */
  | { readonly kind: 'fail' }
  /** Other attempts are under way; the timer stays as it is. */
  | { readonly kind: 'wait' }
  /** Ask `takeNext` after this time, in place of what was planned; 0 is now. */
  | { readonly kind: 'next'; readonly afterMs: number };

const FAIL: HedgeDecision = { kind: 'fail' };
const WAIT: HedgeDecision = { kind: 'wait' };

export class CallHedges {
  readonly #policy: HedgingPolicy;
  readonly #budget: RetryBudget;
  readonly #isHedged: boolean;
  #sent = 1;
  #underWay = 1;
  #mayContinue = true;

  /** Only idempotent calls are hedged, and none that is part of a call retried or hedged further up. */
  constructor(policy: HedgingPolicy, budget: RetryBudget, call: RetriedCall) {
    this.#policy = policy;
    this.#budget = budget;
    this.#isHedged = call.isIdempotent && call.previousAttempts === 0;
  }

  get attempts(): number {
    return this.#sent;
  }

  /** The first attempt is sent. @returns ms until `takeNext` is to be asked; null: never */
  begin(nowMs: number): number | null {
    this.#policy.countCall(nowMs);
    return this.#isHedged ? this.#policy.delayMs : null;
  }

  /** Whether another attempt is to be sent now; it counts as sent. Afterwards `nextAfterMs` says when to ask again. */
  takeNext(nowMs: number, remainingMs: number): boolean {
    if (!this.#hasMore || remainingMs <= 0 || !this.#budget.allowsRetry) return false;
    if (!this.#policy.takeHedge(nowMs)) return false;
    this.#sent += 1;
    this.#underWay += 1;
    return true;
  }

  /** null: no further attempt. */
  get nextAfterMs(): number | null {
    return this.#hasMore ? this.#policy.delayMs : null;
  }

  /** When `takeNext` refused and nothing is under way, the call has failed. */
  get isOver(): boolean {
    return this.#underWay === 0;
  }

  /** One attempt failed. */
  afterFailure(error: RpcError): HedgeDecision {
    this.#underWay -= 1;
    const { retryPushbackMs } = error;
    const isForbidden = retryPushbackMs !== null && !(retryPushbackMs >= 0);
    const isNonFatal = this.#policy.isNonFatal(error);
    if (isNonFatal || isForbidden) this.#budget.failed();
    else this.#budget.succeeded(); // the service answered
    if (!isNonFatal) return FAIL;
    if (isForbidden) this.#mayContinue = false;
    if (!this.#hasMore) return this.#underWay > 0 ? WAIT : FAIL;
    return { kind: 'next', afterMs: retryPushbackMs ?? 0 };
  }

  get #hasMore(): boolean {
    return this.#isHedged && this.#mayContinue && this.#sent < this.#policy.attemptsMax;
  }
}
