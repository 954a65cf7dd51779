// The calls a thread has made to others and not had an answer to: each ends exactly once, by its answer,
// its deadline, the caller's signal, the loss of the thread that was called, or the close of the queue.
// task-queue.ts opens and settles them.

import assert from 'node:assert/strict';
import { ReactorError } from './errors.js';
import type { LoopTimers } from './loop-timers.js';
import { TimerNode } from './timer-wheel.js';

export interface CallTarget {
  /** Slot of the called thread, and which incarnation of it. */
  readonly slot: number;
  readonly incarnation: number;
  /** Unique among the calls to this slot. */
  readonly callId: number;
  readonly name: string;
}

export class PendingCalls {
  readonly #timers: LoopTimers;
  readonly #calls: Map<number, PendingCall> = new Map();

  constructor(timers: LoopTimers) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Waits for the answer to a call that has been sent. Rejects with a ReactorError. */
  open(target: CallTarget, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    const key = keyOf(target.slot, target.callId);
    assert(!this.#calls.has(key));
    return new Promise((resolve, reject) => {
      const call = new PendingCall(target, timeoutMs, resolve, reject, (ended) => this.#forget(ended));
      this.#calls.set(key, call);
      this.#timers.schedule(call, timeoutMs);
      if (signal !== undefined) call.watch(signal);
    });
  }

  /** Ends a call with its result; an answer nobody waits for any more is ignored. Returns whether one did. */
  resolve(slot: number, callId: number, value: unknown): boolean {
    const call = this.#calls.get(keyOf(slot, callId));
    call?.resolve(value);
    return call !== undefined;
  }

  /** Ends a call with an error; as `resolve`. */
  reject(slot: number, callId: number, error: ReactorError): boolean {
    const call = this.#calls.get(keyOf(slot, callId));
    call?.reject(error);
    return call !== undefined;
  }

  /** Rejects the calls to every incarnation of `slot` but the one that lives, null for none. */
  rejectLost(slot: number, incarnation: number | null): void {
    for (const call of this.#calls.values()) {
      if (call.target.slot !== slot || call.target.incarnation === incarnation) continue;
      call.reject(
        new ReactorError('REACTOR_THREAD_LOST', `the thread ended before it answered ${call.target.name}`),
      );
    }
  }

  close(): void {
    for (const call of this.#calls.values()) {
      call.reject(new ReactorError('REACTOR_CLOSED', `closed before ${call.target.name} was answered`));
    }
  }

  #forget(call: PendingCall): void {
    this.#timers.cancel(call);
    this.#calls.delete(keyOf(call.target.slot, call.target.callId));
  }
}

class PendingCall extends TimerNode {
  readonly target: CallTarget;
  readonly #timeoutMs: number;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: ReactorError) => void;
  readonly #onEnd: (call: PendingCall) => void;
  #signal: AbortSignal | null = null;

  constructor(
    target: CallTarget,
    timeoutMs: number,
    resolve: (value: unknown) => void,
    reject: (error: ReactorError) => void,
    onEnd: (call: PendingCall) => void,
  ) {
    super();
    this.target = target;
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onEnd = onEnd;
  }

  watch(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort);
  }

  resolve(value: unknown): void {
    this.#end();
    this.#resolve(value);
  }

  reject(error: ReactorError): void {
    this.#end();
    this.#reject(error);
  }

  override onTimer(): void {
    this.reject(
      new ReactorError('REACTOR_TIMEOUT', `no answer to ${this.target.name} within ${this.#timeoutMs} ms`),
    );
  }

  readonly #onAbort = (): void => {
    this.reject(abortedError(this.target.name, this.#signal!));
  };

  #end(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onEnd(this);
  }
}

/** The error of a call or job whose caller cancelled it. */
export function abortedError(name: string, signal: AbortSignal): ReactorError {
  return new ReactorError('REACTOR_ABORTED', `${name} was cancelled by its caller`, { cause: signal.reason });
}

function keyOf(slot: number, callId: number): number {
  return slot * 2 ** 32 + callId;
}
