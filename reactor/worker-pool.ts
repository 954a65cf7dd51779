// Threads for work that would hold up an event loop: functions of one module, run by name beside the reactor.
// Handlers submit jobs from main or from inside a sub-reactor; pool-thread.ts runs them, one per thread.
// Grows to threadsMax while jobs wait, shrinks to threadsMin when threads have been idle for keepAliveMs.
// A thread that dies takes its one job along (REACTOR_THREAD_LOST) and is replaced.

import { availableParallelism } from 'node:os';
import type { ResourceLimits } from 'node:worker_threads';
import { ReactorError } from './errors.js';
import { abortedError } from './pending-calls.js';
import { PoolJob, type SubmitOptions } from './pool-job.js';
import { PoolThread, type PoolThreadOptions, type PoolThreadState } from './pool-thread.js';

export interface WorkerPoolOptions {
  /** Exports the functions: `export default { name: fn }`, or named exports. Called as fn(args, { signal }). */
  module: URL;
  /** Threads kept although idle, and started at once. Default 0. */
  threadsMin?: number;
  /** Threads at most. Default: one per core. */
  threadsMax?: number;
  /** Milliseconds an idle thread above threadsMin lives. Default 30000. */
  keepAliveMs?: number;
  /** Jobs waiting for a thread. Default 1024. */
  queueMax?: number;
  /**
   * What happens to one job more. `refuse`: it rejects with REACTOR_QUEUE_FULL. `drop-oldest`: the job that
   * waits longest does. `wait`: it waits outside the queue until there is room, as waitingMax jobs may.
   * Default 'refuse'.
   */
  full?: 'refuse' | 'wait' | 'drop-oldest';
  /** Jobs that may wait outside a full queue; one more is refused. Default 16384. */
  waitingMax?: number;
  /** Milliseconds a job may take from `submit` to its result; 0 for no limit. Default 0. */
  taskTimeoutMs?: number;
  /** Memory limits of each thread; passing one is the thread's end. Default: Node's. */
  resourceLimits?: ResourceLimits;
  /** Node options of the threads. Default: those of the process. */
  execArgv?: readonly string[];
}

export interface WorkerPoolStats {
  readonly threads: number;
  readonly threadsIdle: number;
  readonly threadsBusy: number;
  /** Threads started since the pool exists. */
  readonly threadsStarted: number;
  /** Threads that ended without being asked to. */
  readonly threadsCrashed: number;
  readonly queued: number;
  /** Jobs waiting outside a full queue. */
  readonly waiting: number;
  readonly submitted: number;
  readonly completed: number;
  /** Jobs whose function threw, does not exist, or died with its thread. */
  readonly failed: number;
  /** Jobs refused or dropped because the queue was full. */
  readonly refused: number;
  /** Jobs that ended by their signal or deadline. */
  readonly cancelled: number;
}

type Settings = Required<Omit<WorkerPoolOptions, 'module' | 'resourceLimits' | 'execArgv'>>;

const DEFAULTS: Settings = {
  threadsMin: 0,
  threadsMax: availableParallelism(),
  keepAliveMs: 30_000,
  queueMax: 1024,
  full: 'refuse',
  waitingMax: 16_384,
  taskTimeoutMs: 0,
};
const CLOSE_DEADLINE_MS = 10_000;

export class WorkerPool {
  readonly #settings: Settings;
  readonly #threadOptions: PoolThreadOptions;
  readonly #threads: Set<PoolThread> = new Set();
  /** Idle threads, the most recently used last, each with the timer that ends it. */
  readonly #idle: Map<PoolThread, NodeJS.Timeout> = new Map();
  readonly #busy: Map<PoolJob, PoolThread> = new Map();
  /** Oldest first; keyed, so that cancelling one is not a search. */
  readonly #queue: Map<number, PoolJob> = new Map();
  readonly #waiting: Map<number, PoolJob> = new Map();
  readonly #counts = {
    threadsStarted: 0,
    threadsCrashed: 0,
    submitted: 0,
    completed: 0,
    failed: 0,
    refused: 0,
    cancelled: 0,
  };
  #closing: Promise<void> | null = null;
  #onChange: (() => void) | null = null;

  /** @throws ReactorError REACTOR_OPTION_INVALID */
  constructor(options: WorkerPoolOptions) {
    this.#settings = checked({ ...DEFAULTS, ...options });
    this.#threadOptions = options;
    for (let count = 0; count < this.#settings.threadsMin; count += 1) this.#startThread();
  }

  stats(): WorkerPoolStats {
    return {
      threads: this.#threads.size,
      threadsIdle: this.#idle.size,
      threadsBusy: this.#busy.size,
      queued: this.#queue.size,
      waiting: this.#waiting.size,
      ...this.#counts,
    };
  }

  /**
   * Runs the module's function `name` on a thread of the pool. `args` is one structured-cloneable value,
   * cloned when the job starts: leave it alone until then. Every failure is a rejection with a
   * ReactorError: REACTOR_QUEUE_FULL, REACTOR_UNKNOWN_TASK, REACTOR_TASK_FAILED (or the function's own
   * reactor code), REACTOR_ABORTED, REACTOR_TIMEOUT, REACTOR_THREAD_LOST, REACTOR_HANDLERS_INVALID (the
   * module cannot be loaded), REACTOR_OPTION_INVALID (not cloneable), REACTOR_CLOSED.
   */
  async submit(name: string, args?: unknown, options: SubmitOptions = {}): Promise<unknown> {
    if (this.#closing !== null) throw new ReactorError('REACTOR_CLOSED', 'the worker pool is closed');
    if (options.signal?.aborted === true) throw abortedError(name, options.signal);
    const queue = this.#queueForOneMore(name);
    this.#counts.submitted += 1;
    const timeoutMs = options.timeoutMs ?? this.#settings.taskTimeoutMs;
    const jobOptions = { ...options, timeoutMs };
    const job = new PoolJob(this.#counts.submitted, name, args, jobOptions, (cancelled) =>
      this.#cancel(cancelled),
    );
    queue.set(job.id, job);
    this.#dispatch();
    return this.#outcomeOf(job);
  }

  /**
   * Takes no more jobs, lets those it has finish, and ends the threads. Jobs that have not ended after
   * `deadlineMs` (default 10000) reject with REACTOR_CLOSED and their threads are killed. Idempotent.
   */
  close(options: { deadlineMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#finish(options.deadlineMs ?? CLOSE_DEADLINE_MS);
    return this.#closing;
  }

  async #finish(deadlineMs: number): Promise<void> {
    const timer = setTimeout(() => this.#giveUp(), deadlineMs);
    await this.#until(() => this.#queue.size + this.#waiting.size + this.#busy.size === 0);
    clearTimeout(timer);
    for (const thread of this.#threads) thread.end();
    await this.#until(() => this.#threads.size === 0);
  }

  async #outcomeOf(job: PoolJob): Promise<unknown> {
    try {
      const value = await job.result;
      this.#counts.completed += 1;
      return value;
    } catch (error) {
      const { code } = error as ReactorError; // jobs reject with nothing else
      if (code === 'REACTOR_ABORTED' || code === 'REACTOR_TIMEOUT') this.#counts.cancelled += 1;
      else if (code === 'REACTOR_QUEUE_FULL') this.#counts.refused += 1;
      else this.#counts.failed += 1;
      throw error;
    }
  }

  /** Where one more job waits, which may cost another its place. */
  #queueForOneMore(name: string): Map<number, PoolJob> {
    const { queueMax, waitingMax, full } = this.#settings;
    if (this.#queue.size < queueMax) return this.#queue;
    if (full === 'drop-oldest') {
      const [oldest] = this.#queue.values();
      this.#queue.delete(oldest!.id);
      oldest!.reject(new ReactorError('REACTOR_QUEUE_FULL', `${oldest!.name} was dropped for a newer job`));
      return this.#queue;
    }
    if (full === 'wait' && this.#waiting.size < waitingMax) return this.#waiting;
    this.#counts.refused += 1;
    throw new ReactorError(
      'REACTOR_QUEUE_FULL',
      `${this.#queue.size} jobs already wait for a thread: ${name} refused`,
    );
  }

  /** Gives waiting jobs to idle threads, and starts threads for those that remain. */
  #dispatch(): void {
    while (this.#queue.size > 0 && this.#idle.size > 0) this.#run(this.#takeJob(), this.#takeIdle());
    let starting = this.#count('starting');
    while (starting < this.#queue.size && this.#threads.size < this.#settings.threadsMax) {
      this.#startThread();
      starting += 1;
    }
  }

  #run(job: PoolJob, thread: PoolThread): void {
    try {
      thread.run(job);
      job.state = 'running';
      this.#busy.set(job, thread);
    } catch (error) {
      job.reject(error as ReactorError); // run throws nothing else
      this.#keepIdle(thread);
    }
  }

  #takeJob(): PoolJob {
    const job = takeFirst(this.#queue);
    if (this.#waiting.size > 0) {
      const next = takeFirst(this.#waiting);
      this.#queue.set(next.id, next);
    }
    return job;
  }

  /** The thread used last, so that those not needed stay idle long enough to end. */
  #takeIdle(): PoolThread {
    const thread = [...this.#idle.keys()].at(-1)!;
    clearTimeout(this.#idle.get(thread));
    this.#idle.delete(thread);
    return thread;
  }

  #keepIdle(thread: PoolThread): void {
    const timer = setTimeout(() => this.#retire(thread), this.#settings.keepAliveMs);
    timer.unref();
    this.#idle.set(thread, timer);
  }

  #retire(thread: PoolThread): void {
    if (this.#threads.size - this.#count('ending') <= this.#settings.threadsMin) return; // its next rest counts anew
    this.#forgetIdle(thread);
    thread.end();
  }

  #startThread(): void {
    this.#counts.threadsStarted += 1;
    const thread = new PoolThread(this.#threadOptions, {
      onIdle: (idle) => {
        this.#endBusy(idle);
        this.#keepIdle(idle);
        this.#dispatch();
        this.#onChange?.();
      },
      onUnusable: (_, error) => this.#failQueue(error),
      onEnd: (ended, job, error) => this.#onThreadEnd(ended, job, error),
    });
    this.#threads.add(thread);
  }

  #onThreadEnd(thread: PoolThread, job: PoolJob | null, error: Error | null): void {
    this.#threads.delete(thread);
    this.#forgetIdle(thread);
    this.#endBusy(thread);
    if (job !== null && job.state !== 'ended') {
      const message = `the thread ended while it ran ${job.name}`;
      job.reject(new ReactorError('REACTOR_THREAD_LOST', message, { cause: error }));
    }
    if (!thread.wasAsked) this.#counts.threadsCrashed += 1;
    if (!thread.wasAsked && !thread.wasReady) this.#onStartFailure(error);
    else this.#replace(thread);
    this.#onChange?.();
  }

  /** One that died without ever having had a job would only die again: then the next job starts another. */
  #replace(thread: PoolThread): void {
    const { threadsMin } = this.#settings;
    if (thread.hasServed && this.#closing === null && this.#threads.size < threadsMin) this.#startThread();
    this.#dispatch();
  }

  /** Jobs go on waiting only while some other thread can take them. */
  #onStartFailure(error: Error | null): void {
    for (const thread of this.#threads) if (thread.wasReady) return;
    this.#failQueue(startFailure(error));
  }

  #failQueue(error: ReactorError): void {
    while (this.#queue.size > 0) this.#takeJob().reject(error);
    this.#onChange?.();
  }

  #cancel(job: PoolJob): void {
    if (this.#queue.delete(job.id) && this.#waiting.size > 0) {
      const next = takeFirst(this.#waiting);
      this.#queue.set(next.id, next);
    }
    this.#waiting.delete(job.id);
    this.#busy.get(job)?.cancel(job);
    this.#onChange?.();
  }

  #giveUp(): void {
    const error = new ReactorError('REACTOR_CLOSED', 'the worker pool closed before the job ended');
    for (const job of this.#waiting.values()) job.reject(error);
    this.#waiting.clear();
    for (const job of this.#queue.values()) job.reject(error);
    this.#queue.clear();
    for (const [job, thread] of this.#busy) {
      job.reject(error);
      thread.end();
    }
    this.#onChange?.();
  }

  #endBusy(thread: PoolThread): void {
    for (const [job, runner] of this.#busy) if (runner === thread) this.#busy.delete(job);
  }

  #forgetIdle(thread: PoolThread): void {
    clearTimeout(this.#idle.get(thread));
    this.#idle.delete(thread);
  }

  #count(state: PoolThreadState): number {
    let count = 0;
    for (const thread of this.#threads) if (thread.state === state) count += 1;
    return count;
  }

  /** Waits for a condition that only jobs and threads can bring about. */
  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return;
        this.#onChange = null;
        resolve();
      };
      this.#onChange = check;
      check();
    });
  }
}

function checked(settings: Settings): Settings {
  const { threadsMin, threadsMax, queueMax, waitingMax } = settings;
  if (!(threadsMax >= 1 && threadsMin >= 0 && threadsMin <= threadsMax)) {
    throw new ReactorError(
      'REACTOR_OPTION_INVALID',
      `threadsMin ${threadsMin} and threadsMax ${threadsMax} leave no pool`,
    );
  }
  if (!(queueMax >= 1 && waitingMax >= 0)) {
    throw new ReactorError(
      'REACTOR_OPTION_INVALID',
      `queueMax is ${queueMax}, waitingMax ${waitingMax}: jobs need room`,
    );
  }
  return settings;
}

function startFailure(cause: Error | null): ReactorError {
  const reason = cause?.message ?? 'it ended by itself';
  return new ReactorError(
    'REACTOR_HANDLERS_INVALID',
    `a thread of the worker pool did not start: ${reason}`,
    { cause },
  );
}

function takeFirst(jobs: Map<number, PoolJob>): PoolJob {
  const [job] = jobs.values();
  jobs.delete(job!.id);
  return job!;
}
