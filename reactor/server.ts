// What TcpServer and HttpServer have in common: where to listen, who may connect, whose code, which reactor.
// Options are checked and completed here, the one edge where they may be incomplete.

import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { isModule, moduleUrl } from './handler-module.js';
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_ADDRESS_MAX,
  CONNECTIONS_PER_THREAD_MAX,
  DRAIN_TIMEOUT_MS,
  LISTEN_BACKLOG,
} from './limits.js';
import type { Listener } from './listener.js';
import type { ListenAddress, ListenTarget } from './listening-socket.js';
import { checkHandlersOption, checkOptionTypes, type OptionKind } from './option-types.js';
import type { ReactorOptions } from './reactor-options.js';
import { Reactor } from './reactor.js';
import type { ServiceSpec } from './service.js';
import type { OccupancyLimits } from './shared-occupancy.js';
import type { TlsServerOptions } from './tls-options.js';

/** Options of the private reactor (threads, accept, dispatch…) count only when `reactor` is not given. */
export interface ServerOptions extends ReactorOptions {
  /** Join this reactor instead of making one; it is then not closed with the server. */
  reactor?: Reactor;
  /** Name or address. Default: all addresses, IPv6 and IPv4. */
  host?: string;
  /** 0 picks a free port. Default 0. */
  port?: number;
  /** A Unix socket instead of a port; a leading '\0' means the abstract namespace. */
  path?: string;
  /** A descriptor that already listens, e.g. from socket activation. It is duplicated. */
  fd?: number;
  /** Connections the kernel keeps until they are accepted. Default 4096, capped by net.core.somaxconn. */
  backlog?: number;
  /** Keep IPv4 off an IPv6 address. Default false. */
  ipv6Only?: boolean;
  /** Plain data for the handler module: the second argument of its default export, on every thread. */
  handlerData?: unknown;
  /** Speak TLS. */
  tls?: TlsServerOptions;
  /** Expect a PROXY protocol v2 header on every connection. Default false. */
  proxyProtocol?: boolean;
  /** Connections of this reactor at a time. Default 100,000. */
  connectionsMax?: number;
  /** Default 65,536. */
  connectionsPerThreadMax?: number;
  /** Connections from one address. Default 20,000. */
  connectionsPerAddressMax?: number;
}

/** The part of a service's description that all kinds share. */
export type CommonSpec = Pick<
  ServiceSpec,
  'id' | 'handlersUrl' | 'handlerData' | 'version' | 'tls' | 'isUnix' | 'proxyProtocol'
>;

/** A module by URL or path, or, where no thread needs to load it, a value. */
export type HandlersOption<T> = URL | string | T;

/** The options that nothing below judges by itself. */
const OPTION_KINDS: { readonly [Name in keyof ServerOptions]?: OptionKind } = {
  reactor: 'object',
  host: 'string',
  path: 'string',
  ipv6Only: 'boolean',
  tls: 'object',
  proxyProtocol: 'boolean',
};
/** sun_path of a Unix address, without its ending zero. */
const PATH_BYTES_MAX = 107;
const BACKLOG_MAX = 2 ** 31 - 1;

export abstract class Server<T> {
  readonly reactor: Reactor;
  readonly #options: ServerOptions;
  readonly #handlers: HandlersOption<T>;
  readonly #ownsReactor: boolean;
  readonly #limits: OccupancyLimits;
  readonly #target: ListenTarget;
  #listener: Listener | null = null;
  #isStarting = false;

  /** Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID */
  constructor(options: ServerOptions, handlers: HandlersOption<T>) {
    checkOptionTypes(options, OPTION_KINDS);
    checkHandlersOption(handlers);
    this.#options = options;
    this.#handlers = handlers;
    this.#limits = occupancyLimits(options);
    this.#target = listenTarget(options);
    this.#ownsReactor = options.reactor === undefined;
    this.reactor = options.reactor ?? new Reactor(options);
    if (!isModule(handlers) && this.reactor.inline === null) {
      if (this.#ownsReactor) void this.reactor.close(); // it has descriptors already
      throw invalid(
        'handlers must be the URL of a module: functions cannot cross to other threads (threads: 0 takes them)',
      );
    }
  }

  /** Where it listens; only after `listen`. @throws ReactorError REACTOR_CLOSED */
  get address(): ListenAddress {
    if (this.#listener === null) throw new ReactorError('REACTOR_CLOSED', 'the server does not listen');
    return this.#listener.address;
  }

  /**
   * Resolves once connections are accepted.
   * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_HANDLERS_INVALID, REACTOR_CLOSED
   */
  async listen(): Promise<ListenAddress> {
    if (this.#listener !== null || this.#isStarting) {
      throw new ReactorError('REACTOR_CLOSED', 'the server listens already');
    }
    this.#isStarting = true;
    try {
      const application = await this.#application();
      this.#listener = await this.reactor.attach(
        { target: this.#target, limits: this.#limits, application },
        (id) => this.describe(this.#commonSpec(id)),
      );
    } catch (error) {
      if (this.#ownsReactor) await this.reactor.close({ drainTimeoutMs: 0 });
      throw error;
    } finally {
      this.#isStarting = false;
    }
    return this.#listener.address;
  }

  /** Loads the handler module anew on every thread; see Reactor.reload. */
  async reload(): Promise<void> {
    await this.#listener?.reload();
  }

  /** Takes no further connections; those that are open go on. Idempotent; `close` does it by itself. */
  async stopAccepting(): Promise<void> {
    await this.#listener?.stopAccepting();
  }

  /**
   * Stops accepting, drains until `drainTimeoutMs` (default 10 s), closes the rest; ends the threads when the
   * reactor is its own. `drained` is false when connections had to be cut off.
   */
  async close(options: { drainTimeoutMs?: number } = {}): Promise<{ drained: boolean }> {
    if (this.#ownsReactor) return await this.reactor.close(options);
    const listener = this.#listener;
    this.#listener = null;
    if (listener === null) return { drained: true };
    return {
      drained: (await this.reactor.detach(listener, options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS)) === 0,
    };
  }

  /** For handlers that run on this thread. */
  protected get handlerData(): unknown {
    return this.#options.handlerData;
  }

  /** Completes the description that goes to every thread. */
  protected abstract describe(common: CommonSpec): ServiceSpec;

  #commonSpec(id: number): CommonSpec {
    const { tls, proxyProtocol = false, handlerData } = this.#options;
    const handlersUrl = isModule(this.#handlers) ? moduleUrl(this.#handlers) : '';
    const isUnix = this.#target.path !== undefined;
    return { id, handlersUrl, handlerData, version: 0, tls: tls ?? null, isUnix, proxyProtocol };
  }

  /** The handlers themselves where they were given as values; undefined: every thread loads the module. */
  async #application(): Promise<unknown> {
    if (isModule(this.#handlers)) return undefined;
    return this.instantiate(this.#handlers, this.reactor.loop);
  }

  protected abstract instantiate(handlers: T, loop: EventLoop): unknown;
}

function listenTarget(options: ServerOptions): ListenTarget {
  const { host, port, path, fd, backlog = LISTEN_BACKLOG, ipv6Only } = options;
  const given = [port, path, fd].filter((value) => value !== undefined);
  if (given.length > 1) throw invalid('give only one of port, path and fd');
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw invalid(`port must be an integer from 0 to 65535, not ${port}`);
  }
  if (fd !== undefined && !(Number.isInteger(fd) && fd >= 0))
    throw invalid(`fd must be a descriptor, not ${fd}`);
  if (path !== undefined && (path === '' || Buffer.byteLength(path) > PATH_BYTES_MAX))
    throw invalid(`path must have 1 to ${PATH_BYTES_MAX} bytes, not ${Buffer.byteLength(path)}`);
  if (!(Number.isInteger(backlog) && backlog > 0 && backlog <= BACKLOG_MAX))
    throw invalid(`backlog must be an integer from 1 to ${BACKLOG_MAX}, not ${backlog}`);
  return { host, port: port ?? 0, path, fd, backlog, ipv6Only };
}

function occupancyLimits(options: ServerOptions): OccupancyLimits {
  const limits = {
    connectionsMax: options.connectionsMax ?? CONNECTIONS_MAX,
    connectionsPerThreadMax: options.connectionsPerThreadMax ?? CONNECTIONS_PER_THREAD_MAX,
    connectionsPerAddressMax: options.connectionsPerAddressMax ?? CONNECTIONS_PER_ADDRESS_MAX,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (!(Number.isInteger(value) && value > 0))
      throw invalid(`${name} must be an integer above 0, not ${value}`);
  }
  return limits;
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
