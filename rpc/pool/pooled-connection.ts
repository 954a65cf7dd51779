// The third level of the pool: one connection with what its host pool knows of it.
// It is the connection's listener and passes the news on, so that a connection needs no idea of pools.

import type { RpcError } from '../errors.js';
import type { PoolableConnection, PoolListener } from './poolable.js';

export type PooledState =
  | 'open' // takes calls
  | 'lent' // exclusive mode: somebody has it
  | 'verifying' // pinged after a silence; takes no calls until it answers
  | 'draining' // takes no more calls, finishes those it has
  | 'ended';

/** @internal What a connection's news lead to; the host pool. */
export interface PooledConnectionHost<C extends PoolableConnection> {
  memberHasCapacity(member: PooledConnection<C>): void;
  memberUnusable(member: PooledConnection<C>): void;
  memberEnded(member: PooledConnection<C>, error: RpcError | null): void;
  release(connection: C): void;
}

export class PooledConnection<C extends PoolableConnection> implements PoolListener {
  readonly connection: C;
  readonly createdMs: number;
  /** When it should be replaced; Infinity: never. */
  readonly expiresMs: number;
  readonly #host: PooledConnectionHost<C>;
  state: PooledState = 'open';
  /** When it was last lent or seen with calls. */
  lastTakenMs: number;
  /** When it last answered a ping of ours. */
  lastVerifiedMs: number = -Infinity;
  /** Calls that were promised a place on it and have not begun; see HostPool.acquire. */
  reserved: number = 0;
  reservedTimer: unknown = null;

  constructor(host: PooledConnectionHost<C>, connection: C, createdMs: number, expiresMs: number) {
    this.#host = host;
    this.connection = connection;
    this.createdMs = createdMs;
    this.expiresMs = expiresMs;
    this.lastTakenMs = createdMs;
  }

  /** Calls on it, those that are about to begin included. */
  get load(): number {
    return this.connection.callsInFlight + this.reserved;
  }

  get isIdle(): boolean {
    return this.state === 'open' && this.load === 0;
  }

  get hasRoom(): boolean {
    return this.connection.isUsable && this.load < this.connection.callsMax;
  }

  /** It was heard of lately or has calls, whose keepalive looks after it: no ping is needed before using it. */
  isFresh(nowMs: number, verifyAfterMs: number): boolean {
    const { callsInFlight, lastReceivedMs } = this.connection;
    return callsInFlight > 0 || nowMs - Math.max(lastReceivedMs, this.lastVerifiedMs) <= verifyAfterMs;
  }

  /** Exclusive mode: its borrower is done. */
  release(): void {
    this.#host.release(this.connection);
  }

  onCapacity(): void {
    this.#host.memberHasCapacity(this);
  }

  onUnusable(): void {
    this.#host.memberUnusable(this);
  }

  onEnded(error: RpcError | null): void {
    this.#host.memberEnded(this, error);
  }
}

/** The connection for the next of many calls: the one with the fewest, of equals the first. */
export function fewestCalls<C extends PoolableConnection>(
  open: readonly PooledConnection<C>[],
  nowMs: number,
  verifyAfterMs: number,
): PooledConnection<C> | null {
  let best: PooledConnection<C> | null = null;
  let bestLoad = Infinity;
  for (let index = 0; index < open.length; index += 1) {
    const member = open[index]!;
    const { load } = member;
    if (load < bestLoad && member.hasRoom && member.isFresh(nowMs, verifyAfterMs)) {
      best = member;
      bestLoad = load;
    }
  }
  return best;
}

/** The connection for one borrower: the one that came back last is the likeliest to be warm. */
export function lastReturned<C extends PoolableConnection>(
  open: readonly PooledConnection<C>[],
  nowMs: number,
  verifyAfterMs: number,
): PooledConnection<C> | null {
  for (let index = open.length - 1; index >= 0; index -= 1) {
    const member = open[index]!;
    if (member.load === 0 && member.hasRoom && member.isFresh(nowMs, verifyAfterMs)) return member;
  }
  return null;
}
