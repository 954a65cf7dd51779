// A unary call that is sent to a further instance when the first is slow: the first good answer wins, the rest are
// cancelled. call-hedges.ts decides when; here are the timer and the attempts. Only idempotent calls come here.

import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { CallHedges } from '../resilience/call-hedges.js';
import type { CallContext } from './call-context.js';
import type { ClientCore } from './client-core.js';
import { UnaryCall } from './unary-call.js';

export class HedgedCall<Q, A> {
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
    this.#schedule(this.#hedges.begin(this.#core.nowMs()));
    this.#send(0);
  }

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

  #lastError: RpcError | null = null;

  #send(previousAttempts: number): void {
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
        this.#attemptFailed(error);
      },
      { tried: this.#tried, previousAttempts },
    );
    this.#underWay.add(attempt);
    attempt.begin();
  }

  #attemptFailed(error: RpcError): void {
    if (this.#isDone) return;
    this.#lastError = error;
    const decision = this.#hedges.afterFailure(error);
    if (decision.kind === 'fail') this.#finish(error);
    else if (decision.kind === 'next') this.#schedule(decision.afterMs);
  }

  /** Ends the call once; what is still under way is cancelled. */
  #finish(error: RpcError | null): boolean {
    if (this.#isDone) return false;
    this.#isDone = true;
    this.#schedule(null);
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
