// One life of a renderer: its process, its channel, its output, its folder; started, joined, ended, and nothing left behind.
// renderer-process.ts starts one after the other and decides when; here is how.
// The process leads a group of its own, so that a ^C does not reach it, and the end takes along what it has started.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

import { requireAddon } from '../../addon/index.js';
import { type Channel, createChannel, JbusError, peerArguments } from '../../addon/jbus/index.js';
import { RenderError } from '../errors.js';
import {
  encodeRendererRequest,
  RENDERER_MESSAGE,
  RENDERER_MESSAGE_BYTES_MAX,
  RENDERER_OPS,
  rendererRequest,
} from '../renderer/message.js';
import { decodeFacts, type Renderer, rendererEnvironment, type RendererFacts } from '../renderer/renderer.js';
import { LogTail } from './log-tail.js';
import { makeScratchFolder, removeScratchFolder } from '../scratch-folder.js';

export interface RendererChildOptions {
  /** Milliseconds from start to READY. */
  readonly startTimeoutMs: number;
  /** Milliseconds that a request to end, and then SIGTERM, have to take effect. */
  readonly graceMs: number;
  readonly logBytesMax: number;
  readonly capacityOut: number;
  readonly capacityIn: number;
}

export interface RendererExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const CHILD_DOORBELL_FD = 3;
/** For the rest of its output to arrive after its end. */
const OUTPUT_TIMEOUT_MS = 1000;
/** For the system to end a process that was sent SIGKILL. */
const KILL_TIMEOUT_MS = 10_000;

export class RendererChild {
  readonly log: LogTail;
  readonly #child: ChildProcess;
  readonly #channel: Channel;
  readonly #scratch: string;
  readonly #options: RendererChildOptions;
  /** Resolves when the process has ended and its output is here. */
  readonly exited: Promise<RendererExit>;
  #facts: RendererFacts | undefined;
  #disposed: Promise<RendererExit> | undefined;

  private constructor(child: ChildProcess, channel: Channel, scratch: string, options: RendererChildOptions) {
    this.#child = child;
    this.#channel = channel;
    this.#scratch = scratch;
    this.#options = options;
    this.log = new LogTail(options.logBytesMax);
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (piece: Buffer) => this.log.push(piece));
    this.exited = this.#exit();
  }

  /**
   * Resolves when the renderer has said READY.
   * @throws RenderError (as rejection) RENDER_START_FAILED with the reason and the end of its output; nothing is left of it.
   */
  static async start(
    renderer: Renderer,
    options: RendererChildOptions,
    signal: AbortSignal,
  ): Promise<RendererChild> {
    const self = await RendererChild.#spawn(renderer, options);
    try {
      await self.#becomeReady(options.startTimeoutMs, signal);
      return self;
    } catch (error) {
      const exit = await self.dispose();
      const why = error instanceof Error ? error.message : String(error);
      const command = [renderer.command, ...renderer.args].join(' ');
      const text = `the renderer ${renderer.name} did not become ready: ${why}; ${exitText(exit)}; command: ${command}; output: ${self.log.take()}`;
      throw new RenderError('RENDER_START_FAILED', text, { cause: error });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get facts(): RendererFacts {
    return this.#facts!; // start resolves with it
  }

  get channel(): Channel {
    return this.#channel;
  }

  /** Whether it has printed something that is not in the log yet. True where nobody can tell. */
  get hasUnreadOutput(): boolean {
    return hasUnread(this.#child.stdout) || hasUnread(this.#child.stderr);
  }

  /** Asks it to end, then tells it to, then ends it; and removes what is left. Without `politely`, the last at once. */
  async end(politely: boolean): Promise<RendererExit> {
    if (politely && !this.#hasExited()) {
      const shutdown = encodeRendererRequest(rendererRequest({ op: RENDERER_OPS.shutdown }));
      await this.#channel
        .writeAsync(shutdown, { type: RENDERER_MESSAGE.request, timeoutMs: this.#options.graceMs })
        .catch(ignoreEnded);
      if (!(await this.#exitsWithin(this.#options.graceMs))) this.signal('SIGTERM');
      await this.#exitsWithin(this.#options.graceMs);
    }
    return await this.dispose();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Kills it, waits for its end, closes the channel, removes the folder. May be repeated. */
  dispose(): Promise<RendererExit> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  static async #spawn(renderer: Renderer, options: RendererChildOptions): Promise<RendererChild> {
    const scratch = await makeScratchFolder();
    const addon = requireAddon();
    const [near, far] = addon.socketPair();
    let channel: Channel | undefined;
    try {
      const made = await createChannel({
        backing: renderer.backing ?? 'sysv',
        capacityOut: options.capacityOut,
        capacityIn: options.capacityIn,
        messageBytesMax: RENDERER_MESSAGE_BYTES_MAX,
        doorbellFd: near,
      });
      ({ channel } = made);
      const args = [...renderer.args, ...peerArguments(made.address, CHILD_DOORBELL_FD)];
      const child = spawn(renderer.command, args, {
        stdio: ['ignore', 'pipe', 'pipe', far],
        env: rendererEnvironment(renderer, scratch, process.env),
        detached: true,
      });
      if (child.pid !== undefined) computesInBatches(child.pid);
      return new RendererChild(child, channel, scratch, options);
    } catch (error) {
      channel?.close();
      await removeScratchFolder(scratch);
      const why = error instanceof JbusError ? error.message : String(error);
      throw new RenderError('RENDER_START_FAILED', `no channel for the renderer: ${why}`, { cause: error });
    } finally {
      addon.closeFd(far); // the child's copy must be the only one, or its end would not be heard
    }
  }

  async #becomeReady(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const exited = this.exited.then((exit): never => {
      throw new Error(exitText(exit));
    });
    exited.catch(() => {}); // it may end much later, when nobody waits for it to become ready
    const ready = this.#readFacts(performance.now() + timeoutMs, signal);
    // Its end is heard by the doorbell first, but the exit says more.
    this.#facts = await Promise.race([ready, exited]).catch(async (error: unknown) => {
      if (error instanceof JbusError && error.code === 'JBUS_PEER_DEAD') await exited;
      throw error;
    });
  }

  async #readFacts(deadlineMs: number, signal: AbortSignal): Promise<RendererFacts> {
    await this.#channel.join({ timeoutMs: Math.max(0, deadlineMs - performance.now()), signal });
    const timeoutMs = Math.max(0, deadlineMs - performance.now());
    const { type, data } = await this.#channel.readAsync({ timeoutMs, signal });
    if (type !== RENDERER_MESSAGE.ready)
      throw new RenderError('RENDER_MESSAGE_INVALID', `its first message has type ${type}`);
    return decodeFacts(data);
  }

  async #exit(): Promise<RendererExit> {
    const ended = await new Promise<boolean>((resolve) => {
      this.#child.once('exit', () => resolve(true));
      this.#child.once('error', (error) => {
        this.log.push(Buffer.from(`${error.message}\n`));
        if (this.#child.pid === undefined) resolve(false); // a program that is not there never exits
      });
    });
    if (!ended) return { code: null, signal: null };
    this.signal('SIGKILL'); // what it has started, and would keep its output open
    if (!this.#outputEnded()) await Promise.race([once(this.#child, 'close'), after(OUTPUT_TIMEOUT_MS)]);
    return { code: this.#child.exitCode, signal: this.#child.signalCode };
  }

  async #dispose(): Promise<RendererExit> {
    if (!this.#hasExited()) this.signal('SIGKILL');
    const exit = await Promise.race([this.exited, after(KILL_TIMEOUT_MS)]);
    this.#channel.close();
    await removeScratchFolder(this.#scratch);
    if (exit !== undefined) return exit;
    throw new RenderError('RENDER_IO', `process ${this.pid} does not end, although it was killed`);
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    return (await Promise.race([this.exited, after(ms)])) !== undefined;
  }

  #hasExited(): boolean {
    return this.pid === 0 || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #outputEnded(): boolean {
    return this.#child.stdout?.closed !== false && this.#child.stderr?.closed !== false;
  }
}

/** Asks the kernel; what Node has read is in the log by then. */
function hasUnread(output: Readable | null): boolean {
  if (output === null || output.closed) return false;
  const fd = (output as Readable & { readonly _handle?: { readonly fd: number } | null })._handle?.fd ?? -1;
  return fd < 0 || requireAddon().readableBytes(fd) > 0;
}

/** For people, and for the reason of a task that failed. */
export function exitText({ code, signal }: RendererExit): string {
  if (signal !== null) return `it was ended by ${signal}`;
  return code === null ? 'it did not start' : `it ended with exit code ${code}`;
}

/** Resolves to undefined; the timer keeps nothing alive. */
async function after(ms: number): Promise<undefined> {
  await new Promise((resolve) => setTimeout(resolve, ms).unref());
  return undefined;
}

/** It has ended meanwhile, which is what was wanted of it. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof JbusError)) throw error;
}

/**
 * A renderer that wakes to its next image displaces nobody, this node's own thread least of all, which has others to feed: with
 * images that take no time that is a fifth of all of them (`bench -- render`).
 */
function computesInBatches(pid: number): void {
  try {
    requireAddon().setBatchScheduling(pid);
  } catch {
    // It has ended already, which is told elsewhere; or the system allows no change, and it renders all the same.
  }
}
