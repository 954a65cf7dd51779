// A UDP server: one socket on a thread of its own, on the calling thread, or one port over several threads.
// What users construct; udp-service.ts does the work on each thread, udp-socket.ts owns the datagrams.
// udp-thread.ts keeps each thread alive, udp-target.ts says where to bind; the port stays the same.

import { loadAddon } from '../addon/index.js';
import { Backoff, type BackoffOptions, RESTART_BACKOFF } from './backoff.js';
import { BufferPool } from './buffer-pool.js';
import { resolvePortOptions, type UdpSocketOptions } from './datagram-port.js';
import { ReactorError, type WireError } from './errors.js';
import { EventLoop } from './event-loop.js';
import { isModule, moduleUrl } from './handler-module.js';
import { DRAIN_TIMEOUT_MS, poolBytesMaxDefault } from './limits.js';
import type { Logger } from './logger.js';
import { checkHandlersOption, checkOptionTypes } from './option-types.js';
import { resolveTransport } from './reactor-options.js';
import { SharedBudget } from './shared-budget.js';
import { ThreadMesh } from './thread-mesh.js';
import type { UdpHandlerModule, UdpHandlers } from './udp-handlers.js';
import { UDP_TASKS, type UdpAddress, UdpService, type UdpSpec } from './udp-service.js';
import { sumUdpStats, type UdpStats } from './udp-socket.js';
import { anyHost, inheritedHost, numericHost, refuseTakenPort, withOwnFd } from './udp-target.js';
import { UdpThread } from './udp-thread.js';

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

/** Threads of one port. */
const THREADS_MAX = 64;

export class UdpServer {
  readonly #options: UdpServerOptions;
  readonly #mesh: ThreadMesh;
  readonly #loop: EventLoop;
  /** None when the calling thread serves. */
  readonly #threads: readonly UdpThread[];
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
    resolveTransport(options.transport, loadAddon());
    resolvePortOptions(options);
    this.#options = options;
    const threads = threadCount(options);
    const restartBackoff = { ...RESTART_BACKOFF, ...options.restartBackoff };
    void new Backoff(Math.random, restartBackoff); // judged here, before the mesh has descriptors
    const mesh = ThreadMesh.create({ threads });
    const budget = SharedBudget.create(poolBytesMaxDefault(), threads + 1);
    const loop = new EventLoop(mesh.seat, new BufferPool({}, threads, budget), undefined, {
      onTaskError: (error) => this.#log(error),
    });
    loop.register(UDP_TASKS.trouble, (error) => this.#log(ReactorError.fromWire(error as WireError)));
    this.#mesh = mesh;
    this.#loop = loop;
    const host = {
      loop,
      mesh,
      budget,
      spec: (): UdpSpec => this.#spec!, // threads start after listen() has made it
      isListening: (): boolean => this.#address !== null,
      isClosing: (): boolean => this.#closing !== null,
      log: (error: unknown): void => this.#log(error),
    };
    this.#threads = Array.from(
      { length: threads },
      (_, thread) => new UdpThread(thread, host, restartBackoff),
    );
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
    await Promise.all(this.#alive().map((thread) => thread.call(UDP_TASKS.reload, spec)));
  }

  /** What all threads have received and sent; those of a thread that ended are lost with it. */
  async stats(): Promise<UdpStats> {
    if (this.#inline !== null) return this.#inline.stats();
    const stats = await Promise.all(this.#alive().map((thread) => thread.call(UDP_TASKS.stats)));
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
    const [first, ...others] = this.#threads;
    this.#address = first === undefined ? await this.#openInline(this.#spec) : await first.start();
    this.#checkOpen();
    this.#spec = { ...this.#spec, port: this.#address.port };
    for (const thread of others) {
      await thread.start();
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
    const { transport, datagramBytesMax, sendQueueBytesMax } = this.#options;
    const { receiveBufferBytes, sendBufferBytes } = this.#options;
    const host = (fd === null ? undefined : inheritedHost(fd)) ?? (await this.#resolveHost());
    const reusePort = this.#threads.length > 1;
    if (reusePort && port !== 0) refuseTakenPort(host, port, ipv6Only);
    const options = {
      ...(transport === undefined ? {} : { transport }),
      ...(codec === undefined ? {} : { codec }),
      ...(datagramBytesMax === undefined ? {} : { datagramBytesMax }),
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

  async #resolveHost(): Promise<string> {
    const { host = '' } = this.#options;
    return host === '' ? anyHost() : await numericHost(host, 'REACTOR_LISTEN_FAILED');
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

  #alive(): UdpThread[] {
    return this.#threads.filter(({ isAlive }) => isAlive);
  }

  async #close(drainTimeoutMs: number): Promise<{ drained: boolean }> {
    // What is still starting serves nobody: its threads end at once, and with them the wait for them.
    if (!this.#isOpen) for (const thread of this.#threads) void thread.terminate();
    await Promise.allSettled([this.#starting]); // listen() tells its caller
    const drained = await Promise.all([
      this.#inline?.close(drainTimeoutMs) ?? true,
      ...this.#threads.map((thread) => thread.close(drainTimeoutMs)),
    ]);
    this.#loop.close();
    this.#mesh.close();
    return { drained: drained.every(Boolean) };
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

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
