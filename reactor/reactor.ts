// The main reactor: owns the sub-reactors, keeps them alive, and spreads connections over them.
// TcpServer and HttpServer attach their services to one; several servers may share it.
// With threads: 0 the one sub-reactor runs on the calling thread and nothing else is started.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { type MessagePort, Worker } from 'node:worker_threads';

import { type Addon, addonMissingReason, loadAddon } from '../addon/index.js';
import { Backoff, type BackoffOptions } from './backoff.js';
import { BufferPool, type BufferPoolOptions } from './buffer-pool.js';
import { createDispatch, type DispatchPolicy } from './dispatch.js';
import { ReactorError } from './errors.js';
import { EventLoop } from './event-loop.js';
import { HandOff } from './hand-off.js';
import { DRAIN_TIMEOUT_MS, poolBytesMaxDefault, THREAD_START_TIMEOUT_MS } from './limits.js';
import type { Logger } from './logger.js';
import { mergeSamples, type RequestSample } from './request-sample.js';
import { Listener, type ListenerOptions } from './listener.js';
import { NODE_HAS_REUSE_PORT } from './listening-socket.js';
import type { ServiceSpec } from './service.js';
import { SharedBudget } from './shared-budget.js';
import {
  CONNECTIONS_CLOSED,
  CONNECTIONS_OPEN,
  CONNECTIONS_REFUSED,
  SharedCounters,
  THREAD_RESTARTS,
} from './shared-counters.js';
import { SharedOccupancy } from './shared-occupancy.js';
import type { WorkerStart } from './sub-reactor.worker.js';
import { SubReactor, TASKS, type TroubleReport } from './sub-reactor.js';
import { ThreadGauges } from './thread-gauges.js';
import { ThreadMesh } from './thread-mesh.js';

/** How bytes travel. 'net' is node:net and runs everywhere. */
export type TransportName = 'net';
export const TRANSPORTS: readonly TransportName[] = ['net'];

/**
 * Who accepts. 'master': the main thread, which gives each connection to the thread that `dispatch` names.
 * 'reuseport': every sub-reactor on a socket of its own, the kernel spreads by a hash of the addresses.
 * 'shared': every sub-reactor on one common socket, whoever is first.
 */
export type AcceptMode = 'master' | 'reuseport' | 'shared';
export const ACCEPT_MODES: readonly AcceptMode[] = ['master', 'reuseport', 'shared'];

export interface ReactorOptions {
  /** Sub-reactors, one thread each; 0 runs everything on the calling thread. Default: one per processor. */
  threads?: number;
  /** Default 'master'. */
  accept?: AcceptMode;
  /** For 'master'. Default 'round-robin'. */
  dispatch?: DispatchPolicy;
  /** Default 'net'. */
  transport?: TransportName;
  /** Ties sub-reactor i to processor i modulo their number. Default false. */
  pin?: boolean;
  /** Bytes the buffer pools of all threads may own. Default 5 GiB or a quarter of memory, the smaller. */
  poolBytesMax?: number;
  pool?: BufferPoolOptions;
  /** Waits before a sub-reactor that ended is started again. Default 100 ms doubling to 10 s, jittered. */
  restartBackoff?: BackoffOptions;
  /** Where troubles are told. Default: nowhere; every one is counted all the same. */
  logger?: Logger;
}

export interface ThreadStatus {
  readonly thread: number;
  readonly state: 'up' | 'starting' | 'down';
  readonly connections: number;
  readonly restarts: number;
}

interface ThreadSlot {
  readonly thread: number;
  readonly backoff: Backoff;
  worker: Worker | null;
  state: 'up' | 'starting' | 'down';
  restarts: number;
  startedMs: number;
}

/** A worker that lived this long starts its next backoff small again. */
const STABLE_MS = 10_000;
const RESTART_BACKOFF: BackoffOptions = { firstMs: 100, capMs: 10_000 };

export class Reactor {
  readonly accept: AcceptMode;
  readonly transport: TransportName;
  /** Sub-reactors that run beside the calling thread; 0 when it runs the only one itself. */
  readonly threads: number;
  readonly counters: SharedCounters;
  readonly occupancy: SharedOccupancy;
  /** Null where it is not built: then only one thread accepts and serves. */
  readonly addon: Addon | null = loadAddon();
  readonly #options: ReactorOptions;
  readonly #mesh: ThreadMesh;
  readonly #budget: SharedBudget;
  readonly #pool: BufferPool;
  readonly #loop: EventLoop;
  readonly #gauges: ThreadGauges;
  readonly #adopted: SharedArrayBuffer;
  readonly #handOff: HandOff | null;
  readonly #slots: ThreadSlot[];
  readonly #inline: SubReactor | null;
  readonly #listeners = new Map<number, Listener>();
  #nextServiceId = 1;
  #starting: Promise<void> | null = null;
  #closing: Promise<{ drained: boolean }> | null = null;

  /** Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING */
  constructor(options: ReactorOptions = {}) {
    this.#options = options;
    this.accept = choice('accept', options.accept ?? 'master', ACCEPT_MODES);
    this.transport = choice('transport', options.transport ?? 'net', TRANSPORTS);
    this.threads = this.#threadCount();
    const slotCount = Math.max(1, this.threads);
    this.counters = SharedCounters.create(slotCount);
    this.occupancy = SharedOccupancy.create(slotCount);
    this.#adopted = new SharedArrayBuffer(slotCount * Int32Array.BYTES_PER_ELEMENT);
    this.#budget = SharedBudget.create(options.poolBytesMax ?? poolBytesMaxDefault(), slotCount + 1);
    this.#pool = new BufferPool(this.threads === 0 ? (options.pool ?? {}) : {}, slotCount, this.#budget);
    this.#mesh = ThreadMesh.create({ threads: this.threads });
    this.#loop = new EventLoop(this.#mesh.seat, this.#pool, undefined, {
      onTaskError: (error) => this.troubled(error),
    });
    this.#gauges = new ThreadGauges(this.#loop, this.counters.row('main'));
    this.#loop.register(TASKS.trouble, (report) => this.#logTrouble(report as TroubleReport));
    const dispatch = createDispatch(options.dispatch ?? 'round-robin');
    this.#handOff =
      this.addon === null || this.threads === 0
        ? null
        : new HandOff(this.addon, this.#loop, this.occupancy, new Int32Array(this.#adopted), dispatch, {
            refused: (error) => this.#refused(error),
            troubled: (error) => this.troubled(error),
          });
    this.#inline =
      this.threads > 0
        ? null
        : new SubReactor(this.#loop, {
            thread: 0,
            counters: this.counters.row(0),
            occupancy: this.occupancy,
            adopted: new Int32Array(this.#adopted),
            incarnation: 0,
          });
    this.#slots = Array.from({ length: this.threads }, (_, thread) => ({
      thread,
      backoff: new Backoff(Math.random, { ...RESTART_BACKOFF, ...options.restartBackoff }),
      worker: null,
      state: 'down',
      restarts: 0,
      startedMs: 0,
    }));
  }

  /** The loop of the calling thread: reaches every sub-reactor by `post`, `call` and `broadcast`. */
  get loop(): EventLoop {
    return this.#loop;
  }

  /** The main reactor's side of the hand-off; null when no thread but this one serves. @internal */
  get handOff(): HandOff | null {
    return this.#handOff;
  }

  /** The sub-reactor of this thread; null when others serve. @internal */
  get inline(): SubReactor | null {
    return this.#inline;
  }

  get isClosing(): boolean {
    return this.#closing !== null;
  }

  get threadStatus(): readonly ThreadStatus[] {
    if (this.#inline !== null) {
      return [{ thread: 0, state: 'up', connections: this.occupancy.openOn(0), restarts: 0 }];
    }
    return this.#slots.map(({ thread, state, restarts }) => ({
      thread,
      state,
      connections: this.occupancy.openOn(thread),
      restarts,
    }));
  }

  /** Sub-reactors that run and have their services. */
  get threadsUp(): readonly number[] {
    return this.#slots.filter(({ state }) => state === 'up').map(({ thread }) => thread);
  }

  /** Starts the sub-reactors; `listen` of any server does it for you. Idempotent. */
  start(): Promise<void> {
    // Between the end of the only thread and its restart nothing else may be there to keep the process alive.
    if (this.#starting === null && this.threads > 0) this.#loop.ref();
    this.#starting ??= Promise.all(this.#slots.map((slot) => this.#startThread(slot))).then(() => {});
    return this.#starting;
  }

  /**
   * Brings a service up on every thread and starts to accept for it.
   * @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_CLOSED
   * @internal servers call it
   */
  async attach(options: ListenerOptions, makeSpec: (serviceId: number) => ServiceSpec): Promise<Listener> {
    this.#checkOpen();
    await this.start();
    const spec = makeSpec(this.#nextServiceId);
    this.#nextServiceId += 1;
    const listener = new Listener(this, options, spec);
    try {
      await listener.bind();
      this.#checkOpen();
      this.#listeners.set(spec.id, listener); // from here on threads that start look after it
      await listener.open();
      this.#checkOpen();
    } catch (error) {
      this.#listeners.delete(spec.id);
      await listener.close(0);
      throw error;
    }
    return listener;
  }

  /** Drains and removes one service. Resolves to how many connections were cut off. @internal */
  async detach(listener: Listener, deadlineMs: number): Promise<number> {
    if (!this.#listeners.delete(listener.spec.id)) return 0;
    return await listener.close(deadlineMs);
  }

  /**
   * Loads every handler module anew on every thread; connections and listeners stay as they are.
   * @throws ReactorError REACTOR_HANDLERS_INVALID when any thread could not: that thread keeps its old code.
   */
  async reload(): Promise<void> {
    await Promise.all([...this.#listeners.values()].map((listener) => listener.reload()));
  }

  /**
   * Stops accepting, lets handlers finish and output drain until `drainTimeoutMs` (default 10 s), closes the
   * rest and ends the threads. `drained` is false when connections had to be cut off. Idempotent.
   */
  close(options: { drainTimeoutMs?: number } = {}): Promise<{ drained: boolean }> {
    this.#closing ??= this.#close(options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS);
    return this.#closing;
  }

  /** Brings the gauges of every thread's counters up to date. Threads that do not answer keep their old ones. */
  async refresh(): Promise<void> {
    // Without threads this loop is sub-reactor 0's as well, whose row tells it already.
    if (this.#inline === null) this.#gauges.refresh();
    await this.onEveryThread((thread) =>
      this.#loop.call(thread, TASKS.refresh, undefined, { timeoutMs: 1000 }),
    );
  }

  /** A uniform sample of recent requests over all threads. */
  async sampleRequests(): Promise<RequestSample> {
    const samples: RequestSample[] = [];
    await this.onEveryThread(async (thread) => {
      samples.push(
        (await this.#loop.call(thread, TASKS.sample, undefined, { timeoutMs: 1000 })) as RequestSample,
      );
    });
    return mergeSamples(Math.random, samples);
  }

  /** Runs `task` for each sub-reactor that is up; one that fails is logged and does not stop the others. */
  async onEveryThread(task: (thread: number) => Promise<unknown>): Promise<void> {
    const up = this.#inline === null ? this.threadsUp : [0];
    const results = await Promise.allSettled(up.map((thread) => task(thread)));
    for (const result of results) if (result.status === 'rejected') this.log('warn', result.reason);
  }

  /** Counts and logs an error of the main reactor that was dealt with. @internal */
  troubled(error: ReactorError): void {
    this.counters.row('main').countError(error.code);
    this.log('warn', error);
  }

  /** @internal */
  log(level: 'info' | 'warn' | 'error', error: unknown, fields: object = {}): void {
    const { code, message } = error as { code?: string; message?: string };
    this.#options.logger?.[level]({ code, ...fields }, message ?? String(error));
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ReactorError('REACTOR_CLOSED', 'the reactor is closed');
  }

  /** @throws ReactorError when it did not come up; its restart is arranged already. */
  async #startThread(slot: ThreadSlot): Promise<void> {
    const { thread } = slot;
    assert(slot.state === 'down');
    slot.state = 'starting';
    slot.startedMs = performance.now();
    this.#budget.forget(thread);
    const { seatData, transferList } = this.#mesh.connect(thread);
    const start: WorkerStart = {
      thread,
      incarnation: this.#handOff?.threadStarting(thread) ?? 0,
      mesh: seatData,
      budget: this.#budget.buffer,
      counters: this.counters.shared,
      occupancy: this.occupancy.shared,
      adopted: this.#adopted,
      pool: this.#options.pool ?? {},
      name: `reactor-${thread}`,
      cpus: this.#options.pin === true ? [thread % availableParallelism()] : [],
    };
    const worker = this.#createWorker(slot, start, transferList);
    slot.worker = worker;
    worker.on('error', (error) => this.log('error', error, { thread }));
    const exited = new Promise<never>((_, reject) => {
      worker.once('exit', (exitCode) => {
        this.#threadEnded(slot, `ended with ${exitCode}`);
        reject(lostWhileStarting(thread, `ended with ${exitCode}`));
      });
    });
    try {
      await Promise.race([this.#prepareThread(slot), exited]);
    } catch (error) {
      if (slot.worker === worker) await worker.terminate(); // it runs but cannot serve
      throw error;
    }
  }

  #createWorker(slot: ThreadSlot, start: WorkerStart, transferList: readonly MessagePort[]): Worker {
    try {
      return new Worker(new URL('./sub-reactor.worker.js', import.meta.url), {
        workerData: start,
        transferList: [...transferList],
        execArgv: [],
        name: start.name,
      });
    } catch (cause) {
      const reason = `cannot be started: ${(cause as Error).message}`;
      this.#threadEnded(slot, reason);
      throw lostWhileStarting(slot.thread, reason);
    }
  }

  /** Gives a new thread its services; from then on it takes connections. */
  async #prepareThread(slot: ThreadSlot): Promise<void> {
    const { thread } = slot;
    await this.#loop.call(thread, TASKS.refresh, undefined, { timeoutMs: THREAD_START_TIMEOUT_MS });
    for (;;) {
      // Looked for anew each time: servers come, go and reload while this one is being brought up.
      const next = [...this.#listeners.values()].find((listener) => !listener.isOpenOn(thread));
      if (next === undefined) break;
      await this.#openOn(next, thread);
    }
    slot.state = 'up';
    this.#handOff?.threadUp(thread);
  }

  async #openOn(listener: Listener, thread: number): Promise<void> {
    const isWanted = (): boolean => this.#listeners.has(listener.spec.id);
    try {
      await listener.openOn(thread);
    } catch (error) {
      if (isWanted()) throw error;
    }
    if (!isWanted()) await listener.closeOn(thread, 0);
  }

  #threadEnded(slot: ThreadSlot, how: string): void {
    const { thread } = slot;
    slot.worker = null;
    slot.state = 'down';
    this.#mesh.lost(thread);
    for (const listener of this.#listeners.values()) listener.forget(thread);
    const lost = this.occupancy.openOn(thread);
    if (this.#handOff === null) this.occupancy.forget(thread);
    else this.#handOff.threadDown(thread);
    const { values } = this.counters.row(thread);
    values[CONNECTIONS_CLOSED]! += values[CONNECTIONS_OPEN]!;
    this.counters.resetGauges(thread);
    this.#budget.forget(thread);
    if (this.#closing !== null) return;
    values[THREAD_RESTARTS]! += 1;
    slot.restarts += 1;
    if (performance.now() - slot.startedMs > STABLE_MS) slot.backoff.reset();
    const delayMs = slot.backoff.nextDelayMs();
    const error = new ReactorError('REACTOR_THREAD_LOST', `sub-reactor ${thread} ${how}`);
    this.counters.row('main').countError(error.code);
    this.log('error', error, { thread, connectionsLost: lost, restartInMs: delayMs });
    this.#loop.runAfter(delayMs, () => {
      if (this.#closing !== null) return;
      this.#startThread(slot).catch((startError: unknown) => this.log('error', startError, { thread }));
    });
  }

  async #close(drainTimeoutMs: number): Promise<{ drained: boolean }> {
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    await Promise.all(listeners.map((listener) => listener.stopAccepting()));
    const cut = await Promise.all(listeners.map((listener) => listener.close(drainTimeoutMs)));
    await Promise.all(this.#slots.map((slot) => this.#stopThread(slot)));
    this.#handOff?.close();
    this.#loop.close();
    this.#mesh.close();
    return { drained: cut.every((count) => count === 0) };
  }

  async #stopThread(slot: ThreadSlot): Promise<void> {
    const { worker } = slot;
    if (worker === null) return;
    await worker.terminate();
  }

  /** What a sub-reactor has counted already. */
  #logTrouble(report: TroubleReport): void {
    this.log('warn', report, { thread: report.thread });
  }

  #refused(error: ReactorError): void {
    const row = this.counters.row('main');
    row.values[CONNECTIONS_REFUSED]! += 1;
    row.countError(error.code);
  }

  #threadCount(): number {
    const wanted = this.#options.threads ?? availableParallelism();
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > 256) {
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        `threads must be an integer from 0 to 256, not ${wanted}`,
      );
    }
    if (wanted === 0 || this.addon !== null) return wanted;
    if (NODE_HAS_REUSE_PORT) return wanted; // every thread accepts for itself, through Node
    // No descriptor can be handed over: one thread serves, fewer but whole.
    this.#options.logger?.warn({ threads: wanted }, addonMissingReason() ?? 'the native addon is missing');
    return 0;
  }
}

function lostWhileStarting(thread: number, how: string): ReactorError {
  return new ReactorError('REACTOR_THREAD_LOST', `sub-reactor ${thread} ${how} while starting`);
}

function choice<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new ReactorError(
    'REACTOR_OPTION_INVALID',
    `${name} must be one of ${allowed.join(', ')}, not '${value}'`,
  );
}
