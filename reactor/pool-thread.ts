// One thread of a worker pool, seen from outside: starting, idle, busy with one job, or gone.
// worker-pool.ts starts threads and gives them jobs; worker-pool.worker.ts is the code inside.
// A thread keeps its process alive only while it has a job.

import assert from 'node:assert/strict';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { ReactorError } from './errors.js';
import type { PoolJob } from './pool-job.js';
import type { FromPoolThread, ToPoolThread } from './worker-pool.worker.js';

export type PoolThreadState = 'starting' | 'idle' | 'busy' | 'ending' | 'ended';

export interface PoolThreadListener {
  /** It can take a job: it has started, or finished the last one. */
  onIdle(thread: PoolThread): void;
  /** Its module cannot be used; the thread ends by itself. */
  onUnusable(thread: PoolThread, error: ReactorError): void;
  /** It is gone, with the job it had; `error` is what it died of, if anything. */
  onEnd(thread: PoolThread, job: PoolJob | null, error: Error | null): void;
}

export interface PoolThreadOptions {
  readonly module: URL;
  readonly resourceLimits?: ResourceLimits;
  readonly execArgv?: readonly string[];
}

export class PoolThread {
  readonly #worker: Worker;
  readonly #listener: PoolThreadListener;
  #state: PoolThreadState = 'starting';
  #wasReady: boolean = false;
  #wasAsked: boolean = false;
  #hasServed: boolean = false;
  #job: PoolJob | null = null;
  #error: Error | null = null;

  constructor(options: PoolThreadOptions, listener: PoolThreadListener) {
    const { module, resourceLimits, execArgv } = options;
    this.#listener = listener;
    this.#worker = new Worker(new URL('worker-pool.worker.js', import.meta.url), {
      workerData: { module: module.href },
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
    });
    this.#worker.on('message', (message: FromPoolThread) => this.#onMessage(message));
    this.#worker.on('messageerror', (error) => this.#onBroken(error));
    this.#worker.on('error', (error) => (this.#error = error));
    this.#worker.once('exit', () => this.#onExit());
  }

  get state(): PoolThreadState {
    return this.#state;
  }

  /** Whether it ever could take a job. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Whether it was ever given a job. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Whether its end was asked for. */
  get wasAsked(): boolean {
    return this.#wasAsked;
  }

  /** @throws ReactorError REACTOR_OPTION_INVALID when the arguments cannot be cloned; the thread stays idle. */
  run(job: PoolJob): void {
    assert(this.#state === 'idle');
    const message: ToPoolThread = { kind: 'run', jobId: job.id, name: job.name, args: job.args };
    try {
      this.#worker.postMessage(message, job.transfer);
    } catch (cause) {
      throw new ReactorError('REACTOR_OPTION_INVALID', `the arguments of ${job.name} cannot be cloned`, {
        cause,
      });
    }
    this.#state = 'busy';
    this.#hasServed = true;
    this.#job = job;
    this.#worker.ref();
  }

  /** Tells the function that its caller has gone, or kills it. */
  cancel(job: PoolJob): void {
    if (this.#job !== job) return;
    if (job.terminate) this.end();
    else this.#worker.postMessage({ kind: 'cancel', jobId: job.id } satisfies ToPoolThread);
  }

  /** Kills the thread whatever it does; `onEnd` follows. */
  end(): void {
    if (this.#state === 'ending' || this.#state === 'ended') return;
    this.#state = 'ending';
    this.#wasAsked = true;
    this.#worker.ref(); // its end is awaited
    void this.#worker.terminate();
  }

  #onMessage(message: FromPoolThread): void {
    if (this.#state === 'ending') return;
    switch (message.kind) {
      case 'ready':
        this.#becomeIdle();
        return;
      case 'unusable':
        this.#listener.onUnusable(this, ReactorError.fromWire(message.error, 'REACTOR_HANDLERS_INVALID'));
        this.end();
        return;
      case 'result':
        this.#takeJob(message.jobId).resolve(message.value);
        this.#becomeIdle();
        return;
      case 'error':
        this.#takeJob(message.jobId).reject(ReactorError.fromWire(message.error));
        this.#becomeIdle();
        return;
      default:
        message satisfies never;
    }
  }

  #takeJob(jobId: number): PoolJob {
    const job = this.#job;
    assert(job !== null && job.id === jobId, 'a thread answers the job it has');
    this.#job = null;
    return job;
  }

  #becomeIdle(): void {
    this.#state = 'idle';
    this.#wasReady = true;
    this.#worker.unref();
    this.#listener.onIdle(this);
  }

  /** An answer that cannot be read leaves its job without one: the thread ends and takes the job along. */
  #onBroken(error: Error): void {
    this.#error = error;
    this.end();
  }

  #onExit(): void {
    const job = this.#job;
    this.#state = 'ended';
    this.#job = null;
    this.#listener.onEnd(this, job, this.#error);
  }
}
