// A child process with a channel to it: made, started, watched, restarted, ended.
// The segments lose their names as soon as the child has joined, so nothing is left behind even when both are killed.
// Every incarnation gets rings of its own with a new epoch: nothing of a dead child can reach the next one.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Channel } from './channel.js';
import { type ChannelOptions, checkInteger, checkTimeout } from './channel-options.js';
import { JbusError, native } from './errors.js';
import { shmAddon } from './native.js';
import { attachChannel, createChannel, type CreateChannelOptions } from './open-channel.js';
import { parsePeerArguments, peerArguments } from './peer-arguments.js';

export interface PeerProcessOptions extends Omit<CreateChannelOptions, 'key' | 'persistent' | 'doorbellFd'> {
  command: string;
  /** The flags of the channel follow them. Default none. */
  args?: readonly string[];
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Its standard output; standard error is ours, standard input nothing. Default 'inherit'. */
  output?: 'inherit' | 'ignore';
  /** Milliseconds from start to joining. Default 10,000. */
  joinTimeoutMs?: number;
  /** How often a child that ended is replaced. Default 0. */
  restartsMax?: number;
  /** Milliseconds before the first replacement; each further one waits twice as long, at most 5 s. Default 100. */
  restartDelayMs?: number;
  /** Milliseconds a child has to end by itself once its channel is closed. Default 2000. */
  graceMs?: number;
}

/** Where the child finds its end of the doorbell. */
const CHILD_DOORBELL_FD = 3;
const RESTART_DELAY_MS_MAX = 5000;
const COUNT_MAX = 2 ** 31 - 1;
type Completed = 'args' | 'output' | 'joinTimeoutMs' | 'restartsMax' | 'restartDelayMs' | 'graceMs';
const DEFAULTS: Required<Pick<PeerProcessOptions, Completed>> = {
  args: [],
  output: 'inherit',
  joinTimeoutMs: 10_000,
  restartsMax: 0,
  restartDelayMs: 100,
  graceMs: 2000,
};

interface Incarnation {
  readonly child: ChildProcess;
  readonly channel: Channel;
}

export class PeerProcess {
  readonly #options: PeerProcessOptions & typeof DEFAULTS;
  readonly #onChannel: (channel: Channel) => void;
  readonly #stop = new AbortController();
  #current: Incarnation | undefined;
  /** The channel of the child that ended last: what it left can be read until the next one has joined. */
  #former: Channel | undefined;
  #restarts = 0;

  private constructor(options: PeerProcessOptions, onChannel: (channel: Channel) => void) {
    this.#options = { ...DEFAULTS, ...options };
    checkTimeout('joinTimeoutMs', this.#options.joinTimeoutMs);
    checkTimeout('restartDelayMs', this.#options.restartDelayMs);
    checkTimeout('graceMs', this.#options.graceMs);
    checkInteger('restartsMax', this.#options.restartsMax, 0, COUNT_MAX);
    this.#onChannel = onChannel;
  }

  /**
   * Starts the child and resolves once it has joined. `onChannel` gets every incarnation's channel, the first included,
   * before anything is read from it.
   * @throws JbusError (as rejection) JBUS_SPAWN_FAILED: it did not start, or ended before it joined; JBUS_TIMEOUT, and
   * as createChannel.
   */
  static async start(
    options: PeerProcessOptions,
    onChannel: (channel: Channel) => void = () => {},
  ): Promise<PeerProcess> {
    const peer = new PeerProcess(options, onChannel);
    await peer.#begin();
    return peer;
  }

  /** Of the current incarnation; that of one that ended can be read until the next has joined. @throws JbusError JBUS_CLOSED: there is none, or not yet again. */
  get channel(): Channel {
    if (this.#current !== undefined) return this.#current.channel;
    throw new JbusError('JBUS_CLOSED', `${this.#options.command} does not run`);
  }

  get pid(): number | undefined {
    return this.#current?.child.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Closes the channel, and kills the child if it does not end by itself. May be repeated. */
  async close(): Promise<void> {
    this.#stop.abort();
    const current = this.#current;
    this.#current = undefined;
    this.#former?.close();
    if (current !== undefined) await this.#end(current);
  }

  async #begin(): Promise<void> {
    const incarnation = await this.#spawn();
    if (this.#stop.signal.aborted) return await this.#end(incarnation);
    this.#former?.close();
    this.#current = incarnation;
    incarnation.child.once('exit', () => void this.#replace(incarnation));
    if (hasEnded(incarnation.child)) void this.#replace(incarnation);
    this.#onChannel(incarnation.channel);
  }

  async #spawn(): Promise<Incarnation> {
    const { command, args, cwd, env, output, joinTimeoutMs } = this.#options;
    const [near, far] = native(() => shmAddon().socketPair());
    let channel: Channel | undefined;
    let child: ChildProcess | undefined;
    try {
      const made = await createChannel({ ...this.#options, doorbellFd: near });
      ({ channel } = made);
      child = spawn(command, [...args, ...peerArguments(made.address, CHILD_DOORBELL_FD)], {
        stdio: ['ignore', output, 'inherit', far],
        ...(cwd === undefined ? {} : { cwd }),
        ...(env === undefined ? {} : { env }),
      });
      await joined(command, child, channel, joinTimeoutMs);
      return { child, channel };
    } catch (error) {
      channel?.close();
      child?.kill('SIGKILL');
      throw error;
    } finally {
      shmAddon().closeFd(far); // the child's copy must be the only one, or its end would not be heard
    }
  }

  async #replace(ended: Incarnation): Promise<void> {
    if (this.#current !== ended) return;
    this.#current = undefined;
    this.#former = ended.channel;
    while (!this.#stop.signal.aborted && this.#restarts < this.#options.restartsMax) {
      const delayMs = Math.min(this.#options.restartDelayMs * 2 ** this.#restarts, RESTART_DELAY_MS_MAX);
      this.#restarts += 1;
      try {
        await sleep(delayMs, undefined, { signal: this.#stop.signal });
        return await this.#begin();
      } catch {
        // Did not join, or closed meanwhile: the condition above decides.
      }
    }
  }

  async #end({ child, channel }: Incarnation): Promise<void> {
    channel.close();
    if (hasEnded(child)) return;
    const exited = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), this.#options.graceMs);
    await exited;
    clearTimeout(timer);
  }
}

/** The channel of a child that PeerProcess has started, by its own command line. Errors as attachChannel. */
export async function attachFromArguments(
  options: ChannelOptions = {},
  argv: readonly string[] = process.argv.slice(2),
): Promise<Channel> {
  return await attachChannel(parsePeerArguments(argv).address, options);
}

/** Resolves when the child has joined; rejects when it cannot any more. */
async function joined(
  command: string,
  child: ChildProcess,
  channel: Channel,
  timeoutMs: number,
): Promise<void> {
  const ended = new Promise<never>((_, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(new JbusError('JBUS_SPAWN_FAILED', `${command} ${why}`, { cause }));
    child.once('error', (error) => fail(`did not start: ${error.message}`, error));
    child.once('exit', (code, signal) => fail(`ended with ${code ?? signal} before it joined`));
  });
  ended.catch(() => {}); // it may end much later, when nobody waits for it to join
  await Promise.race([channel.join({ timeoutMs }), ended]).catch(async (error: unknown) => {
    // The end of the doorbell may be heard before the exit, which says more.
    if (error instanceof JbusError && error.code === 'JBUS_PEER_DEAD') await ended;
    throw error;
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
