// What a call looks like to those who make it and to those who answer it.
// RpcClient and the gRPC adapter's client are both a `Caller`; generated client classes stand on one. RpcServer and the
// gRPC adapter's server both serve a `ServiceImplementation`. middleware.ts has the shape of what stands in between.

import type { MethodContract, ServiceContract } from './contract.js';
import type { Metadata } from './metadata.js';

export interface CallOptions {
  /**
   * Milliseconds for the whole call, all attempts together. Default: the client's `timeoutMs`, and inside a handler
   * never more than that call has left.
   */
  timeoutMs?: number;
  /** Cancels the call, here and at the server. */
  signal?: AbortSignal;
  metadata?: Metadata;
  /** Goes to the same instance as other calls with this key, where the balancer is 'consistent-hash'. */
  hashKey?: string;
  /** The call may be repeated although its .proto does not say so. */
  idempotent?: boolean;
  /** Told of the answer's headers, when they come. */
  onHeaders?: (headers: Metadata) => void;
  /** Told of the answer's trailers, when the call ends well. */
  onTrailers?: (trailers: Metadata) => void;
}

/** Messages from the server, read one after the other. Leaving the loop early cancels the call. */
export interface ResponseStream<Response> extends AsyncIterable<Response> {
  /** The answer's headers; rejects when the call fails before they come. */
  readonly headers: Promise<Metadata>;
  /** The answer's trailers; rejects when the call fails. */
  readonly trailers: Promise<Metadata>;
  cancel(): void;
}

export type Messages<T> = AsyncIterable<T> | Iterable<T>;

/** Whoever can make calls. All failures are RpcErrors. */
export interface Caller {
  unary<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): Promise<A>;
  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): ResponseStream<A>;
  clientStream<Q, A>(method: MethodContract<Q, A>, requests: Messages<Q>, options?: CallOptions): Promise<A>;
  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): ResponseStream<A>;
}

/** Who is at the other end of a call. */
export interface Peer {
  /** Undefined for Unix sockets. */
  readonly address: string | undefined;
  readonly port: number | undefined;
  /** The name its token or its client certificate stands for; null when it showed neither. */
  readonly identity: string | null;
  /** The name in its client certificate, whatever token it showed; null or absent when it showed none. */
  readonly certificate?: string | null;
}

/** The server's side of one call. */
export interface ServerCall {
  readonly method: MethodContract;
  /** What the client sent along. */
  readonly metadata: Metadata;
  readonly peer: Peer;
  /** Aborts when the client cancels, its deadline passes, its connection ends, or the server cuts the call. */
  readonly signal: AbortSignal;
  /** Attempts made before this one. */
  readonly previousAttempts: number;
  /** Sent with the status, when the handler is done. */
  readonly trailers: Metadata;
  /** Milliseconds until the client's deadline; Infinity when it has none. */
  remainingMs(): number;
  /** Sends headers now, ahead of the first message. Once. */
  sendHeaders(headers: Metadata): void;
}

export type UnaryHandler<Q, A> = (request: Q, call: ServerCall) => A | Promise<A>;
export type ServerStreamHandler<Q, A> = (request: Q, call: ServerCall) => Messages<A>;
export type ClientStreamHandler<Q, A> = (requests: AsyncIterable<Q>, call: ServerCall) => A | Promise<A>;
export type BidiStreamHandler<Q, A> = (requests: AsyncIterable<Q>, call: ServerCall) => Messages<A>;

/** A service with code behind every method. Made by `implement`. */
export interface ServiceImplementation {
  readonly contract: ServiceContract;
  /** By the method's local name; of the handler type that its kind asks for. */
  readonly handlers: Readonly<Record<string, (input: never, call: ServerCall) => unknown>>;
}
