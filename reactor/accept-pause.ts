// When accepting pauses, because descriptors run short or nobody can take more, and when it goes on.
// acceptor.ts and epoll-acceptor.ts ask it after every connection; how to stop and go on is theirs.
// Meanwhile newcomers wait in the kernel's queue instead of being accepted and dropped.

import { constants } from 'node:os';

import { AddonError } from '../addon/index.js';
import { Backoff } from './backoff.js';
import type { DescriptorWatch } from './descriptor-watch.js';
import { ReactorError } from './errors.js';
import type { EventLoop, TimerHandle } from './event-loop.js';
import { ACCEPT_PAUSED, type CounterRow } from './shared-counters.js';

export interface AcceptPauseSink {
  /** As many connections as should wait already do. */
  isFull(): boolean;
  /** Newcomers are to stay in the kernel's queue. */
  stop(): void;
  /** There are descriptors again. */
  goOn(): void;
  /** Accepting stopped; it goes on by itself. */
  troubled(error: ReactorError): void;
}

/** Shape of the waits while descriptors are short. */
const BACKOFF = { firstMs: 20, capMs: 1000 };

const NEAR = 'close to the descriptor limit (ulimit -n): accepting is paused';

export class AcceptPause {
  readonly #loop: EventLoop;
  readonly #counters: CounterRow;
  readonly #watch: DescriptorWatch | null;
  readonly #sink: AcceptPauseSink;
  readonly #backoff: Backoff = new Backoff(Math.random, BACKOFF);
  #retry: TimerHandle | null = null;
  #isClosed = false;

  /** Without a `watch` nothing is foreseen, and nothing goes on by itself. */
  constructor(loop: EventLoop, counters: CounterRow, watch: DescriptorWatch | null, sink: AcceptPauseSink) {
    this.#loop = loop;
    this.#counters = counters;
    this.#watch = watch;
    this.#sink = sink;
  }

  /** One connection was accepted: pauses when it was one of the last that should be. */
  accepted(): void {
    this.#backoff.reset();
    if (this.#watch === null) return;
    if (this.#watch.isScarceAfterAccept()) this.begin(NEAR, undefined);
    else if (this.#sink.isFull()) this.#rest();
  }

  /** Stops accepting until there are descriptors. While it is stopped already this does nothing. */
  begin(message: string, cause: unknown): void {
    if (this.#isClosed || this.#retry !== null) return;
    this.#sink.troubled(new ReactorError('REACTOR_FD_LIMIT', message, { cause }));
    if (this.#watch === null) this.#counters.values[ACCEPT_PAUSED]! += 1;
    else this.#rest(); // without a watch that would lose the queue: newcomers are refused one by one
  }

  /** Tries again when descriptors allow it, after a wait that grows from one time to the next. */
  goOnLater(): void {
    if (this.#isClosed || this.#retry !== null) return;
    this.#retry = this.#loop.runAfter(this.#backoff.nextDelayMs(), () => {
      this.#retry = null;
      if (this.#watch?.isScarce() === true || this.#sink.isFull()) this.goOnLater();
      else this.#sink.goOn();
    });
  }

  /** A burst is no error: nobody is told. */
  #rest(): void {
    if (this.#isClosed || this.#retry !== null) return;
    this.#counters.values[ACCEPT_PAUSED]! += 1;
    this.#sink.stop();
    this.goOnLater();
  }

  /** Accepting has ended; idempotent. */
  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) this.#loop.cancel(this.#retry);
    this.#retry = null;
  }
}

/** Whether a system call failed for want of a descriptor. */
export function isDescriptorShortage(error: unknown): boolean {
  return error instanceof AddonError && isShortageErrno(error.errno);
}

/** The same for a bare errno. */
export function isShortageErrno(errno: number | undefined): boolean {
  return errno === constants.errno.EMFILE || errno === constants.errno.ENFILE;
}
