// The connections of one host pool: who is open, lent, verifying, draining, and who is the next to be taken.
// Bookkeeping alone: host-pool.ts decides when a connection changes its state and does what goes with it. Pure.

import assert from 'node:assert/strict';
import type { CompletePoolOptions } from './pool-options.js';
import type { PoolableConnection } from './poolable.js';
import { fewestCalls, lastReturned, PooledConnection } from './pooled-connection.js';

export class Members<C extends PoolableConnection> {
  readonly #isExclusive: boolean;
  readonly #verifyAfterMs: number;
  readonly #all: Set<PooledConnection<C>> = new Set();
  /** Those in state 'open'; the one that came back last is the last. */
  readonly #open: PooledConnection<C>[] = [];
  #lent: number = 0;
  #verifying: number = 0;
  #draining: number = 0;

  constructor({ mode, verifyAfterMs }: CompletePoolOptions) {
    this.#isExclusive = mode === 'exclusive';
    this.#verifyAfterMs = verifyAfterMs;
  }

  get size(): number {
    return this.#all.size;
  }

  get lent(): number {
    return this.#lent;
  }

  get verifying(): number {
    return this.#verifying;
  }

  get draining(): number {
    return this.#draining;
  }

  /** Those that take calls now or will again. */
  get lasting(): number {
    return this.#all.size - this.#draining;
  }

  /** Calls under way on all of them. */
  get callsInFlight(): number {
    let calls = 0;
    for (const member of this.#all) calls += member.connection.callsInFlight;
    return calls;
  }

  get hasRoom(): boolean {
    for (let index = 0; index < this.#open.length; index += 1) if (this.#open[index]!.hasRoom) return true;
    return false;
  }

  /** As they are now, so that they may change while they are looked at. */
  all(): PooledConnection<C>[] {
    return [...this.#all];
  }

  open(): PooledConnection<C>[] {
    return this.#open.slice();
  }

  /** The member of a connection, if it still is one. */
  find(connection: C): PooledConnection<C> | null {
    const member = connection.poolListener;
    return member instanceof PooledConnection && this.#all.has(member) ? member : null;
  }

  /** Who takes the next call; null: nobody can. */
  choose(nowMs: number): PooledConnection<C> | null {
    return this.#isExclusive
      ? lastReturned(this.#open, nowMs, this.#verifyAfterMs)
      : fewestCalls(this.#open, nowMs, this.#verifyAfterMs);
  }

  /** Calls that `choose` could place now. */
  spareCalls(nowMs: number): number {
    let calls = 0;
    for (const member of this.#open) {
      if (!member.hasRoom || !member.isFresh(nowMs, this.#verifyAfterMs)) continue;
      calls += this.#isExclusive ? 1 : member.connection.callsMax - member.load;
    }
    return calls;
  }

  /** Open ones that were silent for too long to be used without a ping, the last returned first. */
  stale(nowMs: number): PooledConnection<C>[] {
    return this.#open
      .filter((member) => member.hasRoom && !member.isFresh(nowMs, this.#verifyAfterMs))
      .toReversed();
  }

  /** Open ones past their lifetime, oldest first. */
  expired(nowMs: number): PooledConnection<C>[] {
    return this.#open
      .filter((member) => member.expiresMs <= nowMs)
      .toSorted((one, other) => one.createdMs - other.createdMs);
  }

  hasExpired(nowMs: number): boolean {
    return this.#open.some((member) => member.expiresMs <= nowMs);
  }

  /** Open ones without a call, the one that was used last comes last. */
  idle(): PooledConnection<C>[] {
    return this.#open
      .filter((member) => member.isIdle)
      .toSorted((one, other) => one.lastTakenMs - other.lastTakenMs);
  }

  add(member: PooledConnection<C>): void {
    this.#all.add(member);
    this.#open.push(member);
  }

  /** Exclusive mode: one borrower has it. */
  lend(member: PooledConnection<C>): void {
    this.#leaveState(member);
    member.state = 'lent';
    this.#lent += 1;
  }

  verify(member: PooledConnection<C>): void {
    this.#leaveState(member);
    member.state = 'verifying';
    this.#verifying += 1;
  }

  /** It is back: from a borrower, or from a ping. */
  reopen(member: PooledConnection<C>): void {
    this.#leaveState(member);
    member.state = 'open';
    this.#open.push(member);
  }

  drain(member: PooledConnection<C>): void {
    this.#leaveState(member);
    member.state = 'draining';
    this.#draining += 1;
  }

  remove(member: PooledConnection<C>): void {
    this.#leaveState(member);
    member.state = 'ended';
    this.#all.delete(member);
  }

  checkInvariants(): void {
    assert(this.#open.length + this.#lent + this.#verifying + this.#draining === this.#all.size);
    assert(this.#isExclusive || this.#lent === 0);
  }

  #leaveState(member: PooledConnection<C>): void {
    const { state } = member;
    switch (state) {
      case 'open': {
        const index = this.#open.lastIndexOf(member);
        assert(index >= 0);
        this.#open.splice(index, 1);
        return;
      }
      case 'lent':
        this.#lent -= 1;
        return;
      case 'verifying':
        this.#verifying -= 1;
        return;
      case 'draining':
        this.#draining -= 1;
        return;
      case 'ended':
        assert.fail('a connection ends once');
      // falls through: assert.fail never returns
      default:
        state satisfies never;
    }
  }
}
