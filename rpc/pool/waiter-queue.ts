// Those who wait for a connection of one host, first come first served; anyone may leave from the middle in O(1).
// host-pool.ts serves it. Pure.

import assert from 'node:assert/strict';
import type { RpcError } from '../errors.js';
import type { Acquirer, PoolableConnection } from './poolable.js';

/** One who waits. The pool gives it out as a handle for `cancel`. */
export class Waiter<C extends PoolableConnection> {
  /** @internal */ readonly acquirer: Acquirer<C>;
  /** @internal */ readonly isFailFast: boolean;
  /** @internal */ readonly timeoutMs: number;
  /** @internal */ timer: unknown = null;
  /** @internal */ next: Waiter<C> | null = null;
  /** @internal */ previous: Waiter<C> | null = null;
  /** @internal */ isQueued: boolean = false;

  constructor(acquirer: Acquirer<C>, timeoutMs: number, isFailFast: boolean) {
    this.acquirer = acquirer;
    this.timeoutMs = timeoutMs;
    this.isFailFast = isFailFast;
  }

  get isWaiting(): boolean {
    return this.isQueued;
  }

  /** @internal */
  fail(error: RpcError): void {
    this.acquirer.onAcquireFailed(error);
  }
}

export class WaiterQueue<C extends PoolableConnection> {
  #first: Waiter<C> | null = null;
  #last: Waiter<C> | null = null;
  #size: number = 0;

  get size(): number {
    return this.#size;
  }

  push(waiter: Waiter<C>): void {
    assert(!waiter.isQueued);
    waiter.isQueued = true;
    waiter.previous = this.#last;
    if (this.#last === null) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#size += 1;
  }

  shift(): Waiter<C> | null {
    const waiter = this.#first;
    if (waiter !== null) this.remove(waiter);
    return waiter;
  }

  /** False when it did not wait any more. */
  remove(waiter: Waiter<C>): boolean {
    if (!waiter.isQueued) return false;
    waiter.isQueued = false;
    if (waiter.previous === null) this.#first = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === null) this.#last = waiter.previous;
    else waiter.next.previous = waiter.previous;
    waiter.next = null;
    waiter.previous = null;
    this.#size -= 1;
    return true;
  }

  /** Oldest first, as it is now. */
  toArray(): Waiter<C>[] {
    const waiters: Waiter<C>[] = [];
    for (let each = this.#first; each !== null; each = each.next) waiters.push(each);
    return waiters;
  }
}
