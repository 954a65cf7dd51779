// A unary call that is sent to a further instance when the first is slow: the first good answer wins, the rest are
// cancelled. call-hedges.ts decides when; here are the timer and the attempts. Only idempotent calls come here.

import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { CallHedges } from '../resilience/call-hedges.js';
import { type Abortable, unwatchAbort, watchAbort } from './abort-watch.js';
import { type CallContext, cancelled, withExecuted } from './call-context.js';
import type { ClientCore } from './client-core.js';
import { UnaryCall } from './unary-call.js';

export class HedgedCall<Q, A> implements Abortable {
  readonly #core: ClientCore;
  readonly #method: MethodContract<Q, A>;
  readonly #context: CallContext;
  readonly #request: Q;
  readonly #resolve: (answer: A) => void;
  readonly #reject: (error: RpcError) => void;
  readonly #hedges: CallHedges;
  readonly #tried = new Set<string>();
  readonly #underWay = new Set<UnaryCall<Q, A>>();
  readonly #begunMs: number;
  #timer: NodeJS.Timeout | null = null;
  #lastError: RpcError | null = null;
  /** An attempt that failed may have been carried out. */
  #mayHaveRun = false;
  #isDone = false;

  constructor(
    core: ClientCore,
    method: MethodContract<Q, A>,
    context: CallContext,
    request: Q,
    resolve: (answer: A) => void,
    reject: (error: RpcError) => void,
  ) {
    this.#core = core;
    this.#method = method;
    this.#context = context;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#begunMs = core.nowMs();
    const { previousAttempts } = context;
    this.#hedges = new CallHedges(core.hedging!, core.budget, { isIdempotent: true, previousAttempts });
  }

  begin(): void {
    this.#core.callStarted(this.#method.path);
    for (const signal of this.#context.signals) watchAbort(signal, this);
    this.#core.atClose(this.#onClose);
    this.#schedule(this.#hedges.begin(this.#core.nowMs()));
    this.#send(0);
  }

  /** Abortable: also while no attempt is under way and the next one is waited for. */
  aborted(signal: AbortSignal): void {
    this.#finish(cancelled(signal, 'no'));
  }

  /** Attempts that are under way may finish; when there are none, none will be. */
  readonly #onClose = (): void => {
    if (this.#hedges.isOver) this.#finish(this.#core.closedError());
  };

  #schedule(afterMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = afterMs === null || this.#isDone ? null : setTimeout(() => this.#next(), afterMs);
  }

  #next(): void {
    this.#timer = null;
    const nowMs = this.#core.nowMs();
    if (this.#hedges.takeNext(nowMs, this.#context.deadlineMs - nowMs)) {
      this.#schedule(this.#hedges.nextAfterMs);
      this.#core.retried();
      this.#send(this.#hedges.attempts - 1);
    } else if (this.#hedges.isOver) {
      this.#finish(
        this.#lastError ?? new RpcError('RPC_UNAVAILABLE', `${this.#method.path} was not answered`),
      );
    }
  }

  #send(previousAttempts: number): void {
    const triedCount = this.#tried.size;
    const attempt: UnaryCall<Q, A> = new UnaryCall<Q, A>(
      this.#core,
      this.#method,
      this.#context,
      this.#request,
      null,
      (answer) => {
        this.#underWay.delete(attempt);
        if (this.#finish(null)) this.#resolve(answer);
      },
      (error) => {
        this.#underWay.delete(attempt);
        this.#attemptFailed(error, this.#tried.size > triedCount);
      },
      { tried: this.#tried, previousAttempts },
    );
    this.#underWay.add(attempt);
    attempt.begin();
  }

  /** It surely never ran, and another instance is left: as a transparent retry, whatever limits hedges. */
  #movesOn(error: RpcError): boolean {
    const nowMs = this.#core.nowMs();
    return (
      error.retryPushbackMs === null &&
      this.#core.hedging!.isNonFatal(error) && // this class is made only where there is a policy
      nowMs < this.#context.deadlineMs &&
      this.#core.selector.untriedCount(this.#tried, nowMs) > 0
    );
  }

  #attemptFailed(error: RpcError, hadInstance: boolean): void {
    if (this.#isDone) return;
    this.#lastError = error;
    if (error.executed !== 'no') this.#mayHaveRun = true;
    else if (hadInstance && this.#movesOn(error)) {
      this.#send(this.#hedges.attempts - 1); // in its place: it counts as no attempt
      return;
    }
    const decision = this.#hedges.afterFailure(error);
    if (decision.kind === 'wait') return;
    const remainingMs = this.#context.deadlineMs - this.#core.nowMs();
    const isTooLate = decision.kind === 'next' && decision.afterMs >= remainingMs; // what the server asked to wait
    if (decision.kind === 'fail' || (isTooLate && this.#hedges.isOver)) this.#finish(error);
    else this.#schedule(isTooLate ? null : decision.afterMs);
  }

  /** Ends the call once; what is still under way is cancelled. */
  #finish(reason: RpcError | null): boolean {
    if (this.#isDone) return false;
    this.#isDone = true;
    this.#schedule(null);
    for (const signal of this.#context.signals) unwatchAbort(signal, this);
    this.#core.notAtClose(this.#onClose);
    const mayHaveRun = this.#mayHaveRun || this.#underWay.size > 0;
    const error = reason !== null && mayHaveRun ? withExecuted(reason, 'unknown') : reason;
    const lost = new RpcError('RPC_CANCELLED', 'another attempt of the call was faster');
    for (const attempt of this.#underWay) attempt.cancel(lost);
    this.#core.callEnded(this.#method.path, error, this.#core.nowMs() - this.#begunMs);
    if (error !== null) {
      error.attempts = this.#hedges.attempts;
      this.#reject(error);
    }
    return true;
  }
}
