// What the pool needs of a connection, what it tells the pool, and how one is made.
// session/ (the multiplexed client session) is the real one; tests have a fake. The pool never looks inside.

import type { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';

/** A connection that is open and has said HELLO. One belongs to one host pool for its whole life. */
export interface PoolableConnection {
  /** It takes new calls: open, no GOAWAY, not failing. Once false it stays false. */
  readonly isUsable: boolean;
  /** Calls under way on it. Grows inside the function that begins a call, before that returns. */
  readonly callsInFlight: number;
  /** Calls it may carry at once, as the other side allows. May change. */
  readonly callsMax: number;
  /** When something was last received, on the pool's clock; may be early by a second. */
  readonly lastReceivedMs: number;
  /** Who is told of what happens to it. The pool sets it once, before it lends the connection. */
  poolListener: PoolListener | null;
  /** Resolves when the other side answered; rejects when it did not within `timeoutMs` or the connection ended. */
  ping(timeoutMs: number): Promise<void>;
  /** Takes no more calls, finishes those under way, then closes: `onEnded(null)`. Idempotent. */
  close(): void;
  /** Closes now; calls under way fail with `error`. Idempotent. */
  destroy(error: RpcError): void;
}

export interface PoolListener {
  /** A call ended or `callsMax` grew. Called after every call: costs nothing when nobody waits. */
  onCapacity(): void;
  /** It takes no new calls any more but finishes those under way: GOAWAY, or it is going wrong. */
  onUnusable(): void;
  /** It is gone, and its calls with it. `error` is null when it was closed in good order. Once. */
  onEnded(error: RpcError | null): void;
}

/**
 * Opens a connection and resolves after HELLO, when it is usable; rejects when it cannot be had. The pool aborts
 * `signal` after its connect timeout or when it is closed: then whatever was begun is undone at once.
 */
export type Dial<C extends PoolableConnection> = (instance: Instance, signal: AbortSignal) => Promise<C>;

/** Who waits for a connection. Exactly one of both is called, perhaps before `wait` returns. */
export interface Acquirer<C extends PoolableConnection> {
  /** Begin the call before this returns: only then the pool knows that its place on the connection is taken. */
  onConnection(connection: C): void;
  /**
   * RPC_POOL_TIMEOUT, RPC_CONNECT_FAILED, RPC_QUEUE_FULL, RPC_NO_INSTANCE, RPC_CLOSED, or what the host refuses us
   * with (RPC_UNAUTHENTICATED, RPC_VERSION_MISMATCH…); surely not executed.
   */
  onAcquireFailed(error: RpcError): void;
}
