// One sub-reactor's thread, seen from outside: started, given its services, missed when it ends, and started
// again with backoff. reactor.ts has one for each thread; sub-reactor.worker.ts is the code inside.
// What a thread that ended still claims in shared memory is forgotten here, before its successor starts.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { type MessagePort, Worker } from 'node:worker_threads';

import { Backoff, type BackoffOptions } from './backoff.js';
import type { BufferPoolOptions } from './buffer-pool.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import type { HandOff } from './hand-off.js';
import { THREAD_STABLE_MS, THREAD_START_TIMEOUT_MS } from './limits.js';
import type { SharedBudget } from './shared-budget.js';
import {
  CONNECTIONS_CLOSED,
  CONNECTIONS_OPEN,
  type SharedCounters,
  THREAD_RESTARTS,
} from './shared-counters.js';
import type { SharedOccupancy } from './shared-occupancy.js';
import type { TransportName } from './reactor-options.js';
import type { WorkerStart } from './sub-reactor.worker.js';
import { TASKS } from './sub-reactor.js';
import type { ThreadMesh } from './thread-mesh.js';

/** 'up': it has its services and takes connections. */
export type ThreadState = 'up' | 'starting' | 'down';

/** What all threads of one reactor share, and what they ask of it. */
export interface ThreadHost {
  readonly loop: EventLoop;
  readonly mesh: ThreadMesh;
  readonly budget: SharedBudget;
  readonly counters: SharedCounters;
  readonly occupancy: SharedOccupancy;
  /** See HandOff. */
  readonly adopted: SharedArrayBuffer;
  readonly handOff: HandOff | null;
  /** Whether a thread that ends now stays down. */
  isClosing(): boolean;
  /** Brings every service up on a thread that has just started. @throws ReactorError */
  openServices(thread: number): Promise<void>;
  /** The thread has ended, and its services with it. */
  forgetServices(thread: number): void;
  log(level: 'error', error: unknown, fields: object): void;
}

export interface SubReactorThreadOptions {
  readonly transport: TransportName;
  readonly spinMicros: number;
  readonly pin: boolean;
  readonly pool: BufferPoolOptions;
  readonly restartBackoff: BackoffOptions;
}

export class SubReactorThread {
  readonly thread: number;
  readonly #host: ThreadHost;
  readonly #options: SubReactorThreadOptions;
  readonly #backoff: Backoff;
  #worker: Worker | null = null;
  #state: ThreadState = 'down';
  #restarts = 0;
  #startedMs = 0;

  /** Starts nothing yet. */
  constructor(thread: number, host: ThreadHost, options: SubReactorThreadOptions) {
    this.thread = thread;
    this.#host = host;
    this.#options = options;
    this.#backoff = new Backoff(Math.random, options.restartBackoff);
  }

  get state(): ThreadState {
    return this.#state;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /**
   * Resolves once it takes connections.
   * @throws ReactorError when it did not come up; its restart is arranged already.
   */
  async start(): Promise<void> {
    assert(this.#state === 'down');
    const { budget, mesh } = this.#host;
    this.#state = 'starting';
    this.#startedMs = performance.now();
    budget.forget(this.thread);
    const { seatData, transferList } = mesh.connect(this.thread);
    const worker = this.#createWorker(this.#workerStart(seatData), transferList);
    this.#worker = worker;
    worker.on('error', (error) => this.#host.log('error', error, { thread: this.thread }));
    const exited = new Promise<never>((_, reject) => {
      worker.once('exit', (exitCode) => {
        this.#ended(`ended with ${exitCode}`);
        reject(this.#lostWhileStarting(`ended with ${exitCode}`));
      });
    });
    try {
      await Promise.race([this.#prepare(), exited]);
    } catch (error) {
      if (this.#worker === worker) await worker.terminate(); // it runs but cannot serve
      throw error;
    }
  }

  /** Ends it at once, whatever it does; the reactor is closing, so nothing follows. */
  async stop(): Promise<void> {
    assert(this.#host.isClosing());
    await this.#worker?.terminate();
  }

  #workerStart(mesh: WorkerStart['mesh']): WorkerStart {
    const { thread } = this;
    const { budget, counters, occupancy, adopted, handOff } = this.#host;
    const { pool, pin, transport, spinMicros } = this.#options;
    return {
      thread,
      transport,
      spinMicros,
      incarnation: handOff?.threadStarting(thread) ?? 0,
      mesh,
      budget: budget.buffer,
      counters: counters.shared,
      occupancy: occupancy.shared,
      adopted,
      pool,
      name: `reactor-${thread}`,
      cpus: pin ? [thread % availableParallelism()] : [],
    };
  }

  #createWorker(start: WorkerStart, transferList: readonly MessagePort[]): Worker {
    try {
      return new Worker(new URL('./sub-reactor.worker.js', import.meta.url), {
        workerData: start,
        transferList: [...transferList],
        execArgv: [],
        name: start.name,
      });
    } catch (cause) {
      const how = `cannot be started: ${(cause as Error).message}`;
      this.#ended(how);
      throw this.#lostWhileStarting(how);
    }
  }

  async #prepare(): Promise<void> {
    const { loop, handOff } = this.#host;
    // Answered once the module of the thread has been evaluated.
    await loop.call(this.thread, TASKS.refresh, undefined, { timeoutMs: THREAD_START_TIMEOUT_MS });
    await this.#host.openServices(this.thread);
    this.#state = 'up';
    handOff?.threadUp(this.thread);
  }

  #ended(how: string): void {
    this.#worker = null;
    this.#state = 'down';
    const connectionsLost = this.#forgetClaims();
    if (this.#host.isClosing()) return;
    this.#restarts += 1;
    if (performance.now() - this.#startedMs > THREAD_STABLE_MS) this.#backoff.reset();
    const restartInMs = this.#backoff.nextDelayMs();
    const { loop, counters } = this.#host;
    const error = new ReactorError('REACTOR_THREAD_LOST', `sub-reactor ${this.thread} ${how}`);
    counters.row(this.thread).values[THREAD_RESTARTS]! += 1;
    counters.row('main').countError(error.code);
    this.#host.log('error', error, { thread: this.thread, connectionsLost, restartInMs });
    loop.runAfter(restartInMs, () => this.#restart());
  }

  /** Takes the thread out of everything that is shared; returns how many connections it had. */
  #forgetClaims(): number {
    const { thread } = this;
    const { mesh, occupancy, handOff, counters, budget } = this.#host;
    mesh.lost(thread);
    this.#host.forgetServices(thread);
    const connections = occupancy.openOn(thread);
    if (handOff === null) occupancy.forget(thread);
    else handOff.threadDown(thread);
    const { values } = counters.row(thread);
    values[CONNECTIONS_CLOSED]! += values[CONNECTIONS_OPEN]!;
    counters.resetGauges(thread);
    budget.forget(thread);
    return connections;
  }

  #restart(): void {
    if (this.#host.isClosing()) return;
    this.start().catch((error: unknown) => this.#host.log('error', error, { thread: this.thread }));
  }

  #lostWhileStarting(how: string): ReactorError {
    return new ReactorError('REACTOR_THREAD_LOST', `sub-reactor ${this.thread} ${how} while starting`);
  }
}
