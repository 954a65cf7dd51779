// A member's process as the chaos run sees it: starts member.ts, gives it orders, stops and kills it. Its log goes to a
// file beside its data. chaos-cluster.ts has one for each life of a member.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { MemberOptions, Order } from './member.js';

const PROGRAM = fileURLToPath(new URL('./member.js', import.meta.url));
const STOP_MS = 15_000;

export class MemberProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >();
  #nextNumber = 1;
  #respPort: number | null = null;
  #isPaused = false;
  /** What it said of its end: 'failed', 'removed' or nothing. */
  lastWord = '';
  readonly ended: Promise<void>;
  readonly #ready: Promise<void>;

  constructor(options: MemberOptions, logFile: string) {
    const log = openSync(logFile, 'a');
    try {
      this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
        stdio: ['pipe', 'pipe', log],
        env: { ...process.env, NODE_ENV: 'production' },
      });
    } finally {
      closeSync(log);
    }
    // A write to a process that has just died fails; its end is told by `ended`.
    this.#child.stdin!.on('error', () => {});
    let isReady: () => void = () => {};
    const ready = new Promise<void>((resolve) => (isReady = resolve));
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#hear(line, isReady));
    this.ended = once(this.#child, 'close').then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the member ended'));
      this.#waiting.clear();
    });
    this.#ready = Promise.race([
      ready,
      this.ended.then(() => {
        throw new Error(`member ${options.id} ended before it was ready, see ${logFile}`);
      }),
    ]);
    this.#ready.catch(() => {}); // told to whoever waits for it
  }

  /** Rejects if it ends first or takes too long. */
  async ready(timeoutMs: number): Promise<void> {
    await within(this.#ready, timeoutMs, 'the member was not ready in time');
  }

  /** Null before it is ready and after its end. */
  get respPort(): number | null {
    return this.isAlive ? this.#respPort : null;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** @throws Error: the member refused, ended, or did not answer in time */
  async order<Result = object>(order: Order, timeoutMs = 2000): Promise<Result> {
    if (!this.isAlive) throw new Error('the member is not running');
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(number, { resolve, reject }));
    this.#child.stdin!.write(`${JSON.stringify({ number, order })}\n`);
    try {
      return (await within(answer, timeoutMs, `no answer to ${order.do}`)) as Result;
    } finally {
      this.#waiting.delete(number);
    }
  }

  pause(): void {
    this.#isPaused = this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
    this.#isPaused = false;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  /** As an operator stops it; killed if it takes too long. True if it ended by itself. */
  async stop(): Promise<boolean> {
    if (this.#isPaused) this.resume();
    this.#child.kill('SIGTERM');
    try {
      await within(this.ended, STOP_MS, 'the member does not stop');
      return true;
    } catch {
      await this.kill();
      return false;
    }
  }

  #hear(line: string, isReady: () => void): void {
    const said = JSON.parse(line) as {
      event?: string;
      resp?: string;
      number?: number;
      result?: unknown;
      error?: string;
    };
    if (said.event === 'ready') {
      this.#respPort = Number(said.resp!.slice(said.resp!.lastIndexOf(':') + 1));
      isReady();
    } else if (said.event !== undefined) this.lastWord = said.event;
    else if (said.error === undefined) this.#waiting.get(said.number!)?.resolve(said.result);
    else this.#waiting.get(said.number!)?.reject(new Error(said.error));
  }
}

export async function within<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
