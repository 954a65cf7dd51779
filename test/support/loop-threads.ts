// Starts a mesh with one event loop per worker and one on this thread, and ends it without a trace.
// What the workers can do is in loop-peer.worker.ts.
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { loadAddon } from '../../addon/index.js';
import { BufferPool } from '../../reactor/buffer-pool.js';
import type { ReactorError } from '../../reactor/errors.js';
import { EventLoop, type EventLoopOptions } from '../../reactor/event-loop.js';
import { systemClock } from '../../reactor/loop-timers.js';
import { SharedBudget } from '../../reactor/shared-budget.js';
import { ThreadMesh, type ThreadMeshOptions } from '../../reactor/thread-mesh.js';
import { until } from './until.js';

const MIB = 1024 * 1024;
const LOG_MAX = 20_000;

export function testPool(): BufferPool {
  return new BufferPool({}, 0, SharedBudget.create(MIB, 1));
}

/** The ways to wake that this build has. */
export function wakeKinds(): ('eventfd' | 'port')[] {
  return loadAddon() === null ? ['port'] : ['eventfd', 'port'];
}

export class LoopThreads {
  readonly mesh: ThreadMesh;
  readonly loop: EventLoop;
  /** What the loop of this thread reported. */
  readonly taskErrors: ReactorError[] = [];
  /** Word 0: 1 lets blocked threads go on. Word 1: threads that are blocked, or were. */
  readonly gate: Int32Array = new Int32Array(new SharedArrayBuffer(8));
  /** Word 0: how many numbers the task `log` has written; then the numbers. Outlives the thread. */
  readonly #log: Int32Array = new Int32Array(new SharedArrayBuffer(4 * (1 + LOG_MAX)));
  readonly #workers: (Worker | null)[] = [];

  constructor(context: TestContext, meshOptions: ThreadMeshOptions, loopOptions: EventLoopOptions = {}) {
    this.mesh = ThreadMesh.create(meshOptions);
    const onTaskError = (error: ReactorError): void => void this.taskErrors.push(error);
    this.loop = new EventLoop(this.mesh.seat, testPool(), systemClock, { onTaskError, ...loopOptions });
    for (let thread = 0; thread < this.mesh.shared.threads; thread += 1) this.start(thread);
    context.after(() => this.close());
  }

  /** Starts the thread's worker; returns without waiting for it. */
  start(thread: number): void {
    const { seatData, transferList } = this.mesh.connect(thread);
    const worker = new Worker(new URL('loop-peer.worker.js', import.meta.url), {
      workerData: { mesh: seatData, gate: this.gate, log: this.#log },
      transferList: [...transferList],
      execArgv: [],
    });
    this.#workers[thread] = worker;
    worker.once('exit', () => this.mesh.lost(thread));
  }

  /** Waits until every worker answers. */
  async ready(): Promise<this> {
    await Promise.all(
      this.#workers.map((_, thread) => this.loop.call(thread, 'echo', 'ready', { timeoutMs: 20_000 })),
    );
    return this;
  }

  /** Stops a thread in the middle of a task; fulfils once it stands. */
  async block(thread: number): Promise<void> {
    const before = Atomics.load(this.gate, 1);
    Atomics.store(this.gate, 0, 0);
    this.loop.post(thread, 'block');
    await until(() => Atomics.load(this.gate, 1) > before);
  }

  /** What the task `log` was given, in the order in which it ran, by all incarnations. */
  get logged(): Int32Array {
    return this.#log.subarray(1, 1 + Atomics.load(this.#log, 0));
  }

  /** Lets every blocked thread go on. */
  unblock(): void {
    Atomics.store(this.gate, 0, 1);
    Atomics.notify(this.gate, 0);
  }

  /** Terminates the thread's worker; fulfils when it is declared lost. */
  async kill(thread: number): Promise<void> {
    const worker = this.#workers[thread];
    if (worker === null || worker === undefined) return;
    const ended = once(worker, 'exit');
    await worker.terminate();
    await ended;
    this.#workers[thread] = null;
  }

  async close(): Promise<void> {
    this.unblock();
    await Promise.all(this.#workers.map((_, thread) => this.kill(thread)));
    this.loop.close();
    this.mesh.close();
  }
}
