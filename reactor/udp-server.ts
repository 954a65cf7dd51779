// A UDP server: one socket on a thread of its own, on the calling thread, or one port over several threads.
// What users construct; udp-service.ts does the work on each thread, udp-socket.ts owns the datagrams.
// A thread that ends is started again with backoff; the port stays the same.

import dns from 'node:dns/promises';
import { isIP } from 'node:net';
import { constants, networkInterfaces } from 'node:os';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';

import { AddonError, loadAddon, requireAddon } from '../addon/index.js';
import { Backoff, type BackoffOptions, RESTART_BACKOFF } from './backoff.js';
import { BufferPool } from './buffer-pool.js';
import { ReactorError, type WireError } from './errors.js';
import { EventLoop } from './event-loop.js';
import { isModule, moduleUrl } from './handler-module.js';
import {
  DRAIN_TIMEOUT_MS,
  poolBytesMaxDefault,
  THREAD_STABLE_MS,
  THREAD_START_TIMEOUT_MS,
} from './limits.js';
import type { Logger } from './logger.js';
import { checkHandlersOption, checkOptionTypes } from './option-types.js';
import { SharedBudget } from './shared-budget.js';
import { ThreadMesh } from './thread-mesh.js';
import type { UdpHandlerModule, UdpHandlers } from './udp-handlers.js';
import type { UdpWorkerStart } from './udp-server.worker.js';
import { UDP_TASKS, type UdpAddress, UdpService, type UdpSpec } from './udp-service.js';
import { sumUdpStats, type UdpSocketOptions, type UdpStats } from './udp-socket.js';

export interface UdpServerOptions extends UdpSocketOptions {
  /** Name or address. Default: all addresses, IPv6 and IPv4. */
  host?: string;
  /** 0 picks a free port. Default 0. */
  port?: number;
  /** A bound descriptor instead, e.g. from socket activation. Duplicated; without the addon it is taken over. */
  fd?: number;
  /** Keep IPv4 off an IPv6 address. Default false. */
  ipv6Only?: boolean;
  /**
   * Threads that serve the port; above 1 each has a socket with SO_REUSEPORT and the kernel spreads by a hash
   * of the addresses (needs the addon). 0: the calling thread. Default: 1 for a module, 0 for handlers.
   */
  threads?: number;
  /** A module whose default export runs once on every thread; with threads: 0 also that function or its result. */
  handlers: URL | string | UdpHandlerModule | UdpHandlers;
  /** Waits before a thread that ended is started again. Default 100 ms doubling to 10 s, jittered. */
  restartBackoff?: BackoffOptions;
  /** Where troubles are told. Default: nowhere. */
  logger?: Logger;
}

interface ThreadSlot {
  readonly backoff: Backoff;
  worker: Worker | null;
  startedMs: number;
}

const THREADS_MAX = 64;

export class UdpServer {
  readonly #options: UdpServerOptions;
  readonly #threads: number;
  readonly #mesh: ThreadMesh;
  readonly #budget: SharedBudget;
  readonly #loop: EventLoop;
  readonly #slots: readonly ThreadSlot[];
  #spec: UdpSpec | null = null;
  #inline: UdpService | null = null;
  #address: UdpAddress | null = null;
  #starting: Promise<UdpAddress> | null = null;
  #isOpen = false;
  #closing: Promise<{ drained: boolean }> | null = null;

  /** Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING */
  constructor(options: UdpServerOptions) {
    checkOptionTypes(options, {
      host: 'string',
      fd: 'number',
      ipv6Only: 'boolean',
      restartBackoff: 'object',
      logger: 'object',
    });
    checkHandlersOption(options.handlers);
    this.#options = options;
    this.#threads = threadCount(options);
    this.#mesh = ThreadMesh.create({ threads: this.#threads });
    this.#budget = SharedBudget.create(poolBytesMaxDefault(), this.#threads + 1);
    const pool = new BufferPool({}, this.#threads, this.#budget);
    this.#loop = new EventLoop(this.#mesh.seat, pool, undefined, {
      onTaskError: (error) => this.#log(error),
    });
    this.#loop.register(UDP_TASKS.trouble, (error) => this.#log(ReactorError.fromWire(error as WireError)));
    this.#slots = Array.from({ length: this.#threads }, () => ({
      backoff: new Backoff(Math.random, { ...RESTART_BACKOFF, ...options.restartBackoff }),
      worker: null,
      startedMs: 0,
    }));
  }

  /** The loop of the calling thread: reaches the server's threads by `post`, `call` and `broadcast`. */
  get loop(): EventLoop {
    return this.#loop;
  }

  /** Where it can be reached; only after `listen`. @throws ReactorError REACTOR_CLOSED */
  get address(): UdpAddress {
    if (this.#address === null) throw new ReactorError('REACTOR_CLOSED', 'the UDP server does not listen');
    return this.#address;
  }

  /**
   * Resolves once datagrams are received. A server whose `listen` failed is closed.
   * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_HANDLERS_INVALID, REACTOR_CLOSED
   */
  async listen(): Promise<UdpAddress> {
    if (this.#starting !== null || this.#closing !== null) {
      throw new ReactorError('REACTOR_CLOSED', 'the UDP server listens already or is closed');
    }
    this.#loop.ref(); // a server whose thread is being restarted is still a server
    this.#starting = this.#start();
    try {
      return await this.#starting;
    } catch (error) {
      const wasClosed = this.#closing !== null;
      await this.close({ drainTimeoutMs: 0 });
      if (wasClosed) throw new ReactorError('REACTOR_CLOSED', 'the UDP server was closed while it started');
      throw error;
    }
  }

  /**
   * Loads the handler module anew on every thread; the sockets stay. Handlers given as a value stay as they are.
   * @throws ReactorError REACTOR_HANDLERS_INVALID: a thread that could not keeps its old code.
   */
  async reload(): Promise<void> {
    if (this.#address === null || !isModule(this.#options.handlers)) return;
    const spec = { ...this.#spec!, version: this.#spec!.version + 1 };
    this.#spec = spec;
    if (this.#inline !== null) await this.#inline.reload(spec);
    await Promise.all(this.#alive().map((thread) => this.#loop.call(thread, UDP_TASKS.reload, spec)));
  }

  /** What all threads have received and sent; those of a thread that ended are lost with it. */
  async stats(): Promise<UdpStats> {
    if (this.#inline !== null) return this.#inline.stats();
    const stats = await Promise.all(this.#alive().map((thread) => this.#loop.call(thread, UDP_TASKS.stats)));
    return sumUdpStats(stats as UdpStats[]);
  }

  /**
   * Takes no more datagrams, waits for async handlers and unsent answers until `drainTimeoutMs` (default
   * 10 s), then closes. `drained` is false when something was cut off. Idempotent.
   */
  close(options: { drainTimeoutMs?: number } = {}): Promise<{ drained: boolean }> {
    this.#closing ??= this.#close(options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS);
    return this.#closing;
  }

  async #start(): Promise<UdpAddress> {
    this.#spec = await this.#resolveSpec();
    this.#checkOpen();
    this.#address = this.#threads === 0 ? await this.#openInline(this.#spec) : await this.#startThread(0);
    this.#checkOpen();
    this.#spec = { ...this.#spec, port: this.#address.port };
    for (let thread = 1; thread < this.#threads; thread += 1) {
      await this.#startThread(thread);
      this.#checkOpen();
    }
    this.#isOpen = true;
    return this.#address;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new ReactorError('REACTOR_CLOSED', 'the UDP server is closed');
  }

  async #resolveSpec(): Promise<UdpSpec> {
    const { port = 0, fd = null, ipv6Only = false, handlers, codec } = this.#options;
    const { sendQueueBytesMax, receiveBufferBytes, sendBufferBytes } = this.#options;
    const host = (fd === null ? undefined : inheritedHost(fd)) ?? (await numericHost(this.#options.host));
    const reusePort = this.#threads > 1;
    // Sockets with SO_REUSEPORT join whoever has the port already: find out whether it is really free.
    if (reusePort && port !== 0) probePort(host, port, ipv6Only);
    const options = {
      ...(codec === undefined ? {} : { codec }),
      ...(sendQueueBytesMax === undefined ? {} : { sendQueueBytesMax }),
      ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
      ...(sendBufferBytes === undefined ? {} : { sendBufferBytes }),
    };
    return {
      handlersUrl: isModule(handlers) ? moduleUrl(handlers) : '',
      version: 0,
      host,
      port,
      ipv6Only,
      reusePort,
      fd,
      options,
    };
  }

  async #openInline(spec: UdpSpec): Promise<UdpAddress> {
    const { handlers } = this.#options;
    this.#inline = new UdpService(this.#loop);
    if (isModule(handlers)) return await this.#inline.open(withOwnFd(spec));
    return await this.#inline.open(
      withOwnFd(spec),
      typeof handlers === 'function' ? await handlers(this.#loop) : handlers,
    );
  }

  async #startThread(thread: number): Promise<UdpAddress> {
    this.#budget.forget(thread);
    const { seatData, transferList } = this.#mesh.connect(thread);
    const start: UdpWorkerStart = { thread, mesh: seatData, budget: this.#budget.buffer };
    const worker = new Worker(new URL('./udp-server.worker.js', import.meta.url), {
      workerData: start,
      transferList: [...transferList],
      execArgv: [],
      name: `udp-${thread}`,
    });
    const slot = this.#slots[thread]!;
    slot.worker = worker;
    slot.startedMs = performance.now();
    worker.on('error', (error) => this.#log(error));
    worker.once('exit', (exitCode) => this.#threadEnded(thread, exitCode));
    const opened = this.#loop.call(thread, UDP_TASKS.open, withOwnFd(this.#spec!), {
      timeoutMs: THREAD_START_TIMEOUT_MS,
    });
    return (await opened) as UdpAddress;
  }

  #threadEnded(thread: number, exitCode: number): void {
    this.#slots[thread]!.worker = null;
    this.#mesh.lost(thread);
    this.#budget.forget(thread);
    if (this.#closing !== null) return;
    this.#log(new ReactorError('REACTOR_THREAD_LOST', `UDP thread ${thread} ended with ${exitCode}`));
    if (this.#address === null) return; // it was starting: listen() tells its caller
    this.#restartLater(thread);
  }

  #restartLater(thread: number): void {
    const slot = this.#slots[thread]!;
    if (performance.now() - slot.startedMs > THREAD_STABLE_MS) slot.backoff.reset();
    this.#loop.runAfter(slot.backoff.nextDelayMs(), () => {
      if (this.#closing !== null) return;
      this.#startThread(thread).catch((error: unknown) => {
        this.#log(error);
        void slot.worker?.terminate(); // alive without a socket: its exit tries again
      });
    });
  }

  #alive(): number[] {
    return this.#slots.flatMap(({ worker }, thread) => (worker === null ? [] : [thread]));
  }

  async #close(drainTimeoutMs: number): Promise<{ drained: boolean }> {
    // What is still starting serves nobody: its threads end at once, and with them the wait for them.
    if (!this.#isOpen) for (const { worker } of this.#slots) void worker?.terminate();
    await Promise.allSettled([this.#starting]); // listen() tells its caller
    const drained = await Promise.all([
      this.#inline?.close(drainTimeoutMs) ?? true,
      ...this.#alive().map((thread) =>
        this.#closeThread(thread, this.#slots[thread]!.worker!, drainTimeoutMs),
      ),
    ]);
    this.#loop.close();
    this.#mesh.close();
    return { drained: drained.every(Boolean) };
  }

  async #closeThread(thread: number, worker: Worker, drainTimeoutMs: number): Promise<boolean> {
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    let isDrained = false;
    try {
      const timeoutMs = drainTimeoutMs + THREAD_START_TIMEOUT_MS;
      isDrained = (await this.#loop.call(thread, UDP_TASKS.close, drainTimeoutMs, { timeoutMs })) === true;
    } catch (error) {
      this.#log(error);
    }
    await worker.terminate();
    await ended; // its exit has been heard, so the mesh knows it is lost
    return isDrained;
  }

  #log(error: unknown): void {
    const { code, message } = error as { code?: string; message?: string };
    this.#options.logger?.warn({ code }, message ?? String(error));
  }
}

function threadCount(options: UdpServerOptions): number {
  const { handlers, port, fd } = options;
  const threads = options.threads ?? (isModule(handlers) ? 1 : 0);
  if (!Number.isInteger(threads) || threads < 0 || threads > THREADS_MAX) {
    throw invalid(`threads must be an integer from 0 to ${THREADS_MAX}, not ${threads}`);
  }
  if (threads > 0 && !isModule(handlers)) {
    throw invalid(
      'handlers must be the URL of a module: functions cannot cross to other threads (threads: 0 takes them)',
    );
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw invalid(`port must be an integer from 0 to 65535, not ${port}`);
  }
  if (fd !== undefined && (port !== undefined || threads > 1))
    throw invalid('fd goes with neither port nor several threads');
  if (threads > 1 && loadAddon() === null) {
    throw new ReactorError('REACTOR_ADDON_MISSING', 'several threads on one UDP port need the native addon');
  }
  return threads;
}

/** Each start of a thread gets a descriptor of its own, so that the given one survives it. */
function withOwnFd(spec: UdpSpec): UdpSpec {
  const addon = loadAddon();
  return spec.fd === null || addon === null ? spec : { ...spec, fd: addon.dupFd(spec.fd) };
}

/** An inherited socket has its family already, and answers must leave in that family. */
function inheritedHost(fd: number): string | undefined {
  const addon = loadAddon();
  if (addon === null) return undefined;
  try {
    const address = addon.localAddress(fd);
    if ('host' in address) return address.host;
  } catch (cause) {
    throw new ReactorError('REACTOR_LISTEN_FAILED', `descriptor ${fd} is no bound socket`, { cause });
  }
  throw new ReactorError('REACTOR_LISTEN_FAILED', `descriptor ${fd} is a Unix socket, not a UDP one`);
}

async function numericHost(host: string | undefined): Promise<string> {
  if (host === undefined || host === '') return hasIPv6() ? '::' : '0.0.0.0';
  if (isIP(host) !== 0) return host;
  try {
    return (await dns.lookup(host)).address;
  } catch (cause) {
    throw new ReactorError('REACTOR_LISTEN_FAILED', `cannot resolve the host '${host}'`, { cause });
  }
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family }) => family === 'IPv6'),
  );
}

function probePort(host: string, port: number, ipv6Only: boolean): void {
  const addon = requireAddon();
  try {
    addon.closeFd(addon.bindUdp({ host, port, ipv6Only }).fd);
  } catch (cause) {
    if (!(cause instanceof AddonError)) throw cause;
    const isInUse = cause.errno === constants.errno.EADDRINUSE;
    throw new ReactorError(isInUse ? 'REACTOR_PORT_IN_USE' : 'REACTOR_LISTEN_FAILED', cause.message, {
      cause,
    });
  }
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
