// The dials of one host pool that are under way: their connect timeout, and what becomes of late answers.
// host-pool.ts decides when one is made and hears how it ended, once each, unless it called them off.

import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';
import { instanceName } from './instance-name.js';
import type { PoolTime } from './pool-time.js';
import type { Dial, PoolableConnection } from './poolable.js';

/** @internal */
export interface DialListener<C extends PoolableConnection> {
  /** The dial has become `connection`: its slot is the connection's from here on. */
  dialled(connection: C): void;
  dialFailed(error: RpcError): void;
}

interface Attempt {
  readonly abort: AbortController;
  timer: unknown;
}

export class HostDialler<C extends PoolableConnection> {
  readonly #dial: Dial<C>;
  readonly #time: PoolTime;
  readonly #connectTimeoutMs: number;
  readonly #listener: DialListener<C>;
  readonly #attempts: Set<Attempt> = new Set();

  constructor(dial: Dial<C>, time: PoolTime, connectTimeoutMs: number, listener: DialListener<C>) {
    this.#dial = dial;
    this.#time = time;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#listener = listener;
  }

  /** Dials under way. */
  get size(): number {
    return this.#attempts.size;
  }

  start(instance: Instance): void {
    const attempt: Attempt = { abort: new AbortController(), timer: null };
    this.#attempts.add(attempt); // counts before anything is awaited
    const name = instanceName(instance);
    attempt.timer = this.#time.runAfter(this.#connectTimeoutMs, () => {
      this.#failed(attempt, connectFailed(`${name} did not answer within ${this.#connectTimeoutMs} ms`));
    });
    const dial = async (): Promise<C> => this.#dial(instance, attempt.abort.signal);
    dial().then(
      (connection) => this.#succeeded(attempt, connection, name),
      (error: unknown) => this.#failed(attempt, asConnectError(error, name)),
    );
  }

  /** Calls off all dials; the listener hears nothing of them. Returns how many there were. */
  abortAll(error: RpcError): number {
    const attempts = [...this.#attempts];
    this.#attempts.clear();
    for (const attempt of attempts) {
      this.#time.cancel(attempt.timer);
      attempt.abort.abort(error);
    }
    return attempts.length;
  }

  #succeeded(attempt: Attempt, connection: C, name: string): void {
    if (!this.#attempts.has(attempt)) {
      connection.destroy(connectFailed(`the connection to ${name} came up after it was given up`));
    } else if (!connection.isUsable) {
      const error = connectFailed(`the connection to ${name} ended as soon as it was up`);
      connection.destroy(error);
      this.#failed(attempt, error);
    } else {
      this.#attempts.delete(attempt);
      this.#time.cancel(attempt.timer);
      this.#listener.dialled(connection);
    }
  }

  #failed(attempt: Attempt, error: RpcError): void {
    if (!this.#attempts.delete(attempt)) return;
    this.#time.cancel(attempt.timer);
    attempt.abort.abort(error); // of use when it was the timeout
    this.#listener.dialFailed(error);
  }
}

function asConnectError(error: unknown, name: string): RpcError {
  if (error instanceof RpcError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return connectFailed(`connecting to ${name} failed: ${text}`, error);
}

function connectFailed(message: string, cause?: unknown): RpcError {
  return new RpcError('RPC_CONNECT_FAILED', message, {
    executed: 'no',
    ...(cause === undefined ? {} : { cause }),
  });
}
