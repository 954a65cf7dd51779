// One asynchronous operation of a channel: its promise, its deadline and its signal.
// It stands in a WaitingLine; who takes it out settles it, once, and the signal is let go with that.

import { JbusError } from './errors.js';
import type { Outgoing } from './channel-output.js';
import type { Waiter } from './waiting-line.js';

export class Pending<T> implements Waiter {
  readonly promise: Promise<T>;
  readonly deadlineMs: number;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: JbusError) => void;
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
    let settle: [(value: T) => void, (error: JbusError) => void] | undefined;
    this.promise = new Promise((resolve, reject) => {
      settle = [resolve, reject];
    });
    [this.#resolve, this.#reject] = settle!; // the executor has run
  }

  /** Calls back when the signal fires before this is settled. */
  watch(signal: AbortSignal | undefined, onAbort: () => void): void {
    if (signal === undefined) return;
    this.#signal = signal;
    this.#onAbort = onAbort;
    signal.addEventListener('abort', onAbort);
  }

  resolve(value: T): void {
    this.#unwatch();
    this.#resolve(value);
  }

  reject(error: JbusError): void {
    this.#unwatch();
    this.#reject(error);
  }

  #unwatch(): void {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onAbort = undefined;
  }
}

/** Resolves to the message's id. The bytes are the channel's until then. */
export class PendingWrite extends Pending<number> implements Outgoing {
  readonly type: number;
  readonly msgId: number;
  readonly data: Uint8Array;
  written = 0;

  constructor(type: number, msgId: number, data: Uint8Array, deadlineMs: number) {
    super(deadlineMs);
    this.type = type;
    this.msgId = msgId;
    this.data = data;
  }
}

export function canceled(signal: AbortSignal): JbusError {
  return new JbusError('JBUS_CANCELED', 'the caller canceled', { cause: signal.reason });
}
