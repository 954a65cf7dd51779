// Every error of the RPC layer, as one class and one closed list of codes.
// Callers switch on `code` (or on the coarser `status`, which gRPC shares); `message` is for people; `cause` keeps the
// error underneath. The STATUS frame (wire/status-frame.ts) is how an error crosses to the other side.

import type { Metadata } from './metadata.js';
import { STATUS, type StatusName, statusName } from './status.js';

/** The code of each status, with which handlers fail a call: `throw new RpcError('RPC_NOT_FOUND', 'no such job')`. */
export type RpcStatusCode = Exclude<`RPC_${StatusName}`, 'RPC_OK'>;

export type RpcErrorCode =
  | RpcStatusCode
  // Finer than a status: who refused and why.
  | 'RPC_NO_INSTANCE' // UNAVAILABLE: the resolver knows no instance of the service
  | 'RPC_ALL_EJECTED' // UNAVAILABLE: every instance is ejected, its breaker open or draining
  | 'RPC_ALL_CONNECTING' // UNAVAILABLE: no connection came up within the time there was
  | 'RPC_CONNECT_FAILED' // UNAVAILABLE: the instance could not be reached
  | 'RPC_CONNECTION_LOST' // UNAVAILABLE: the connection ended under the call
  | 'RPC_HELLO_TIMEOUT' // UNAVAILABLE: the other side accepted and said nothing
  | 'RPC_KEEPALIVE_TIMEOUT' // UNAVAILABLE: the other side stopped answering pings
  | 'RPC_POOL_TIMEOUT' // UNAVAILABLE: no connection of the pool came free in time
  | 'RPC_RESOLVE_FAILED' // UNAVAILABLE: the name service could not be asked
  | 'RPC_SHUTTING_DOWN' // UNAVAILABLE: the server is draining; surely not executed
  | 'RPC_BREAKER_OPEN' // UNAVAILABLE: the instance's circuit breaker lets nothing through
  | 'RPC_QUEUE_FULL' // RESOURCE_EXHAUSTED: as many calls wait as may wait
  | 'RPC_RATE_LIMITED' // RESOURCE_EXHAUSTED: a rate limit refused the call
  | 'RPC_TOO_MANY_STREAMS' // RESOURCE_EXHAUSTED: the connection has as many calls as it may have
  | 'RPC_MESSAGE_TOO_LARGE' // RESOURCE_EXHAUSTED: a message is above a limit; the text names side, limit, size
  | 'RPC_METADATA_TOO_LARGE' // RESOURCE_EXHAUSTED: metadata is above a limit
  | 'RPC_METHOD_UNKNOWN' // UNIMPLEMENTED: no such service or method here
  | 'RPC_MESSAGE_INVALID' // INVALID_ARGUMENT on requests, INTERNAL on responses: the bytes are no such message
  | 'RPC_PROTOCOL' // INTERNAL: the other side broke the wire format
  | 'RPC_VERSION_MISMATCH' // UNIMPLEMENTED: no common version or serializer
  | 'RPC_PROTO_INVALID' // INVALID_ARGUMENT: a .proto file cannot be read or does not say what was asked for
  | 'RPC_OPTION_INVALID' // INVALID_ARGUMENT: an option has an impossible value
  | 'RPC_REGISTRY_FULL' // RESOURCE_EXHAUSTED: the registry takes no more of this; the text names the limit
  | 'RPC_SUPERSEDED' // FAILED_PRECONDITION: a later life of the instance is registered
  | 'RPC_LIST_STALE' // UNAVAILABLE: the list of instances is older than the client accepts
  | 'RPC_CLOSED'; // CANCELLED: the client or server was closed here

/** Whether the call may have been carried out: 'no' may be tried again for any method. */
export type Executed = 'no' | 'unknown';

/** One detail of an error: a protobuf message packed as google.protobuf.Any. */
export interface ErrorDetail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface RpcErrorOptions extends ErrorOptions {
  /** Default 'unknown'. */
  readonly executed?: Executed;
  readonly details?: readonly ErrorDetail[];
  /** Sent behind the status. */
  readonly trailers?: Metadata;
  /** What the server says about trying again: ms to wait, or negative for never. */
  readonly retryPushbackMs?: number;
}

export class RpcError extends Error {
  readonly code: RpcErrorCode;
  /** The gRPC status of `code`. */
  readonly status: StatusName;
  readonly executed: Executed;
  readonly details: readonly ErrorDetail[];
  readonly trailers: Metadata | null;
  readonly retryPushbackMs: number | null;
  /** Attempts that were made, this one included; above 1 the call was retried or hedged. */
  attempts: number = 1;

  constructor(code: RpcErrorCode, message: string, options: RpcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RpcError';
    this.code = code;
    this.status = statusOf(code);
    this.executed = options.executed ?? 'unknown';
    this.details = options.details ?? [];
    this.trailers = options.trailers ?? null;
    this.retryPushbackMs = options.retryPushbackMs ?? null;
  }

  /** The plain form in which it crosses threads. */
  toWire(): { code: RpcErrorCode; message: string } {
    return { code: this.code, message: this.message };
  }
}

/** Statuses of the codes that are finer than a status. */
const FINER: Readonly<Record<Exclude<RpcErrorCode, RpcStatusCode>, StatusName>> = {
  RPC_NO_INSTANCE: 'UNAVAILABLE',
  RPC_ALL_EJECTED: 'UNAVAILABLE',
  RPC_ALL_CONNECTING: 'UNAVAILABLE',
  RPC_CONNECT_FAILED: 'UNAVAILABLE',
  RPC_CONNECTION_LOST: 'UNAVAILABLE',
  RPC_HELLO_TIMEOUT: 'UNAVAILABLE',
  RPC_KEEPALIVE_TIMEOUT: 'UNAVAILABLE',
  RPC_POOL_TIMEOUT: 'UNAVAILABLE',
  RPC_RESOLVE_FAILED: 'UNAVAILABLE',
  RPC_SHUTTING_DOWN: 'UNAVAILABLE',
  RPC_BREAKER_OPEN: 'UNAVAILABLE',
  RPC_QUEUE_FULL: 'RESOURCE_EXHAUSTED',
  RPC_RATE_LIMITED: 'RESOURCE_EXHAUSTED',
  RPC_TOO_MANY_STREAMS: 'RESOURCE_EXHAUSTED',
  RPC_MESSAGE_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  RPC_METADATA_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  RPC_METHOD_UNKNOWN: 'UNIMPLEMENTED',
  RPC_MESSAGE_INVALID: 'INVALID_ARGUMENT',
  RPC_PROTOCOL: 'INTERNAL',
  RPC_VERSION_MISMATCH: 'UNIMPLEMENTED',
  RPC_PROTO_INVALID: 'INVALID_ARGUMENT',
  RPC_OPTION_INVALID: 'INVALID_ARGUMENT',
  RPC_REGISTRY_FULL: 'RESOURCE_EXHAUSTED',
  RPC_SUPERSEDED: 'FAILED_PRECONDITION',
  RPC_LIST_STALE: 'UNAVAILABLE',
  RPC_CLOSED: 'CANCELLED',
};

function statusOf(code: RpcErrorCode): StatusName {
  return Object.hasOwn(FINER, code)
    ? FINER[code as keyof typeof FINER]
    : (code.slice('RPC_'.length) as StatusName); // every other code is a status with our prefix
}

/** The code that says no more than a status does. */
export function codeOfStatus(status: number): RpcStatusCode {
  const name = statusName(status);
  return name === 'OK' ? 'RPC_UNKNOWN' : `RPC_${name}`;
}

export const RPC_ERROR_CODES: readonly RpcErrorCode[] = [
  ...Object.keys(STATUS)
    .filter((name) => name !== 'OK')
    .map((name) => `RPC_${name}` as RpcStatusCode),
  ...(Object.keys(FINER) as (keyof typeof FINER)[]),
];
