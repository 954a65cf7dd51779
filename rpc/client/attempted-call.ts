// One call through all its attempts: an instance is chosen, a connection found, the attempt made and judged.
// unary-call.ts and stream-call.ts are such calls; what they stand on is client-core.ts. It ends exactly once.
// The way of a call that succeeds at once makes no promise and sets no timer but its deadline.

import type { Candidate } from '../balance/balancer.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { CALL_TIMEOUT_MS_MAX, LIST_TIMEOUT_MS } from '../limits.js';
import type { Metadata } from '../metadata.js';
import type { Acquirer } from '../pool/poolable.js';
import { CallRetries, type RetryStopReason } from '../resilience/call-retries.js';
import { isInstanceFailure } from '../resilience/instance-failure.js';
import type { CallListener, ClientCall } from '../session/client-call.js';
import type { ClientSession } from '../session/client-session.js';
import type { PackedMessage } from '../session/packed-message.js';
import { type Abortable, unwatchAbort, watchAbort } from './abort-watch.js';
import {
  asCallError,
  type CallContext,
  cancelled,
  remade,
  tellCaller,
  withExecuted,
} from './call-context.js';
import type { ClientCore, HostWaiter } from './client-core.js';
import type { RequestSource } from './request-source.js';

const TIMEOUT_MS_MAX = 0xffff_ffff;
/** A u8 on the wire. */
const ATTEMPTS_SENT_MAX = 255;

export abstract class AttemptedCall<Q, A> implements CallListener<A>, Acquirer<ClientSession>, Abortable {
  protected readonly core: ClientCore;
  protected readonly method: MethodContract<Q, A>;
  protected readonly context: CallContext;
  protected call: ClientCall<Q, A> | null = null;
  #candidate: Candidate | null = null;
  #attemptMs = 0;
  /** When the first message of the answer came; 0: none yet. */
  #answeredMs = 0;
  #attempts = 0;
  #session: ClientSession | null = null;
  #tried: Set<string> | null = null;
  /** What the client streams; null where it sends one request. */
  readonly #source: RequestSource<Q> | null;
  readonly #hedge: { readonly tried: Set<string>; readonly previousAttempts: number } | null;
  #retries: CallRetries | null = null;
  #waiter: HostWaiter | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isDone = false;
  #isOpening = false;
  #endedEarly: { readonly error: RpcError | null; readonly trailers: Metadata | null } | null = null;
  /** An attempt that failed may have been carried out: whatever ends the call, it is not surely not executed. */
  #mayHaveRun = false;
  /** What it does next, while it waits for the first list of instances or for time to pass. */
  #goOn: (() => void) | null = null;

  /**
   * @param hedge it is one of several attempts that are under way together: it is not repeated, and goes to an
   *   instance that is not in `tried` yet
   */
  constructor(
    core: ClientCore,
    method: MethodContract<Q, A>,
    context: CallContext,
    source: RequestSource<Q> | null,
    hedge: { readonly tried: Set<string>; readonly previousAttempts: number } | null = null,
  ) {
    this.#source = source;
    this.#hedge = hedge;
    this.core = core;
    this.method = method;
    this.context = context;
    if (hedge === null) for (const signal of context.signals) watchAbort(signal, this); // else hedged-call.ts does
  }

  // What a kind of call supplies.

  abstract readonly hasUnread: boolean;
  abstract messageReceived(message: A | PackedMessage<A>, cost: number): void;
  /** The one request, where the client does not stream. */
  protected abstract readonly request: Q | undefined;
  /** The caller has seen a part of the answer. */
  protected abstract readonly isCommitted: boolean;
  /** The call is over. */
  protected abstract ended(error: RpcError | null, trailers: Metadata | null): void;

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Makes the first attempt, as soon as instances are known. */
  begin(): void {
    if (this.#hedge === null) this.core.callStarted(this.method.path);
    if (this.core.hasList) this.#attempt(this.context.begunMs);
    else this.#awaitList();
  }

  /** Ends the call here, and at the server. */
  cancel(error: RpcError): void {
    if (this.#isDone) return;
    const { call } = this;
    if (call !== null && !call.isEnded) {
      this.call = null; // callEnded is for attempts that end by themselves
      call.cancel(error);
    }
    this.#abandonAttempt();
    this.#finish(error, null);
  }

  /** Abortable. */
  aborted(signal: AbortSignal): void {
    this.cancel(cancelled(signal, this.call === null ? 'no' : 'unknown'));
  }

  // Acquirer.

  onConnection(session: ClientSession): void {
    this.#waiter = null;
    this.#open(session, this.core.nowMs());
  }

  onAcquireFailed(error: RpcError): void {
    this.#waiter = null;
    this.#attemptFailed(this.remainingMs() <= 0 ? this.#deadlineError('no') : error, false);
  }

  // CallListener.

  headersReceived(headers: Metadata): void {
    const failure = tellCaller(this.context.onHeaders, headers);
    if (failure !== null) this.cancel(failure);
  }

  callEnded(error: RpcError | null, trailers: Metadata | null): void {
    if (this.#isOpening) {
      this.#endedEarly = { error, trailers }; // the connection broke while the call was being written
      return;
    }
    if (this.call === null) return; // cancelled here, and judged there
    this.#releaseSession();
    if (error !== null) {
      this.#attemptFailed(error, true);
      return;
    }
    const nowMs = this.core.nowMs();
    this.#judge(null, nowMs);
    this.core.budget.succeeded();
    this.#finish(null, trailers, nowMs);
  }

  /** A first message has come: how long that took says what the instance is worth, however long the stream lasts. */
  protected noteAnswered(): void {
    if (this.#answeredMs === 0) this.#answeredMs = this.core.nowMs();
  }

  protected remainingMs(): number {
    const { deadlineMs } = this.context;
    return deadlineMs === Infinity ? Infinity : deadlineMs - this.core.nowMs();
  }

  // Attempts.

  #attempt(nowMs: number = this.core.nowMs()): void {
    this.call = null;
    if (this.core.isClosed) {
      this.#finish(this.core.closedError(), null);
      return;
    }
    if (nowMs >= this.context.deadlineMs) {
      this.#finish(this.#deadlineError('no'), null);
      return;
    }
    this.#attempts += 1;
    this.#attemptMs = nowMs;
    this.#answeredMs = 0;
    let candidate: Candidate;
    try {
      const { path } = this.method;
      candidate = this.core.selector.pick(
        { path, hashKey: this.context.hashKey, nowMs },
        this.#hedge?.tried ?? this.#tried ?? undefined,
      );
      this.core.selector.started(candidate);
    } catch (error) {
      this.core.noteNoInstance();
      this.#attemptFailed(asCallError(error, this.method.path), false); // a balancer of the user's may throw anything
      return;
    }
    this.#candidate = candidate;
    this.#hedge?.tried.add(candidate.instance.id);
    let session: ClientSession | null;
    try {
      const host = this.core.pool.host(candidate.instance);
      session = host.tryAcquire(nowMs);
      if (session === null) {
        const { deadlineMs } = this.context;
        const options = { timeoutMs: deadlineMs - nowMs, isFailFast: true };
        const waiter = host.wait(this, options);
        if (this.call === null && this.#candidate === candidate && !this.#isDone)
          this.#waiter = { cancel: () => host.cancel(waiter) };
        return;
      }
    } catch (error) {
      this.#attemptFailed(asCallError(error, this.method.path), false);
      return;
    }
    this.#open(session, nowMs);
  }

  #open(session: ClientSession, nowMs: number): void {
    const { method, context } = this;
    const remainingMs = context.deadlineMs - nowMs;
    if (remainingMs <= 0) {
      this.core.release(session);
      this.#attemptFailed(this.#deadlineError('no'), false);
      return;
    }
    const head = {
      path: method.path,
      timeoutMs: remainingMs === Infinity ? 0 : Math.min(Math.ceil(remainingMs), TIMEOUT_MS_MAX),
      previousAttempts: this.#previousAttempts,
      callFlags: context.callFlags,
      metadata: context.metadata,
    };
    this.#session = session;
    this.#isOpening = true;
    this.#endedEarly = null;
    try {
      this.call = session.open(method, head, this.request, this);
    } catch (error) {
      this.#isOpening = false;
      this.#releaseSession();
      this.#attemptFailed(asCallError(error, this.method.path), false); // so may a codec
      return;
    }
    this.#isOpening = false;
    const early = this.#endedEarly as { error: RpcError | null; trailers: Metadata | null } | null; // callEnded sets it
    if (early !== null) this.callEnded(early.error, early.trailers);
    else this.#source?.sendTo(this.call, (error) => this.cancel(error));
  }

  #attemptFailed(error: RpcError, wasSent: boolean): void {
    const candidate = this.#candidate;
    this.#judge(error, this.core.nowMs());
    if (wasSent && error.executed !== 'no') this.#mayHaveRun = true;
    if (this.#hedge !== null) {
      this.#finish(error, null);
      return;
    }
    const isRenewed = error.code === 'RPC_CONNECTION_LOST' && error.executed === 'no'; // the instance is as good as before
    if (candidate !== null && !isRenewed) (this.#tried ??= new Set()).add(candidate.instance.id);
    this.#retries ??= new CallRetries(this.core.retryPolicy, this.core.budget, {
      isIdempotent: this.context.isIdempotent || this.method.idempotency !== 'unknown',
      previousAttempts: this.context.previousAttempts,
    });
    const decision = this.#retries.afterFailure({
      error,
      wasSent,
      isCommitted: this.isCommitted,
      isReplayable: this.#source === null || this.#source.isUntouched,
      isCounted: wasSent && this.core.isCounted(error),
      remainingMs: this.remainingMs(),
      // Where nobody was chosen, choosing again at once would end the same.
      untriedCount:
        candidate === null ? 0 : this.core.selector.untriedCount(this.#tried ?? NOBODY, this.core.nowMs()),
    });
    switch (decision.kind) {
      case 'transparent':
        this.#attempts -= 1;
        this.#attempt();
        return;
      case 'retry':
        this.core.retried();
        this.call = null;
        if (decision.afterMs <= 0) this.#attempt();
        else this.#backOff(decision.afterMs);
        return;
      case 'stop':
        this.#finish(this.#finalError(error, decision.reason), null);
        return;
      default:
        decision satisfies never;
    }
  }

  get #previousAttempts(): number {
    const before = this.#retries?.previousAttempts ?? this.context.previousAttempts;
    return Math.min(before + (this.#hedge?.previousAttempts ?? 0), ATTEMPTS_SENT_MAX);
  }

  /** The selector hears how the attempt went. */
  #judge(error: RpcError | null, nowMs: number): void {
    const candidate = this.#candidate;
    if (candidate === null) return;
    this.#candidate = null;
    const isFailure = error !== null && isInstanceFailure(error);
    const answeredMs = this.#answeredMs === 0 ? nowMs : this.#answeredMs;
    this.core.selector.finished(candidate, { latencyMs: answeredMs - this.#attemptMs, isFailure, nowMs });
  }

  #abandonAttempt(): void {
    this.#waiter?.cancel();
    this.#waiter = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#goOn !== null) {
      this.core.forgetWaiting(this.#goOn);
      this.core.notAtClose(this.#goOn);
    }
    this.#releaseSession();
    if (this.#candidate === null) return;
    this.core.selector.abandoned(this.#candidate, this.#attemptMs, this.core.nowMs());
    this.#candidate = null;
  }

  #releaseSession(): void {
    if (this.#session === null) return;
    this.core.release(this.#session);
    this.#session = null;
  }

  /** The list of instances has not come yet: waits for it, within the deadline; without one not for ever either. */
  #awaitList(): void {
    const { deadlineMs } = this.context;
    const goOn = (): void => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
      this.#goOn = null;
      if (!this.#isDone) this.#attempt();
    };
    if (!this.core.awaitList(goOn)) {
      const text = 'too many calls wait for the first list of instances';
      this.#finish(new RpcError('RPC_QUEUE_FULL', text, { executed: 'no' }), null);
      return;
    }
    this.#goOn = goOn;
    const waitMs = deadlineMs === Infinity ? LIST_TIMEOUT_MS : deadlineMs - this.core.nowMs();
    this.#timer = setTimeout(() => {
      this.core.forgetWaiting(goOn);
      this.#finish(this.core.noListError(deadlineMs === Infinity ? null : this.#deadlineError('no')), null);
    }, waitMs);
  }

  #backOff(afterMs: number): void {
    const goOn = (): void => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
      this.#goOn = null;
      this.core.notAtClose(goOn);
      this.#attempt();
    };
    this.#goOn = goOn;
    this.core.atClose(goOn);
    this.#timer = setTimeout(goOn, Math.min(afterMs, CALL_TIMEOUT_MS_MAX)); // Node takes what is longer for 1 ms
  }

  #finish(reason: RpcError | null, trailers: Metadata | null, nowMs: number = this.core.nowMs()): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#source?.close();
    if (this.#hedge === null) for (const signal of this.context.signals) unwatchAbort(signal, this);
    const error = reason !== null && this.#mayHaveRun ? withExecuted(reason, 'unknown') : reason;
    if (this.#hedge === null) {
      if (error !== null) error.attempts = Math.max(1, this.#attempts);
      this.core.callEnded(this.method.path, error, nowMs - this.context.begunMs);
    }
    this.ended(error, trailers);
  }

  #deadlineError(executed: 'no' | 'unknown'): RpcError {
    const { timeoutMs } = this.context;
    return new RpcError(
      'RPC_DEADLINE_EXCEEDED',
      `${this.method.path} was not answered within ${Math.round(timeoutMs)} ms`,
      {
        executed,
      },
    );
  }

  /** Says how often it was tried, and what kept it from being tried again. */
  #finalError(error: RpcError, reason: RetryStopReason): RpcError {
    if (this.#attempts <= 1 || reason === 'not-retryable') return error;
    return remade(error, `${error.message} (attempt ${this.#attempts}; no more: ${reason})`, error.executed);
  }
}

const NOBODY: ReadonlySet<string> = new Set();
