// The event loop of one thread, as handler modules see it: tasks of this thread, timers, tasks across threads.
// The main thread and every sub-reactor construct one on their seat in the mesh; sockets stay with libuv.
// A turn runs what was waiting when it began, within a budget; the rest goes on after sockets had their share.
// Asleep it costs nothing: no timer ticks and nobody is polled.

import type { AsyncResource } from 'node:async_hooks';

import { captureContext } from './async-scope.js';
import type { BufferPool } from './buffer-pool.js';
import { ConnectionTable } from './connection-table.js';
import type { Connection } from './connection.js';
import { ReactorError } from './errors.js';
import { type Clock, LoopTimers, systemClock } from './loop-timers.js';
import type { MeshSeat, ThreadIndex } from './mesh-seat.js';
import {
  type CallOptions,
  type PostOptions,
  TaskQueue,
  type TaskQueueOptions,
  type TaskQueueStats,
} from './task-queue.js';
import { type TaskFunction, isThenable, taskError } from './task-runner.js';
import { TimerNode } from './timer-wheel.js';
import { TurnBudget } from './turn-budget.js';

export interface EventLoopOptions extends TaskQueueOptions {
  /** Tasks one turn may run, from all sources. Default 1024. */
  tasksPerTurnMax?: number;
  /** Milliseconds after which a turn lets sockets have their share. Default 2. */
  turnMsMax?: number;
  /** Tasks of this thread waiting; one more throws REACTOR_QUEUE_FULL. Default 65536. */
  localTasksMax?: number;
  /** Told of every task or timer that threw. Default: process.emitWarning. */
  onTaskError?: (error: ReactorError) => void;
}

export interface EventLoopStats extends TaskQueueStats {
  /** Turns run so far; an idle loop runs none. */
  readonly turns: number;
  /** Tasks waiting here: those of this thread and those of others. */
  readonly tasksWaiting: number;
  readonly timersWaiting: number;
}

/** What `runAfter` and `runEvery` give, for `cancel`. */
export type TimerHandle = TimerNode;

type LocalOptions = Required<Pick<EventLoopOptions, 'localTasksMax' | 'onTaskError'>>;

const TASKS_PER_TURN_MAX = 1024;
const TURN_MS_MAX = 2;
const LOCAL_DEFAULTS: LocalOptions = {
  localTasksMax: 65_536,
  onTaskError: (error) => process.emitWarning(error),
};

export class EventLoop {
  /** Where the thread's buffers come from. */
  readonly pool: BufferPool;
  /** Every connection this thread owns, by its id; an id whose connection has ended finds nothing. */
  readonly connections: ConnectionTable<Connection> = new ConnectionTable();
  /** For owners of many timers, connections above all: one TimerNode each, no handle. */
  readonly timers: LoopTimers;
  readonly #seat: MeshSeat;
  readonly #clock: Clock;
  readonly #options: LocalOptions;
  readonly #queue: TaskQueue;
  readonly #budget: TurnBudget;
  #local: LocalTask[] = [];
  #immediate: NodeJS.Immediate | null = null;
  #isInTurn: boolean = false;
  #turns: number = 0;
  #isClosed: boolean = false;

  /** Takes over `seat` and closes it in the end; the pool stays its owner's. */
  constructor(seat: MeshSeat, pool: BufferPool, clock: Clock = systemClock, options: EventLoopOptions = {}) {
    this.pool = pool;
    this.#seat = seat;
    this.#clock = clock;
    this.#options = { ...LOCAL_DEFAULTS, ...options };
    this.#budget = new TurnBudget(
      clock,
      options.tasksPerTurnMax ?? TASKS_PER_TURN_MAX,
      options.turnMsMax ?? TURN_MS_MAX,
    );
    this.timers = new LoopTimers(clock, (error) => this.#reportFailure('timer', error));
    const host = {
      requestTurn: (): void => this.#requestTurn(),
      onWake: (): void => this.#runTurn(),
      onTaskError: this.#options.onTaskError,
    };
    this.#queue = new TaskQueue(seat, this.timers, host, options);
    this.#queue.start();
    this.#requestTurn(); // what came before this thread lived
  }

  /** This thread's number; 'main' for the thread that owns the sub-reactors. */
  get threadIndex(): ThreadIndex {
    return this.#seat.thread;
  }

  /** Sub-reactors: threads 0 to threadCount - 1. 0: everything runs on main, which answers to 0 too. */
  get threadCount(): number {
    return this.#seat.threads;
  }

  /** Monotonic time in milliseconds. */
  get nowMs(): number {
    return this.#clock.nowMs();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get stats(): EventLoopStats {
    return {
      ...this.#queue.stats,
      turns: this.#turns,
      tasksWaiting: this.#local.length + this.#queue.waiting,
      timersWaiting: this.timers.size,
    };
  }

  /** Runs `task` now: a function cannot cross threads, so its caller is always inside this loop. */
  runInLoop(task: () => void): void {
    task();
  }

  /**
   * Runs `task` in the next turn, after the caller has returned and sockets had their share.
   * @throws ReactorError REACTOR_QUEUE_FULL, REACTOR_CLOSED
   */
  queueInLoop(task: () => unknown): void {
    if (this.#isClosed) throw new ReactorError('REACTOR_CLOSED', 'the event loop is closed');
    if (this.#local.length >= this.#options.localTasksMax) {
      throw new ReactorError('REACTOR_QUEUE_FULL', `${this.#local.length} tasks of this thread already wait`);
    }
    this.#local.push({ task, context: captureContext() });
    this.#requestTurn();
  }

  /** Runs `task` once after at least `delayMs` milliseconds, late by up to one tick (TIMER_TICK_MS). */
  runAfter(delayMs: number, task: () => unknown): TimerHandle {
    const timer = new LoopTimer(this, task, 0);
    timer.begin(delayMs);
    return timer;
  }

  /** Runs `task` every `periodMs` on average; a run that is missed because the thread was busy is left out. */
  runEvery(periodMs: number, task: () => unknown): TimerHandle {
    if (!(periodMs > 0))
      throw new ReactorError('REACTOR_OPTION_INVALID', `periodMs is ${periodMs}, not above 0`);
    const timer = new LoopTimer(this, task, periodMs);
    timer.begin(periodMs);
    return timer;
  }

  /** Stops a timer; false when it has fired or was cancelled. Allowed inside its own task. */
  cancel(timer: TimerHandle): boolean {
    return this.timers.cancel(timer);
  }

  /** See TaskQueue.register. */
  register(name: string, task: TaskFunction): void {
    this.#queue.register(name, task);
  }

  /** See TaskQueue.post. */
  post(thread: ThreadIndex, name: string, payload?: unknown, options?: PostOptions): void {
    this.#queue.post(thread, name, payload, options);
  }

  /** See TaskQueue.call. */
  call(thread: ThreadIndex, name: string, payload?: unknown, options?: CallOptions): Promise<unknown> {
    return this.#queue.call(thread, name, payload, options);
  }

  /** See TaskQueue.broadcast. */
  broadcast(name: string, payload?: unknown, options?: PostOptions): number[] {
    return this.#queue.broadcast(name, payload, options);
  }

  /** Tasks that this thread sent to `thread` and that still wait there. */
  depth(thread: ThreadIndex): number {
    return this.#queue.depth(thread);
  }

  /** Keeps the thread alive while this loop is open, although nothing may be going on. */
  ref(): void {
    this.#queue.setRef(true);
    this.timers.setRef(true);
  }

  /** Lets the thread end when nothing else keeps it alive; so it is from the start. */
  unref(): void {
    this.#queue.setRef(false);
    this.timers.setRef(false);
  }

  /** Stops timers, forgets tasks of this thread, rejects waiting calls (REACTOR_CLOSED). Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#immediate = null;
    this.#local = [];
    this.#queue.close();
    this.timers.close();
  }

  /** @internal Runs user code in the context it was given in; what it throws is reported and stops nothing. */
  runGuarded(what: string, task: () => unknown, context: AsyncResource): void {
    try {
      const result = context.runInAsyncScope(task);
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.#reportFailure(what, error));
    } catch (error) {
      this.#reportFailure(what, error);
    }
  }

  #requestTurn(): void {
    if (this.#immediate !== null || this.#isInTurn || this.#isClosed) return;
    this.#immediate = setImmediate(() => {
      this.#immediate = null;
      this.#runTurn();
    });
  }

  /** Urgent tasks may take half of a turn, tasks of this thread go on to three quarters, normal ones to the end. */
  #runTurn(): void {
    if (this.#isClosed || this.#isInTurn) return;
    this.#isInTurn = true;
    this.#turns += 1;
    try {
      const budget = this.#budget;
      this.#queue.beginTurn();
      budget.begin();
      budget.allow(0.5);
      this.#queue.runLane('urgent', budget);
      budget.allow(0.75);
      this.#runLocal(budget);
      budget.allow(1);
      this.#queue.runLane('normal', budget);
    } finally {
      this.#isInTurn = false;
      if (this.#queue.endTurn() || this.#local.length > 0) this.#requestTurn();
    }
  }

  #runLocal(budget: TurnBudget): void {
    const turn = this.#local;
    if (turn.length === 0) return;
    this.#local = [];
    let ran = 0;
    while (ran < turn.length) {
      const { task, context } = turn[ran]!;
      this.runGuarded('queueInLoop', task, context);
      ran += 1;
      if (budget.spend() || this.#isClosed) break;
    }
    if (ran < turn.length && !this.#isClosed) this.#local = turn.slice(ran).concat(this.#local);
  }

  #reportFailure(what: string, error: unknown): void {
    this.#options.onTaskError(taskError(what, error, 'REACTOR_TASK_FAILED'));
  }
}

/** A task of this thread; `context` is its own. */
interface LocalTask {
  readonly task: () => unknown;
  readonly context: AsyncResource;
}

/** A timer that owns nothing but a function; `periodMs` 0 fires once. */
class LoopTimer extends TimerNode {
  readonly #loop: EventLoop;
  readonly #task: () => unknown;
  readonly #periodMs: number;
  readonly #context: AsyncResource = captureContext();
  #wantedMs: number = 0;

  constructor(loop: EventLoop, task: () => unknown, periodMs: number) {
    super();
    this.#loop = loop;
    this.#task = task;
    this.#periodMs = periodMs;
  }

  begin(delayMs: number): void {
    this.#wantedMs = this.#loop.nowMs + delayMs;
    this.#loop.timers.schedule(this, delayMs);
  }

  override onTimer(): void {
    if (this.#periodMs > 0) this.#scheduleNext(); // first, so that the task may cancel it
    this.#loop.runGuarded('timer', this.#task, this.#context);
  }

  #scheduleNext(): void {
    const { nowMs } = this.#loop;
    const periodsPassed = Math.floor((nowMs - this.#wantedMs) / this.#periodMs);
    this.#wantedMs += this.#periodMs * (periodsPassed + 1);
    this.#loop.timers.schedule(this, this.#wantedMs - nowMs);
  }
}
