// One thread of a UDP server, seen from outside: started, missed when it ends, and started again with backoff.
// udp-server.ts has one for each thread; udp-server.worker.ts is the code inside.

import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';

import { Backoff, type BackoffOptions } from './backoff.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { THREAD_STABLE_MS, THREAD_START_TIMEOUT_MS } from './limits.js';
import type { SharedBudget } from './shared-budget.js';
import type { ThreadMesh } from './thread-mesh.js';
import type { UdpWorkerStart } from './udp-server.worker.js';
import { UDP_TASKS, type UdpAddress, type UdpSpec } from './udp-service.js';
import { withOwnFd } from './udp-target.js';

/** What all threads of one server share, and what they ask of it. */
export interface UdpThreadHost {
  readonly loop: EventLoop;
  readonly mesh: ThreadMesh;
  readonly budget: SharedBudget;
  /** What to open: a thread that starts again opens what the server has become meanwhile. */
  spec(): UdpSpec;
  /** Whether a thread that ends is started again; before, whoever called `listen` is told instead. */
  isListening(): boolean;
  isClosing(): boolean;
  log(error: unknown): void;
}

export class UdpThread {
  readonly #thread: number;
  readonly #host: UdpThreadHost;
  readonly #backoff: Backoff;
  #worker: Worker | null = null;
  #startedMs = 0;

  /** Starts nothing yet. */
  constructor(thread: number, host: UdpThreadHost, restartBackoff: BackoffOptions) {
    this.#thread = thread;
    this.#host = host;
    this.#backoff = new Backoff(Math.random, restartBackoff);
  }

  get isAlive(): boolean {
    return this.#worker !== null;
  }

  /** Resolves once it receives datagrams. @throws ReactorError see UdpService.open */
  async start(): Promise<UdpAddress> {
    const thread = this.#thread;
    const { budget, mesh } = this.#host;
    budget.forget(thread);
    const { seatData, transferList } = mesh.connect(thread);
    const start: UdpWorkerStart = { thread, mesh: seatData, budget: budget.buffer };
    const worker = new Worker(new URL('./udp-server.worker.js', import.meta.url), {
      workerData: start,
      transferList: [...transferList],
      execArgv: [],
      name: `udp-${thread}`,
    });
    this.#worker = worker;
    this.#startedMs = performance.now();
    worker.on('error', (error) => this.#host.log(error));
    worker.once('exit', (exitCode) => this.#ended(exitCode));
    const spec = withOwnFd(this.#host.spec());
    const address = await this.call(UDP_TASKS.open, spec, THREAD_START_TIMEOUT_MS);
    return address as UdpAddress; // what UdpService registers under that name
  }

  /** Asks the service on this thread. @throws ReactorError see EventLoop.call */
  call(task: string, payload?: unknown, timeoutMs?: number): Promise<unknown> {
    const options = timeoutMs === undefined ? {} : { timeoutMs };
    return this.#host.loop.call(this.#thread, task, payload, options);
  }

  /** Ends it at once, whatever it does. */
  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  /** Drains and ends it. False when something was cut off. */
  async close(drainTimeoutMs: number): Promise<boolean> {
    const worker = this.#worker;
    if (worker === null) return true;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    let isDrained = false;
    try {
      const timeoutMs = drainTimeoutMs + THREAD_START_TIMEOUT_MS; // it may be starting still
      isDrained = (await this.call(UDP_TASKS.close, drainTimeoutMs, timeoutMs)) === true;
    } catch (error) {
      this.#host.log(error);
    }
    await worker.terminate();
    await ended; // its exit has been heard, so the mesh knows it is lost
    return isDrained;
  }

  #ended(exitCode: number): void {
    const { mesh, budget } = this.#host;
    this.#worker = null;
    mesh.lost(this.#thread);
    budget.forget(this.#thread);
    if (this.#host.isClosing()) return;
    const message = `UDP thread ${this.#thread} ended with ${exitCode}`;
    this.#host.log(new ReactorError('REACTOR_THREAD_LOST', message));
    if (this.#host.isListening()) this.#restartLater();
  }

  #restartLater(): void {
    if (performance.now() - this.#startedMs > THREAD_STABLE_MS) this.#backoff.reset();
    this.#host.loop.runAfter(this.#backoff.nextDelayMs(), () => {
      if (this.#host.isClosing()) return;
      this.start().catch((error: unknown) => {
        this.#host.log(error);
        void this.terminate(); // alive without a socket: its exit tries again
      });
    });
  }
}
