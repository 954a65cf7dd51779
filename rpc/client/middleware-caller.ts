// A Caller whose every call goes through middleware, around any other Caller.
// rpc-client.ts and the gRPC adapter's client stand on it, so that middleware sees the same of a call in both.

import type { CallOptions, Caller, Messages, ResponseStream } from '../call.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import type { Middleware, MiddlewareRequest, MiddlewareResponse } from '../middleware.js';
import { runMiddleware } from '../server/application.js';

/** When the trailers of a stream are there: those of the last time that the call was really made. */
interface Trailers {
  settled: Promise<unknown>;
}

interface Outcome {
  readonly response: Promise<MiddlewareResponse>;
  readonly trailers: Trailers;
}

export class MiddlewareCaller implements Caller {
  readonly #inner: Caller;
  readonly #middleware: readonly Middleware[];
  readonly #timeoutMs: number;

  /** @param timeoutMs what a call may take unless it says otherwise */
  constructor(inner: Caller, middleware: readonly Middleware[], timeoutMs: number) {
    this.#inner = inner;
    this.#middleware = middleware;
    this.#timeoutMs = timeoutMs;
  }

  async unary<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): Promise<A> {
    return (await this.#run(method, request, options).response).message as A; // unary answers one message
  }

  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): ResponseStream<A> {
    return this.#stream(method, request, options);
  }

  async clientStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): Promise<A> {
    return (await this.#run(method, requests, options).response).message as A;
  }

  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): ResponseStream<A> {
    return this.#stream(method, requests, options);
  }

  #stream<Q, A>(
    method: MethodContract<Q, A>,
    message: unknown,
    options: CallOptions = {},
  ): ResponseStream<A> {
    const abort = new AbortController();
    const signal =
      options.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, options.signal]);
    const outcome = this.#run(method, message, { ...options, signal });
    const { response } = outcome;
    const headers = response.then((answer) => answer.headers);
    const trailers = response.then(async (answer) => {
      await outcome.trailers.settled;
      return answer.trailers;
    });
    headers.catch(() => {});
    trailers.catch(() => {}); // who reads the messages hears of it
    return {
      headers,
      trailers,
      cancel: () => abort.abort(new RpcError('RPC_CANCELLED', 'the call was cancelled by its caller')),
      async *[Symbol.asyncIterator]() {
        yield* (await response).message as AsyncIterable<A>;
      },
    };
  }

  #run(method: MethodContract, message: unknown, options: CallOptions = {}): Outcome {
    const startedMs = performance.now();
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    const request: MiddlewareRequest = {
      side: 'client',
      method,
      metadata: options.metadata?.clone() ?? new Metadata(),
      signal: options.signal ?? new AbortController().signal,
      message,
      call: null,
      remainingMs: () => Math.max(0, startedMs + timeoutMs - performance.now()),
    };
    const trailers: Trailers = { settled: Promise.resolve() };
    const response = runMiddleware(
      this.#middleware,
      (inner) => this.#innermost(inner, options, trailers),
      request,
    );
    return { response, trailers };
  }

  async #innermost(
    request: MiddlewareRequest,
    options: CallOptions,
    settling: Trailers,
  ): Promise<MiddlewareResponse> {
    const { method } = request;
    let headers = new Metadata();
    let trailers = new Metadata();
    const inner: CallOptions = {
      ...options,
      timeoutMs: Math.max(1, request.remainingMs()),
      signal: request.signal,
      metadata: request.metadata,
      onHeaders: (received) => {
        headers = received;
        options.onHeaders?.(received);
      },
      onTrailers: (received) => {
        trailers = received;
        options.onTrailers?.(received);
      },
    };
    switch (method.kind) {
      case 'unary':
        return { message: await this.#inner.unary(method, request.message, inner), headers, trailers };
      case 'client-stream': {
        const requests = request.message as Messages<unknown>; // of the type its kind asks for, here and below
        return { message: await this.#inner.clientStream(method, requests, inner), headers, trailers };
      }
      case 'server-stream':
        return streamed(this.#inner.serverStream(method, request.message, inner), settling);
      case 'bidi-stream':
        return streamed(
          this.#inner.bidiStream(method, request.message as Messages<unknown>, inner),
          settling,
        );
      default:
        return method.kind satisfies never;
    }
  }
}

/** Waits for the headers, so that middleware sees them; the trailers fill in at the end. */
async function streamed(stream: ResponseStream<unknown>, settling: Trailers): Promise<MiddlewareResponse> {
  const trailers = new Metadata();
  settling.settled = stream.trailers.then((received) => {
    for (const [key, value] of received) trailers.add(key, value);
  });
  settling.settled.catch(() => {}); // the messages end with it
  return { message: stream, headers: await stream.headers, trailers };
}
