// The two forms in which the answer of a gRPC server reaches the caller: a promise, or a stream.
// grpc-caller.ts makes one per call; grpc-client-call.ts tells it what comes.

import type { ResponseStream } from '../call.js';
import type { CallContext } from '../client/call-context.js';
import type { RequestSource } from '../client/request-source.js';
import { RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import { InboundQueue } from '../session/inbound-queue.js';
import type { GrpcCallListener, GrpcClientCall } from './grpc-client-call.js';

/** Closes the requests of a client that streams. */
type Source = Pick<RequestSource<unknown>, 'close'> | null;

/** One message, as a promise. */
export class GrpcAnswer<A> implements GrpcCallListener<A> {
  readonly #context: CallContext;
  readonly #resolve: (answer: A) => void;
  readonly #reject: (error: RpcError) => void;
  readonly #source: Source;
  #call: Pick<GrpcClientCall<unknown, unknown>, 'messageTaken'> | null = null;
  #answer: A | undefined = undefined;

  constructor(
    context: CallContext,
    resolve: (answer: A) => void,
    reject: (error: RpcError) => void,
    source: Source,
  ) {
    this.#context = context;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#source = source;
  }

  on<Q>(call: GrpcClientCall<Q, A>): GrpcClientCall<Q, A> {
    this.#call = call;
    call.messageTaken();
    return call;
  }

  headersReceived(headers: Metadata): void {
    this.#context.onHeaders?.(headers);
  }

  messageReceived(message: A): void {
    this.#answer = message;
    this.#call?.messageTaken(); // a second one is an error, and has to be seen
  }

  callEnded(error: RpcError | null, trailers: Metadata | null): void {
    this.#source?.close();
    if (error !== null) {
      this.#reject(error);
      return;
    }
    if (trailers !== null) this.#context.onTrailers?.(trailers);
    this.#resolve(this.#answer as A); // a call ends well only after its message
  }
}

/** Many messages; the next one is read from the connection when this one is taken. */
export class GrpcStream<A> implements GrpcCallListener<A>, ResponseStream<A> {
  readonly headers: Promise<Metadata>;
  readonly trailers: Promise<Metadata>;
  readonly #context: CallContext;
  readonly #source: Source;
  readonly #queue: InboundQueue<A>;
  #call: Pick<GrpcClientCall<unknown, unknown>, 'messageTaken' | 'cancel'> | null = null;
  #settleHeaders!: Settle<Metadata>;
  #settleTrailers!: Settle<Metadata>;

  constructor(context: CallContext, source: Source) {
    this.#context = context;
    this.#source = source;
    this.headers = promised((settle) => {
      this.#settleHeaders = settle;
    });
    this.trailers = promised((settle) => {
      this.#settleTrailers = settle;
    });
    this.#queue = new InboundQueue(
      () => this.#call?.messageTaken(),
      () => this.cancel(),
    );
  }

  on<Q>(call: GrpcClientCall<Q, A>): GrpcClientCall<Q, A> {
    this.#call = call;
    call.messageTaken();
    return call;
  }

  cancel(): void {
    this.#call?.cancel(new RpcError('RPC_CANCELLED', 'the call was cancelled by its caller'));
  }

  [Symbol.asyncIterator](): AsyncIterator<A> {
    return this.#queue;
  }

  headersReceived(headers: Metadata): void {
    this.#settleHeaders.resolve(headers);
    this.#context.onHeaders?.(headers);
  }

  messageReceived(message: A): void {
    this.#queue.push(message, 0);
  }

  callEnded(error: RpcError | null, trailers: Metadata | null): void {
    this.#source?.close();
    if (error !== null) {
      this.#settleHeaders.reject(error);
      this.#settleTrailers.reject(error);
      this.#queue.fail(error);
      return;
    }
    const received = trailers ?? new Metadata();
    this.#settleHeaders.resolve(new Metadata());
    this.#settleTrailers.resolve(received);
    this.#context.onTrailers?.(received);
    this.#queue.finish();
  }
}

interface Settle<T> {
  resolve(value: T): void;
  reject(error: RpcError): void;
}

/** Nobody has to look at it: who reads the messages hears of a failure there. */
function promised<T>(give: (settle: Settle<T>) => void): Promise<T> {
  const promise = new Promise<T>((resolve, reject) => give({ resolve, reject }));
  promise.catch(() => {});
  return promise;
}
