// Operations that wait for their turn, each with a deadline, in the order they were submitted.
// Whoever takes an operation out of the line completes it: that is what makes completion happen exactly once.
// channel.ts has one for writes, one for reads. Pure: time comes in as a number.

export interface Waiter {
  /** When it gives up, on the caller's clock; Infinity: never. */
  readonly deadlineMs: number;
}

/** Gaps at the front before they are closed. */
const COMPACT_AT = 1024;

export class WaitingLine<T extends Waiter> {
  /** From #first on, oldest first. */
  #waiters: T[] = [];
  #first = 0;
  /** No later than the earliest deadline in the line. */
  #earliestMs = Infinity;

  get length(): number {
    return this.#waiters.length - this.#first;
  }

  get first(): T | undefined {
    return this.#waiters[this.#first];
  }

  /** No later than the earliest deadline; Infinity when nobody waits. */
  get earliestMs(): number {
    return this.#earliestMs;
  }

  push(waiter: T): void {
    this.#waiters.push(waiter);
    this.#earliestMs = Math.min(this.#earliestMs, waiter.deadlineMs);
  }

  shift(): T | undefined {
    const waiter = this.#waiters[this.#first];
    if (waiter === undefined) return undefined;
    this.#first += 1;
    if (this.length === 0) this.#reset([]);
    else if (this.#first >= COMPACT_AT) this.#reset(this.#waiters.slice(this.#first));
    return waiter;
  }

  /** Takes this one out, wherever it stands; false when it is no longer here. */
  remove(waiter: T): boolean {
    const index = this.#waiters.indexOf(waiter, this.#first);
    if (index < 0) return false;
    this.#waiters.splice(index, 1);
    if (this.length === 0) this.#reset([]);
    return true;
  }

  /** Takes out all whose deadline has come, in the order they were submitted. */
  expire(nowMs: number): T[] {
    if (nowMs < this.#earliestMs) return [];
    const waiting = this.#waiters.slice(this.#first);
    this.#reset(waiting.filter((waiter) => waiter.deadlineMs > nowMs));
    return waiting.filter((waiter) => waiter.deadlineMs <= nowMs);
  }

  /** Takes out all. */
  drain(): T[] {
    const waiting = this.#waiters.slice(this.#first);
    this.#reset([]);
    return waiting;
  }

  #reset(waiters: T[]): void {
    this.#waiters = waiters;
    this.#first = 0;
    this.#earliestMs = Infinity;
    for (const { deadlineMs } of waiters) this.#earliestMs = Math.min(this.#earliestMs, deadlineMs);
  }
}
