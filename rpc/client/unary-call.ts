// A call with one answer, as a promise; the client may stream its requests.

import type { MethodContract } from '../contract.js';
import type { RpcError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { type PackedMessage, unpacked } from '../session/packed-message.js';
import { AttemptedCall } from './attempted-call.js';
import { type CallContext, tellCaller } from './call-context.js';
import type { ClientCore } from './client-core.js';
import type { RequestSource } from './request-source.js';

export class UnaryCall<Q, A> extends AttemptedCall<Q, A> {
  readonly hasUnread = false;
  protected readonly request: Q | undefined;
  #answer: A | undefined = undefined;
  #hasHeaders = false;
  readonly #resolve: (answer: A) => void;
  readonly #reject: (error: RpcError) => void;

  constructor(
    core: ClientCore,
    method: MethodContract<Q, A>,
    context: CallContext,
    request: Q | undefined,
    source: RequestSource<Q> | null,
    resolve: (answer: A) => void,
    reject: (error: RpcError) => void,
    hedge: { readonly tried: Set<string>; readonly previousAttempts: number } | null = null,
  ) {
    super(core, method, context, source, hedge);
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override headersReceived(headers: Metadata): void {
    this.#hasHeaders = true;
    super.headersReceived(headers);
  }

  messageReceived(message: A | PackedMessage<A>, cost: number): void {
    this.#answer = unpacked(message);
    if (cost > 0) this.call?.messageTaken(cost);
  }

  protected get isCommitted(): boolean {
    return this.#hasHeaders;
  }

  protected ended(error: RpcError | null, trailers: Metadata | null): void {
    if (error !== null) {
      this.#reject(error);
      return;
    }
    if (trailers !== null) {
      const failure = tellCaller(this.context.onTrailers, trailers);
      if (failure !== null) {
        this.#reject(failure);
        return;
      }
    }
    this.#resolve(this.#answer as A); // client-call.ts ends a call well only after its message
  }
}
