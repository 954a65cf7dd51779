// The servers of `reactor-net serve` in one process: one reactor, and a server for each listener.
// serve.ts runs one by itself, serve-processes.ts one in each supervised process; they print, wait and stop it.

import { constants } from 'node:os';
import { AddonError } from '../addon/index.js';
import {
  HttpServer,
  type ListenAddress as BoundAddress,
  formatAddress,
  type Logger,
  Metrics,
  Reactor,
  ReactorError,
  type RequestSample,
  type ServerOptions,
  TcpServer,
  type TransportName,
  UdpServer,
  type UdpStats,
} from '../reactor/index.js';
import type { RpcServer } from '../rpc/index.js';
import { ECHO_BYTES_MAX } from './http-handlers.js';
import type { ListenAddress, ListenDescriptor, ListenPath } from './listen-address.js';
import { figuresOf, type ProcessFigures } from './live-stats.js';
import type { ListenMap } from './ready-line.js';
import type { ServeOptions } from './serve-options.js';
import { UdpFigures } from './udp-figures.js';

/** Our own applications, by transport: node:http serves only on 'net'. */
const HTTP_HANDLERS: Readonly<Record<TransportName, URL>> = {
  net: new URL('./http-handlers.js', import.meta.url),
  epoll: new URL('./http1-handlers.js', import.meta.url),
};
const RPC_SERVICES = new URL('./demo-services.js', import.meta.url);
const UDP_HANDLERS = new URL('./udp-handlers.js', import.meta.url);

/** The metrics and health endpoint is not here: it belongs to the process, or to the master of several. */
export class ServeApp {
  readonly #options: ServeOptions;
  readonly #reactor: Reactor;
  readonly #udp: UdpServer | null;
  readonly #udpFigures: UdpFigures;
  readonly #servers: (TcpServer | HttpServer)[] = [];
  #rpc: RpcServer | null = null;
  #metrics: Metrics | null = null;

  /** Starts nothing yet. */
  constructor(logger: Logger, options: ServeOptions) {
    const { threads, accept, dispatch, transport, pin, udp } = options;
    this.#options = options;
    this.#reactor = new Reactor({ threads, accept, dispatch, transport, pin, logger });
    this.#udpFigures = new UdpFigures(this.#reactor.counters.row('main'));
    this.#udp =
      udp === null
        ? null
        : new UdpServer({ ...udp, transport, threads: Math.min(threads, 1), handlers: UDP_HANDLERS, logger });
  }

  /** Resolves to where it listens, once every listener accepts. @throws Error whose message names the flag */
  async start(): Promise<ListenMap> {
    const { tcp, http, unix, rpc } = this.#options;
    return {
      ...(tcp === null ? {} : { tcp: await named('--tcp', this.#listenTcp(tcp), '--handlers') }),
      ...(http === null ? {} : { http: await named('--http', this.#listenHttp(http), '--http-handlers') }),
      ...(unix === null ? {} : { unix: await named('--unix', this.#listenTcp(unix), '--handlers') }),
      ...(rpc === null ? {} : { rpc: await named('--rpc', this.#listenRpc(rpc)) }),
      ...(this.#udp === null ? {} : { udp: await named('--udp', this.#udp.listen()) }),
    };
  }

  async figures(): Promise<ProcessFigures> {
    await this.refresh();
    return figuresOf(this.#reactor.counters);
  }

  /** Made when somebody asks first: watching the garbage collector is not free. */
  get metrics(): Metrics {
    const { processIndex } = this.#options;
    const labels = processIndex === null ? {} : { process: String(processIndex) };
    this.#metrics ??= new Metrics(this.#reactor.counters, labels);
    return this.#metrics;
  }

  requests(): Promise<RequestSample> {
    return this.#reactor.sampleRequests();
  }

  /** Brings the figures up to date for whoever looks; those of UDP are in the main thread's row. */
  async refresh(): Promise<void> {
    const [stats] = await Promise.all([this.#udpStats(), this.#reactor.refresh()]);
    if (stats !== undefined) this.#udpFigures.enter(stats);
  }

  async reload(): Promise<void> {
    await Promise.all([this.#reactor.reload(), this.#udp?.reload()]);
  }

  /** Resolves to whether everything under way was finished in time. */
  async drain(): Promise<boolean> {
    const { drainTimeoutMs } = this.#options;
    const deadline = { drainTimeoutMs };
    const servers = [...this.#servers, ...(this.#udp === null ? [] : [this.#udp])];
    const [closed, rpc] = await Promise.all([
      Promise.all(servers.map((server) => server.close(deadline))),
      this.#rpc?.close({ graceMs: drainTimeoutMs }),
    ]);
    const { drained } = await this.#reactor.close(deadline); // only now: RPC tells its clients before it hangs up
    return drained && closed.every((server) => server.drained) && (rpc?.cut ?? 0) === 0;
  }

  async #udpStats(): Promise<UdpStats | undefined> {
    try {
      return await this.#udp?.stats();
    } catch {
      return undefined; // its thread is being started again; the old figures stand meanwhile
    }
  }

  #listenTcp(target: ListenAddress | ListenPath | ListenDescriptor): Promise<BoundAddress> {
    const { handlers, frameBytesMax, idleTimeoutMs, drainTimeoutMs } = this.#options;
    const server = new TcpServer({
      ...this.#common(target),
      handlers: handlers ?? new URL('./serve-handlers.js', import.meta.url),
      codec: { kind: 'tlv', frameBytesMax },
      idleTimeoutMs,
      drainTimeoutMs,
    });
    this.#servers.push(server);
    return server.listen();
  }

  async #listenRpc(target: ListenAddress | ListenDescriptor): Promise<BoundAddress> {
    const { RpcServer } = await import('../rpc/index.js'); // as much code as all the rest
    this.#rpc = new RpcServer({ ...this.#common(target), services: RPC_SERVICES });
    return this.#rpc.listen();
  }

  #listenHttp(target: ListenAddress | ListenDescriptor): Promise<BoundAddress> {
    const { transport } = this.#reactor;
    const { httpHandlers } = this.#options;
    const handlers = httpHandlers ?? HTTP_HANDLERS[transport];
    const limits = httpHandlers === null && transport === 'epoll' ? { bodyBytesMax: ECHO_BYTES_MAX } : {};
    const server = new HttpServer({ ...this.#common(target), ...limits, handlers });
    this.#servers.push(server);
    return server.listen();
  }

  #common(target: ListenAddress | ListenPath | ListenDescriptor): ServerOptions {
    const { tlsCert, tlsKey, tlsCa, connectionsMax, connectionsPerAddressMax } = this.#options;
    const tls =
      tlsCert === null || tlsKey === null
        ? {}
        : { tls: { certFile: tlsCert, keyFile: tlsKey, ...(tlsCa === null ? {} : { caFile: tlsCa }) } };
    return { ...target, ...tls, reactor: this.#reactor, connectionsMax, connectionsPerAddressMax };
  }
}

/**
 * Names the flag in what went wrong with it, and says what would be right.
 * @param handlersFlag to blame for a handler module that does not load
 */
export async function named(
  flag: string,
  listening: Promise<BoundAddress>,
  handlersFlag: string = flag,
): Promise<string> {
  try {
    return formatAddress(await listening);
  } catch (error) {
    const isModule = error instanceof ReactorError && error.code === 'REACTOR_HANDLERS_INVALID';
    throw explained(isModule ? handlersFlag : flag, error);
  }
}

export function explained(flag: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  const right = flag === '--unix' ? 'another path' : 'another address, or port 0 for a free one';
  const advice = isInUse(error) ? `; choose ${right}` : '';
  return new Error(`${flag}: ${message}${advice}`, { cause: error });
}

function isInUse(error: unknown): boolean {
  if (error instanceof ReactorError) return error.code === 'REACTOR_PORT_IN_USE';
  return error instanceof AddonError && error.errno === constants.errno.EADDRINUSE;
}
