// RPC servers and clients in a Prometheus registry of the user's: calls by method and status, latencies, connections.
// Several of a kind go into one registry under their names. call-metrics.ts has what servers and clients share.

import { Counter, Gauge, type Registry } from 'prom-client';
import type { SelectorSnapshot } from './balance/instance-selector.js';
import { registerCalls, Scrape } from './call-metrics.js';
import type { HostPoolStats } from './pool/pool-stats.js';
import type { CallFigures } from './server/call-counters.js';

const SERVER_PREFIX = 'reactor_net_rpc_server_';
const CLIENT_PREFIX = 'reactor_net_rpc_client_';

/** Of one thread, or of a whole server. */
export interface ServerFigures {
  readonly calls: readonly CallFigures[];
  /** Where the server counts them. */
  readonly connections?: number;
}

/** An RpcServer, or the gRPC adapter's server. */
export interface MeteredServer {
  figures(): ServerFigures | Promise<readonly ServerFigures[]>;
}

export interface ClientFigures {
  readonly calls: readonly CallFigures[];
  readonly retries?: number;
  readonly instances?: SelectorSnapshot;
  readonly hosts?: readonly HostPoolStats[];
}

/** An RpcClient, or the gRPC adapter's caller. */
export interface MeteredClient {
  figures(): ClientFigures;
}

/** What is registered already, so that a second server or client joins the first. */
const serverScrapes = new WeakMap<Registry, Scrape<readonly ServerFigures[]>>();
const clientScrapes = new WeakMap<Registry, Scrape<ClientFigures>>();

/**
 * Adds `reactor_net_rpc_server_…` of `server` to `registry`, summed over its threads.
 * @param name the label `server`. Default 'rpc'
 * @returns takes the server out again
 */
export function registerServerMetrics(
  registry: Registry,
  server: MeteredServer,
  name: string = 'rpc',
): () => void {
  let scrape = serverScrapes.get(registry);
  if (scrape === undefined) {
    scrape = new Scrape();
    serverScrapes.set(registry, scrape);
    registerServer(registry, scrape);
  }
  return scrape.add(name, async () => [await server.figures()].flat());
}

/**
 * Adds `reactor_net_rpc_client_…` of `client` to `registry`.
 * @param name the label `client`, as a rule the service that it calls
 * @returns takes the client out again
 */
export function registerClientMetrics(registry: Registry, client: MeteredClient, name: string): () => void {
  let scrape = clientScrapes.get(registry);
  if (scrape === undefined) {
    scrape = new Scrape();
    clientScrapes.set(registry, scrape);
    registerClient(registry, scrape);
  }
  return scrape.add(name, () => client.figures());
}

function registerServer(registry: Registry, scrape: Scrape<readonly ServerFigures[]>): void {
  const callsOf = (threads: readonly ServerFigures[]): CallFigures[] => threads.flatMap(({ calls }) => calls);
  registerCalls(registry, SERVER_PREFIX, 'server', scrape, callsOf);
  const failures: Counter = new Counter({
    name: `${SERVER_PREFIX}handler_failures_total`,
    help: 'Calls whose handler failed with something that is no RpcError.',
    labelNames: ['server', 'method'],
    registers: [registry],
    collect: async () => {
      failures.reset();
      for (const { name, figures } of await scrape.figures()) {
        for (const { path, handlerFailures } of callsOf(figures))
          failures.inc({ server: name, method: path.slice(1) }, handlerFailures);
      }
    },
  });
  const connections: Gauge = new Gauge({
    name: `${SERVER_PREFIX}connections`,
    help: 'Connections of clients that are open.',
    labelNames: ['server'],
    registers: [registry],
    collect: async () => {
      connections.reset();
      for (const { name, figures } of await scrape.figures()) {
        for (const { connections: count } of figures)
          if (count !== undefined) connections.inc({ server: name }, count);
      }
    },
  });
}

type ClientColumn = readonly [name: string, help: string, of: (figures: ClientFigures) => number | undefined];

const overHosts =
  (of: (host: HostPoolStats) => number) =>
  ({ hosts }: ClientFigures): number | undefined =>
    hosts?.reduce((sum, host) => sum + of(host), 0);

const CLIENT_COUNTERS: readonly ClientColumn[] = [
  ['retries_total', 'Attempts beyond the first.', ({ retries }) => retries],
  ['dials_total', 'Connections that were begun.', overHosts(({ totals }) => totals.dials)],
  [
    'dial_failures_total',
    'Connections that did not come about.',
    overHosts(({ totals }) => totals.dialsFailed),
  ],
  ['connections_lost_total', 'Connections that ended with an error.', overHosts(({ totals }) => totals.lost)],
  [
    'quarantines_total',
    'Times that an instance lost many connections at once.',
    overHosts(({ totals }) => totals.quarantines),
  ],
  [
    'connection_wait_timeouts_total',
    'Waits for a connection that got none in time.',
    overHosts(({ totals }) => totals.timedOut),
  ],
];

const CLIENT_GAUGES: readonly ClientColumn[] = [
  ['connections', 'Connections that are open.', overHosts(({ connections }) => connections)],
  ['connections_waited_for', 'Attempts that wait for a connection.', overHosts(({ waiting }) => waiting)],
  ['instances', 'Instances that are known.', ({ instances }) => instances?.instances.length],
  [
    'instances_ejected',
    'Instances that get no calls for a while because they failed.',
    ({ instances }) => instances?.instances.filter(({ ejectedForMs }) => ejectedForMs !== null).length,
  ],
  [
    'panicking',
    '1 while so many instances are ejected that all get calls again.',
    ({ instances }) => (instances === undefined ? undefined : Number(instances.isPanicking)),
  ],
];

function registerClient(registry: Registry, scrape: Scrape<ClientFigures>): void {
  registerCalls(registry, CLIENT_PREFIX, 'client', scrape, ({ calls }) => calls);
  const options = { labelNames: ['client'], registers: [registry] };
  for (const [name, help, of] of CLIENT_COUNTERS) {
    const counter: Counter = new Counter({
      ...options,
      name: CLIENT_PREFIX + name,
      help,
      collect: async () => {
        counter.reset();
        for (const each of await scrape.figures()) counter.inc({ client: each.name }, of(each.figures) ?? 0);
      },
    });
  }
  for (const [name, help, of] of CLIENT_GAUGES) {
    const gauge: Gauge = new Gauge({
      ...options,
      name: CLIENT_PREFIX + name,
      help,
      collect: async () => {
        gauge.reset();
        for (const each of await scrape.figures()) {
          const value = of(each.figures);
          if (value !== undefined) gauge.set({ client: each.name }, value);
        }
      },
    });
  }
}
