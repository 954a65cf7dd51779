// `reactor-net render main`: starts a main node, its web page and its registration, says where it is, and stops it when
// told to. render/main does the work.

import { readFileSync } from 'node:fs';
import { createLogger, formatAddress, type Logger, ReactorError } from '../reactor/index.js';
import {
  type FarmWeb,
  MainMetrics,
  MainNode,
  type MainNodeOptions,
  MainSeat,
  RenderError,
  serveFarmWeb,
} from '../render/index.js';
import { connectRegistry, type RegistryClient } from '../rpc/index.js';
import { listenAdmin } from './admin.js';
import { UsageError } from './flags.js';
import { EXIT_REPLACED, type Io } from './main.js';
import { packageVersion } from './package-version.js';
import type { RenderMainOptions } from './render-main-command.js';
import { explained } from './serve-app.js';
import { Shutdown } from './shutdown.js';

interface Listen {
  readonly rpc: string;
  readonly grpc?: string;
  readonly http?: string;
  readonly metrics?: string;
}

/** What workers and drivers look for in a registry. */
const SERVICES = ['blendersim.Emulate', 'reactornet.render.Farm'] as const;

/** @returns the exit code, once the main node has stopped */
export async function renderMain(options: RenderMainOptions, io: Io): Promise<number> {
  // Ctrl-C reaches a whole terminal: whoever launched this process passes the wish on, once.
  const shutdown = new Shutdown({ isSupervised: options.lifeline });
  const opened: (() => Promise<unknown>)[] = [];
  try {
    const logger = await createLogger({ level: options.logLevel });
    const seat = await takeSeat(options, logger, io, shutdown.signal);
    if (seat === 'stopped') return 0;
    if (seat !== null) opened.push(() => seat.close());
    const store = seat?.store((error) => logger.error({ err: error }, 'the jobs in the KV')) ?? null;
    const node = await MainNode.start(logger, mainNodeOptions(options), { store }).catch((error: unknown) => {
      throw explainedByFlag(options, error);
    });
    opened.push(() => node.close(0));
    const metrics = new MainMetrics(node.farm, () => node.figures());
    const web = await openWeb(options, node, metrics, logger);
    if (web !== null) opened.push(() => web.close());
    const { admin, listen: metricsListen } = await listenAdmin(options.metrics, {
      metrics: () => metrics.all(),
      ready: () => node.notReady === null,
    });
    if (admin !== null) opened.push(() => admin.close());
    const registry = register(options, node, logger);
    if (registry !== null) opened.push(() => registry.close());
    const listen: Listen = {
      ...node.addresses,
      ...(web === null ? {} : { http: formatAddress(web) }),
      ...metricsListen,
    };
    await seat?.proclaim(node.addresses.rpc);
    io.stdout.write(`${options.json ? readyJson(listen) : readyText(listen)}\n`);
    const lost = seat?.lost ?? null;
    const exitCode = await shutdown.run(
      {
        reload: async () => {},
        reloadFailed: () => {},
        // Who has lost the seat speaks for nobody any more.
        drain: () => node.close(lost?.aborted === true ? 0 : options.drainTimeoutMs),
        abandon: () => {},
      },
      endOf(options.lifeline ? process.stdin : null, lost),
    );
    if (lost?.aborted !== true) return exitCode;
    logger.error(
      { code: 'RENDER_STATE' },
      'the seat of the main node was lost: another one may have it by now',
    );
    return EXIT_REPLACED;
  } finally {
    for (const close of opened.toReversed()) await close();
    shutdown.close();
  }
}

function mainNodeOptions(options: RenderMainOptions): MainNodeOptions {
  const { listen, grpc, data, drivers, nodes, nodeVersion, tlsCert, tlsKey, tlsCa } = options;
  return {
    listen,
    grpc,
    dataDir: data,
    driverToken: tokenOf('token-file', options.tokenFile),
    nodeToken: tokenOf('node-token-file', options.nodeTokenFile),
    driversMax: drivers,
    nodesMax: nodes,
    nodeVersion,
    resultMemoryBytes: options.resultMemory,
    resultBytesMax: options.resultBytes,
    resultKeepMs: options.resultKeepMs,
    jobKeepMs: options.jobKeepMs,
    sceneBytesMax: options.sceneBytes,
    scheduler: { retriesMax: options.retries },
    tls:
      tlsCert === null || tlsKey === null
        ? null
        : { certFile: tlsCert, keyFile: tlsKey, ...(tlsCa === null ? {} : { caFile: tlsCa }) },
  };
}

async function openWeb(
  options: RenderMainOptions,
  node: MainNode,
  metrics: MainMetrics,
  logger: Logger,
): Promise<FarmWeb | null> {
  const { http, tlsCert, tlsKey } = options;
  if (http === null) return null;
  const token = tokenOf('token-file', options.tokenFile);
  try {
    return await serveFarmWeb(node.farm, {
      ...http,
      tokens: () => (token === '' ? [] : [token]),
      tls: tlsCert === null || tlsKey === null ? null : { certFile: tlsCert, keyFile: tlsKey },
      notReady: () => node.notReady,
      metrics: () => metrics.own(),
      mainAddress: node.addresses.rpc,
      version: packageVersion(),
      onError: (error) => logger.error({ err: error }, 'the web page'),
    });
  } catch (error) {
    throw explained('--http', error);
  }
}

/** Null without --registry. A registry that is away is told as soon as it is there. */
function register(options: RenderMainOptions, node: MainNode, logger: Logger): RegistryClient | null {
  if (options.registry === null) return null;
  const client = connectRegistry(options.registry);
  const { rpc } = node.addresses;
  const registration = client.register({
    ...(options.advertise === null ? {} : { host: options.advertise }),
    port: Number(rpc.slice(rpc.lastIndexOf(':') + 1)),
    services: SERVICES.map((service) => ({ service, version: packageVersion() })),
    onState: (state, reason, registry) => {
      if (reason === null) logger.info({ registry, state }, `the registry ${registry}: ${state}`);
      else logger.warn({ registry, state, code: reason.code }, `the registry ${registry}: ${reason.message}`);
    },
  });
  node.server.beforeDrain(registration.leave);
  return client;
}

/** A port that is busy and a folder that cannot be had are told with the flag that asked for them. */
function explainedByFlag({ grpc }: RenderMainOptions, error: unknown): unknown {
  if (error instanceof RenderError) {
    if (error.code === 'RENDER_IO' || error.code === 'RENDER_STATE') return explained('--data', error);
    if (error.code === 'RENDER_UNAVAILABLE' && grpc !== null) return explained('--grpc', error);
  }
  return error instanceof ReactorError ? explained('--listen', error) : error;
}

function tokenOf(flag: string, file: string | null): string {
  if (file === null) return '';
  const token = readFileSync(file, 'utf8').trim();
  if (token === '') throw new UsageError(`--${flag}: ${file} is empty; it should hold a secret`);
  return token;
}

/** Null without --kv. Waits as a standby until it is this one's turn. */
async function takeSeat(
  options: RenderMainOptions,
  logger: Logger,
  io: Io,
  signal: AbortSignal,
): Promise<MainSeat | null | 'stopped'> {
  const { kv, kvName: name, kvTtlMs: ttlMs, kvTokenFile, kvTlsCa, kvTlsCert, kvTlsKey, json } = options;
  if (kv === null) return null;
  const token = tokenOf('kv-token-file', kvTokenFile);
  const tls = {
    ...(kvTlsCa === null ? {} : { caFile: kvTlsCa }),
    ...(kvTlsCert === null || kvTlsKey === null ? {} : { certFile: kvTlsCert, keyFile: kvTlsKey }),
  };
  const clerk = {
    endpoints: kv,
    ...(token === '' ? {} : { token }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
  const { pid } = process;
  io.stdout.write(
    json
      ? `${JSON.stringify({ event: 'standby', pid, name })}\n`
      : `reactor-net render main (process ${pid}) stands by for the seat of ${name}; Ctrl-C stops\n`,
  );
  try {
    return await MainSeat.take(logger, clerk, { name, ttlMs, value: String(pid) }, signal);
  } catch (error) {
    if (error instanceof RenderError && error.code === 'RENDER_CANCELED') return 'stopped';
    throw explained('--kv', error);
  }
}

/** Null: nothing else than a signal ends it. */
function endOf(input: NodeJS.ReadStream | null, lost: AbortSignal | null): Promise<void> | null {
  if (input === null && lost === null) return null;
  return new Promise((resolve) => {
    const end = (): void => resolve();
    input?.on('end', end).on('error', end).resume();
    if (lost?.aborted === true) end();
    lost?.addEventListener('abort', end, { once: true });
  });
}

function readyJson(listen: Listen): string {
  return JSON.stringify({ event: 'ready', pid: process.pid, listen });
}

function readyText({ rpc, grpc, http, metrics }: Listen): string {
  const near = (address: string): string => address.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, 'localhost');
  const lines = [
    `reactor-net render main (process ${process.pid}); Ctrl-C stops`,
    `  RPC      ${rpc}  (reactor-net render worker --main ${near(rpc)})`,
    ...(grpc === undefined ? [] : [`  gRPC     ${grpc}`]),
    ...(http === undefined ? [] : [`  pages    http://${near(http)}/`]),
    ...(metrics === undefined ? [] : [`  metrics  http://${near(metrics)}/metrics`]),
  ];
  return lines.join('\n');
}
