// The reads of a channel that found no message: bounded in number, in order, each with its deadline.
// channel.ts fills it, and gives each message to the one that has waited longest.

import { JbusError } from './errors.js';
import type { Lease } from './lease.js';
import { canceled, Pending } from './pending.js';
import { WaitingLine } from './waiting-line.js';

/** A read that waits; `take` makes of the lease what its caller asked for. */
class PendingRead<T> extends Pending<T> {
  readonly #take: (lease: Lease) => T;

  constructor(take: (lease: Lease) => T, deadlineMs: number) {
    super(deadlineMs);
    this.#take = take;
  }

  settle(lease: Lease): void {
    this.resolve(this.#take(lease));
  }
}

/** What the queue needs of a read, whatever it makes of its lease. */
type AnyRead = Pick<PendingRead<unknown>, 'deadlineMs' | 'settle' | 'reject'>;

export class ReadQueue {
  readonly #readsMax: number;
  readonly #line = new WaitingLine<AnyRead>();

  constructor(readsMax: number) {
    this.#readsMax = readsMax;
  }

  get length(): number {
    return this.#line.length;
  }

  get earliestMs(): number {
    return this.#line.earliestMs;
  }

  /** @throws JbusError JBUS_QUEUE_FULL */
  push<T>(take: (lease: Lease) => T, deadlineMs: number, signal?: AbortSignal): Promise<T> {
    if (this.length >= this.#readsMax) {
      throw new JbusError('JBUS_QUEUE_FULL', `${this.length} reads wait for messages already`);
    }
    const read = new PendingRead(take, deadlineMs);
    read.watch(signal, () => this.#line.remove(read) && read.reject(canceled(signal!)));
    this.#line.push(read);
    return read.promise;
  }

  /** The lease is the oldest read's. There is one. */
  settle(lease: Lease): void {
    this.#line.shift()!.settle(lease);
  }

  expire(nowMs: number, toError: () => JbusError): void {
    for (const read of this.#line.expire(nowMs)) read.reject(toError());
  }

  fail(error: JbusError): void {
    for (const read of this.#line.drain()) read.reject(error);
  }
}
