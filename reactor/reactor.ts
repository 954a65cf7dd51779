// The main reactor: owns the sub-reactors and the services on them, and gathers their figures.
// TcpServer and HttpServer attach their services to one; several servers may share it. A service's listening is
// listener.ts, a thread's life sub-reactor-thread.ts, and which thread gets a connection hand-off.ts.
// With threads: 0 the one sub-reactor runs on the calling thread and nothing else is started.

import { type Addon, loadAddon, requireAddon } from '../addon/index.js';
import { BufferPool } from './buffer-pool.js';
import { ACCEPTING, EpollTransport } from './epoll-transport.js';
import { ReactorError } from './errors.js';
import { EventLoop } from './event-loop.js';
import { HandOff } from './hand-off.js';
import { DRAIN_TIMEOUT_MS } from './limits.js';
import { Listener, type ListenerOptions } from './listener.js';
import type { Logger } from './logger.js';
import {
  type AcceptMode,
  type ReactorOptions,
  resolveReactorOptions,
  type TransportName,
} from './reactor-options.js';
import { mergeSamples, type RequestSample } from './request-sample.js';
import type { ServiceSpec } from './service.js';
import { SharedBudget } from './shared-budget.js';
import { CONNECTIONS_REFUSED, SharedCounters } from './shared-counters.js';
import { SharedOccupancy } from './shared-occupancy.js';
import { SubReactorThread, type ThreadState } from './sub-reactor-thread.js';
import { SubReactor, TASKS, type TroubleReport } from './sub-reactor.js';
import { ThreadGauges } from './thread-gauges.js';
import { ThreadMesh } from './thread-mesh.js';

export interface ThreadStatus {
  readonly thread: number;
  readonly state: ThreadState;
  readonly connections: number;
  readonly restarts: number;
}

/** Somebody waits for the figures: a thread that is busy for longer is left out. */
const FIGURES_OPTIONS = { timeoutMs: 1000 };

export class Reactor {
  readonly accept: AcceptMode;
  readonly transport: TransportName;
  /** Sub-reactors that run beside the calling thread; 0 when it runs the only one itself. */
  readonly threads: number;
  readonly counters: SharedCounters;
  readonly occupancy: SharedOccupancy;
  /** Null where it is not built: then only one thread accepts and serves. */
  readonly addon: Addon | null = loadAddon();
  /** What this thread accepts with for the others; null on transport 'net' and without threads. @internal */
  readonly acceptTransport: EpollTransport | null;
  readonly #logger: Logger | null;
  readonly #mesh: ThreadMesh;
  readonly #loop: EventLoop;
  readonly #gauges: ThreadGauges;
  readonly #handOff: HandOff | null;
  readonly #threads: readonly SubReactorThread[];
  readonly #inline: SubReactor | null;
  readonly #listeners = new Map<number, Listener>();
  #nextServiceId = 1;
  #starting: Promise<void> | null = null;
  #closing: Promise<{ drained: boolean }> | null = null;

  /** Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING */
  constructor(options: ReactorOptions = {}) {
    const settings = resolveReactorOptions(options, this.addon);
    const { threads, pool } = settings;
    this.#logger = settings.logger;
    this.accept = settings.accept;
    this.transport = settings.transport;
    this.threads = threads;
    this.acceptTransport =
      settings.transport === 'epoll' && settings.accept === 'master' && threads > 0
        ? new EpollTransport(requireAddon(), ACCEPTING)
        : null;
    const slotCount = Math.max(1, threads);
    this.counters = SharedCounters.create(slotCount);
    this.occupancy = SharedOccupancy.create(slotCount);
    const budget = SharedBudget.create(settings.poolBytesMax, slotCount + 1);
    const ownPool = new BufferPool(threads === 0 ? pool : {}, slotCount, budget);
    this.#mesh = ThreadMesh.create({ threads });
    this.#loop = new EventLoop(this.#mesh.seat, ownPool, undefined, {
      onTaskError: (error) => this.troubled(error),
    });
    this.#gauges = new ThreadGauges(this.#loop, this.counters.row('main'));
    this.#loop.register(TASKS.trouble, (report) => this.#logTrouble(report as TroubleReport));
    const adopted = new SharedArrayBuffer(slotCount * Int32Array.BYTES_PER_ELEMENT);
    this.#handOff =
      this.addon === null || threads === 0
        ? null
        : new HandOff(this.addon, this.#loop, this.occupancy, new Int32Array(adopted), settings.dispatch, {
            refused: (error) => this.#refused(error),
            troubled: (error) => this.troubled(error),
          });
    this.#inline =
      threads > 0
        ? null
        : new SubReactor(this.#loop, {
            thread: 0,
            transport: settings.transport,
            spinMicros: settings.spinMicros,
            counters: this.counters.row(0),
            occupancy: this.occupancy,
            adopted: new Int32Array(adopted),
            incarnation: 0,
          });
    const host = {
      loop: this.#loop,
      mesh: this.#mesh,
      budget,
      counters: this.counters,
      occupancy: this.occupancy,
      adopted,
      handOff: this.#handOff,
      isClosing: (): boolean => this.isClosing,
      openServices: (thread: number): Promise<void> => this.#openServices(thread),
      forgetServices: (thread: number): void => this.#forgetServices(thread),
      log: this.log.bind(this),
    };
    this.#threads = Array.from(
      { length: threads },
      (_, thread) => new SubReactorThread(thread, host, settings),
    );
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
    return this.#threads.map(({ thread, state, restarts }) => ({
      thread,
      state,
      connections: this.occupancy.openOn(thread),
      restarts,
    }));
  }

  /** Sub-reactors that run and have their services. */
  get threadsUp(): readonly number[] {
    return this.#threads.filter(({ state }) => state === 'up').map(({ thread }) => thread);
  }

  /** Starts the sub-reactors; `listen` of any server does it for you. Idempotent. */
  start(): Promise<void> {
    // Between the end of the only thread and its restart nothing else may be there to keep the process alive.
    if (this.#starting === null && this.threads > 0) this.#loop.ref();
    this.#starting ??= Promise.all(this.#threads.map((thread) => thread.start())).then(() => {});
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
    await this.onEveryThread((thread) => this.#loop.call(thread, TASKS.refresh, undefined, FIGURES_OPTIONS));
  }

  /** A uniform sample of recent requests over all threads. */
  async sampleRequests(): Promise<RequestSample> {
    const samples: RequestSample[] = [];
    await this.onEveryThread(async (thread) => {
      const sample = await this.#loop.call(thread, TASKS.sample, undefined, FIGURES_OPTIONS);
      samples.push(sample as RequestSample); // what SubReactor registers under that name
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
    this.#logger?.[level]({ code, ...fields }, message ?? String(error));
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ReactorError('REACTOR_CLOSED', 'the reactor is closed');
  }

  /** Looks anew each time: servers come, go and reload while the thread is being brought up. */
  async #openServices(thread: number): Promise<void> {
    for (;;) {
      const next = [...this.#listeners.values()].find((listener) => !listener.isOpenOn(thread));
      if (next === undefined) return;
      await this.#openOn(next, thread);
    }
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

  #forgetServices(thread: number): void {
    for (const listener of this.#listeners.values()) listener.forget(thread);
  }

  async #close(drainTimeoutMs: number): Promise<{ drained: boolean }> {
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    await Promise.all(listeners.map((listener) => listener.stopAccepting()));
    const cut = await Promise.all(listeners.map((listener) => listener.close(drainTimeoutMs)));
    await Promise.all(this.#threads.map((thread) => thread.stop()));
    this.#handOff?.close();
    this.#inline?.close();
    this.acceptTransport?.close();
    this.#loop.close();
    this.#mesh.close();
    return { drained: cut.every((count) => count === 0) };
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
}
