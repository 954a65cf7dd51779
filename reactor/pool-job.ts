// One job of a worker pool: what to run, and the promise that ends exactly once, whatever happens first.
// worker-pool.ts queues jobs and hands them to pool-thread.ts. A job that has ended may still be running
// on its thread, when nobody asked for the thread to be killed.

import { ReactorError } from './errors.js';
import { abortedError } from './pending-calls.js';

export interface SubmitOptions {
  /** Cancels the job: REACTOR_ABORTED. A running function is told through its own AbortSignal. */
  signal?: AbortSignal;
  /** Milliseconds from `submit` to REACTOR_TIMEOUT, waiting included; 0 for no limit. Default taskTimeoutMs. */
  timeoutMs?: number;
  /** Moved to the thread instead of copied, as in postMessage. Moved when the job starts, not before. */
  transfer?: readonly ArrayBuffer[];
  /** Kills the thread of a running job that is cancelled or late, since a busy one hears no signal. Default false. */
  terminate?: boolean;
}

export type JobState = 'queued' | 'running' | 'ended';

export class PoolJob {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
  readonly transfer: readonly ArrayBuffer[];
  readonly terminate: boolean;
  readonly result: Promise<unknown>;
  state: JobState = 'queued';
  readonly #signal: AbortSignal | undefined;
  readonly #onCancel: (job: PoolJob) => void;
  #timer: NodeJS.Timeout | null = null;
  #fulfil!: (value: unknown) => void;
  #fail!: (error: ReactorError) => void;

  /** `onCancel` is called once if the job ends by its signal or its deadline; `state` is still what it was. */
  constructor(
    id: number,
    name: string,
    args: unknown,
    options: Required<Pick<SubmitOptions, 'timeoutMs'>> & SubmitOptions,
    onCancel: (job: PoolJob) => void,
  ) {
    this.id = id;
    this.name = name;
    this.args = args;
    this.transfer = options.transfer ?? [];
    this.terminate = options.terminate ?? false;
    this.#signal = options.signal;
    this.#onCancel = onCancel;
    this.result = new Promise((resolve, reject) => {
      this.#fulfil = resolve;
      this.#fail = reject;
    });
    this.#signal?.addEventListener('abort', this.#onAbort);
    if (options.timeoutMs > 0)
      this.#timer = setTimeout(() => this.#onTimeout(options.timeoutMs), options.timeoutMs);
  }

  /** Ends the job with its result; false when it had ended before. */
  resolve(value: unknown): boolean {
    if (!this.#end()) return false;
    this.#fulfil(value);
    return true;
  }

  /** Ends the job with an error; as `resolve`. */
  reject(error: ReactorError): boolean {
    if (!this.#end()) return false;
    this.#fail(error);
    return true;
  }

  readonly #onAbort = (): void => {
    this.#cancel(abortedError(this.name, this.#signal!));
  };

  #onTimeout(timeoutMs: number): void {
    this.#cancel(new ReactorError('REACTOR_TIMEOUT', `${this.name} took longer than ${timeoutMs} ms`));
  }

  #cancel(error: ReactorError): void {
    this.#onCancel(this);
    this.reject(error);
  }

  #end(): boolean {
    if (this.state === 'ended') return false;
    this.state = 'ended';
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    return true;
  }
}
