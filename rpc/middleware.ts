// One shape of middleware for both sides and for all four kinds of call.
// client/ runs it around a whole call (all attempts), server/ around the handler. Without any, neither pays for it.

import type { MethodContract } from './contract.js';
import type { ServerCall } from './call.js';
import type { Metadata } from './metadata.js';

/** A call on its way in. `message` is an AsyncIterable where the client streams. */
export interface MiddlewareRequest {
  readonly side: 'client' | 'server';
  readonly method: MethodContract;
  /** To be sent along; on the server what came along. */
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
  readonly message: unknown;
  /** The server's side of the call; null on the client. */
  readonly call: ServerCall | null;
  remainingMs(): number;
}

/** Its answer. `message` is an AsyncIterable where the server streams. */
export interface MiddlewareResponse {
  readonly message: unknown;
  /** On the client what came; on the server empty: `call.sendHeaders` and `call.trailers` are the handler's. */
  readonly headers: Metadata;
  readonly trailers: Metadata;
}

export type Next = (request: MiddlewareRequest) => Promise<MiddlewareResponse>;

/** Calls `next` once, several times or not at all; fails the call by throwing an RpcError. */
export type Middleware = (request: MiddlewareRequest, next: Next) => Promise<MiddlewareResponse>;
