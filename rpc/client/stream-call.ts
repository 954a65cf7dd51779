// A call with many answers, read as an async iterable; the client may stream its requests as well.

import type { ResponseStream } from '../call.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import type { PackedMessage } from '../session/packed-message.js';
import { InboundQueue } from '../session/inbound-queue.js';
import { AttemptedCall } from './attempted-call.js';
import { type CallContext, tellCaller } from './call-context.js';
import type { ClientCore } from './client-core.js';
import type { RequestSource } from './request-source.js';

export class StreamCall<Q, A> extends AttemptedCall<Q, A> implements ResponseStream<A> {
  protected readonly request: Q | undefined;
  readonly #queue: InboundQueue<A>;
  readonly #headers = new Deferred<Metadata>();
  readonly #trailers = new Deferred<Metadata>();
  #isCommitted = false;

  constructor(
    core: ClientCore,
    method: MethodContract<Q, A>,
    context: CallContext,
    request: Q | undefined,
    source: RequestSource<Q> | null,
  ) {
    super(core, method, context, source);
    this.request = request;
    this.#queue = new InboundQueue(
      (cost) => this.call?.messageTaken(cost),
      (error) => (error instanceof RpcError ? this.cancel(error) : this.cancel()),
    );
  }

  get headers(): Promise<Metadata> {
    return this.#headers.promise;
  }

  get trailers(): Promise<Metadata> {
    return this.#trailers.promise;
  }

  get hasUnread(): boolean {
    return !this.#queue.isEmpty;
  }

  override cancel(
    error: RpcError = new RpcError('RPC_CANCELLED', 'the call was cancelled by its caller'),
  ): void {
    super.cancel(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<A> {
    return this.#queue;
  }

  override headersReceived(headers: Metadata): void {
    this.#isCommitted = true;
    this.#headers.resolve(headers);
    super.headersReceived(headers);
  }

  messageReceived(message: A | PackedMessage<A>, cost: number): void {
    this.noteAnswered();
    if (!this.#isCommitted) {
      this.#isCommitted = true;
      this.#headers.resolve(new Metadata());
    }
    this.#queue.push(message, cost);
  }

  protected get isCommitted(): boolean {
    return this.#isCommitted;
  }

  protected ended(error: RpcError | null, trailers: Metadata | null): void {
    if (error !== null) {
      this.#headers.reject(error);
      this.#trailers.reject(error);
      this.#queue.fail(error);
      return;
    }
    const received = trailers ?? new Metadata();
    this.#headers.resolve(new Metadata());
    this.#trailers.resolve(received);
    const failure = tellCaller(this.context.onTrailers, received);
    if (failure === null) this.#queue.finish();
    else this.#queue.fail(failure);
  }
}

/** A promise and what settles it. Nobody has to look at it: who reads the messages hears of a failure there. */
class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}
