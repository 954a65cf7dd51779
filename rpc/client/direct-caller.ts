// Makes calls on the instances of one client, without middleware: contexts, attempts, hedges.
// rpc-client.ts stands on it; middleware-caller.ts may stand in between.

import type { CallOptions, Caller, Messages, ResponseStream } from '../call.js';
import type { MethodContract } from '../contract.js';
import { type CallContext, callContext } from './call-context.js';
import type { ClientCore } from './client-core.js';
import { HedgedCall } from './hedged-call.js';
import { RequestSource } from './request-source.js';
import { StreamCall } from './stream-call.js';
import { UnaryCall } from './unary-call.js';

export class DirectCaller implements Caller {
  readonly #core: ClientCore;
  readonly #timeoutMs: number;

  /** @param timeoutMs what a call may take unless it says otherwise */
  constructor(core: ClientCore, timeoutMs: number) {
    this.#core = core;
    this.#timeoutMs = timeoutMs;
  }

  unary<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): Promise<A> {
    return new Promise((resolve, reject) => {
      const context = this.#context(options); // what it throws rejects
      const isHedged = this.#core.hedging !== null && isIdempotent(method, context);
      if (isHedged) new HedgedCall(this.#core, method, context, request, resolve, reject).begin();
      else new UnaryCall(this.#core, method, context, request, null, resolve, reject).begin();
    });
  }

  clientStream<Q, A>(method: MethodContract<Q, A>, requests: Messages<Q>, options?: CallOptions): Promise<A> {
    return new Promise((resolve, reject) => {
      const context = this.#context(options);
      const source = new RequestSource(requests);
      new UnaryCall(this.#core, method, context, undefined, source, resolve, reject).begin();
    });
  }

  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): ResponseStream<A> {
    const call = new StreamCall(this.#core, method, this.#context(options), request, null);
    call.begin();
    return call;
  }

  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): ResponseStream<A> {
    const context = this.#context(options);
    const call = new StreamCall(this.#core, method, context, undefined, new RequestSource(requests));
    call.begin();
    return call;
  }

  #context(options: CallOptions | undefined): CallContext {
    const core = this.#core;
    if (core.isClosed) throw core.closedError();
    return callContext(options, this.#timeoutMs, core.nowMs());
  }
}

function isIdempotent(method: MethodContract, context: CallContext): boolean {
  return context.isIdempotent || method.idempotency !== 'unknown';
}
