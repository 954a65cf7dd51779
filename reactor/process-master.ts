// Keeps N processes of one command running, the Nginx way: the master holds the listening sockets, the
// processes inherit them and accept. A process that ends is started again with backoff; reload() replaces one
// after the other, each only once its successor accepts. managed-process.ts is one of them.
// The master serves nobody itself, so that nothing a client sends can stop it.

import { Backoff, type BackoffOptions } from './backoff.js';
import { ReactorError } from './errors.js';
import { DRAIN_TIMEOUT_MS, PROCESS_KILL_GRACE_MS, PROCESS_READY_TIMEOUT_MS } from './limits.js';
import type { Logger } from './logger.js';
import { describe, ManagedProcess, type ProcessCommand, type ProcessState } from './managed-process.js';

export interface ProcessMasterOptions {
  /** How many processes run side by side, from 1. */
  processes: number;
  /** What to start as the process with this index; called again for each start. */
  command: (index: number) => ProcessCommand;
  /** From start to accepting work. Default 30 s. */
  readyTimeoutMs?: number;
  /** Waiting before a process is started again; starts small again once one has run for `stableMs`. */
  backoff?: BackoffOptions;
  /** Default 10 s. */
  stableMs?: number;
}

export interface ProcessStatus {
  readonly index: number;
  readonly pid: number | undefined;
  readonly state: ProcessState;
  readonly restarts: number;
}

interface Slot {
  readonly index: number;
  readonly backoff: Backoff;
  current: ManagedProcess | null;
  restarts: number;
  /** Set while a start is due. */
  timer: NodeJS.Timeout | null;
}

const DEFAULTS = { readyTimeoutMs: PROCESS_READY_TIMEOUT_MS, stableMs: 10_000, backoff: {} };

export class ProcessMaster {
  readonly #logger: Logger;
  readonly #options: Required<ProcessMasterOptions>;
  readonly #slots: readonly Slot[];
  /** Everything that runs, those included that a reload is about to replace. */
  readonly #running = new Set<ManagedProcess>();
  #closing = false;
  /** Ends when no reload is under way. */
  #lastReload: Promise<void> = Promise.resolve();
  /** The one that waits for it. */
  #nextReload: Promise<void> | null = null;

  constructor(logger: Logger, random: () => number, options: ProcessMasterOptions) {
    this.#logger = logger;
    this.#options = { ...DEFAULTS, ...options };
    this.#slots = Array.from({ length: options.processes }, (_, index) => ({
      index,
      backoff: new Backoff(random, this.#options.backoff),
      current: null,
      restarts: 0,
      timer: null,
    }));
  }

  /**
   * Starts all and resolves when each accepts work.
   * @throws ReactorError REACTOR_PROCESS_LOST, REACTOR_TIMEOUT: one did not get that far, all are stopped
   */
  async start(): Promise<void> {
    try {
      await Promise.all(
        this.#slots.map(async (slot) => {
          const started = this.#spawn(slot);
          await this.#untilReady(started);
          slot.current = started;
          this.#supervise(slot, started);
        }),
      );
    } catch (error) {
      this.kill();
      await this.#allEnded();
      throw error;
    }
  }

  get processes(): readonly ProcessStatus[] {
    return this.#slots.map(({ index, current, restarts }) => ({
      index,
      pid: current?.pid,
      state: current?.state ?? 'ended',
      restarts,
    }));
  }

  /** Whether work is accepted: one process is enough, the others may be starting again. */
  get ready(): boolean {
    return !this.#closing && this.#slots.some(({ current }) => current?.state === 'ready');
  }

  /** Answers of the processes that are ready and answer in time; the others are left out. */
  async ask(question: string, timeoutMs: number = 2000): Promise<{ index: number; value: unknown }[]> {
    const answers = await Promise.all(
      this.#slots.map(async ({ index, current }) => {
        if (current === null || current.state !== 'ready') return null;
        try {
          return { index, value: await current.ask(question, timeoutMs) };
        } catch (error) {
          this.#logger.warn({ process: index, pid: current.pid, err: error }, `no answer to ${question}`);
          return null;
        }
      }),
    );
    return answers.filter((answer) => answer !== null);
  }

  /**
   * Replaces the processes one after the other; the sockets stay open throughout. Calls made while a reload is
   * under way share the one that follows it, since what they want loaded may be newer.
   * @throws ReactorError as `start`: the rest keeps running as it was
   */
  reload(drainTimeoutMs: number = DRAIN_TIMEOUT_MS): Promise<void> {
    this.#nextReload ??= this.#lastReload.then(() => {
      this.#nextReload = null;
      const reload = this.#replaceAll(drainTimeoutMs);
      this.#lastReload = reload.catch(() => {}); // its caller was told; the next one runs all the same
      return reload;
    });
    return this.#nextReload;
  }

  /** Drains all processes at once; those that take longer are killed. Resolves to whether all drained. */
  async close(drainTimeoutMs: number = DRAIN_TIMEOUT_MS): Promise<{ drained: boolean }> {
    this.#stopRestarting();
    const deadlineMs = drainTimeoutMs + PROCESS_KILL_GRACE_MS;
    const drained = await Promise.all([...this.#running].map((running) => running.stop(deadlineMs)));
    return { drained: drained.every(Boolean) };
  }

  /** Ends all processes at once. */
  kill(): void {
    this.#stopRestarting();
    for (const running of this.#running) running.kill();
  }

  #stopRestarting(): void {
    this.#closing = true;
    for (const slot of this.#slots) {
      if (slot.timer !== null) clearTimeout(slot.timer);
      slot.timer = null;
    }
  }

  #spawn(slot: Slot): ManagedProcess {
    const started = new ManagedProcess(this.#options.command(slot.index));
    this.#running.add(started);
    void started.ended.then(() => this.#running.delete(started));
    return started;
  }

  /** A process that is not ready in time is killed. */
  async #untilReady(started: ManagedProcess): Promise<void> {
    const { readyTimeoutMs } = this.#options;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      started.kill();
    }, readyTimeoutMs);
    try {
      await started.ready;
    } catch (error) {
      if (!late) throw error;
      throw new ReactorError('REACTOR_TIMEOUT', `the process was not ready in ${readyTimeoutMs} ms`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts a successor when the process of a slot ends and nobody asked it to. */
  #supervise(slot: Slot, running: ManagedProcess): void {
    const readySince = performance.now();
    void running.ended.then((end) => {
      if (this.#closing || slot.current !== running) return;
      if (performance.now() - readySince >= this.#options.stableMs) slot.backoff.reset();
      this.#logger.error({ process: slot.index, pid: running.pid }, `process ended: ${describe(end)}`);
      this.#startLater(slot);
    });
  }

  #startLater(slot: Slot): void {
    const delayMs = slot.backoff.nextDelayMs();
    slot.timer = setTimeout(() => {
      slot.timer = null;
      void this.#restart(slot);
    }, delayMs);
    this.#logger.info({ process: slot.index, delayMs }, 'the process is started again');
  }

  async #restart(slot: Slot): Promise<void> {
    slot.restarts += 1;
    const started = this.#spawn(slot);
    slot.current = started;
    try {
      await this.#untilReady(started);
      this.#supervise(slot, started);
    } catch (error) {
      if (this.#closing || slot.current !== started) return;
      this.#logger.error({ process: slot.index, err: error }, 'the process could not be started again');
      this.#startLater(slot);
    }
  }

  async #replaceAll(drainTimeoutMs: number): Promise<void> {
    for (const slot of this.#slots) {
      if (this.#closing) return;
      const next = this.#spawn(slot);
      try {
        await this.#untilReady(next);
      } catch (error) {
        if (this.#closing) return; // it was stopped with the others
        throw error;
      }
      const previous = slot.current;
      slot.current = next;
      if (slot.timer !== null) clearTimeout(slot.timer);
      slot.timer = null;
      this.#supervise(slot, next);
      this.#logger.info({ process: slot.index, pid: next.pid }, 'process replaced');
      await previous?.stop(drainTimeoutMs + PROCESS_KILL_GRACE_MS);
    }
  }

  async #allEnded(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.ended));
  }
}
