// `reactor-net render worker`: starts a worker node, says where it is once it takes work, and stops it when told to, when the
// main node asks it to drain, or when its renderers keep dying. render/worker does the work.

import { readFileSync } from 'node:fs';
import { createLogger, ReactorError } from '../reactor/index.js';
import {
  blenderRenderer,
  builtinRenderer,
  type Renderer,
  RenderError,
  type WorkerAddress,
  type WorkerEnd,
  WorkerMetrics,
  WorkerNode,
  type WorkerNodeOptions,
} from '../render/index.js';
import { listenAdmin } from './admin.js';
import { UsageError } from './flags.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';
import type { RenderWorkerOptions } from './render-worker-command.js';
import { explained } from './serve-app.js';
import { Shutdown } from './shutdown.js';

/** @returns the exit code, once the node has stopped */
export async function renderWorker(options: RenderWorkerOptions, io: Io): Promise<number> {
  const starting = new AbortController();
  // Ctrl-C reaches a whole terminal: whoever launched this node passes the wish on, once.
  const isSupervised = options.lifeline;
  const shutdown = new Shutdown({ isSupervised });
  const onSignal = (): void => starting.abort();
  process.once('SIGTERM', onSignal);
  if (!isSupervised) process.once('SIGINT', onSignal);
  const orphaned = options.lifeline ? endOf(process.stdin) : null;
  void orphaned?.then(onSignal);
  const { connectTimeoutMs } = options;
  let isLate = false;
  const timer = connectTimeoutMs > 0 ? setTimeout(onLate, connectTimeoutMs) : undefined;
  function onLate(): void {
    isLate = true;
    starting.abort();
  }
  const opened: (() => Promise<unknown>)[] = [];
  try {
    const logger = await createLogger({ level: options.logLevel });
    const node = await WorkerNode.start(logger, rendererOf(options), nodeOptions(options), starting.signal);
    clearTimeout(timer);
    opened.push(() => node.close(0));
    const metrics = new WorkerMetrics(() => node.figures());
    const { admin, listen } = await listenAdmin(options.metrics, {
      metrics: () => metrics.render(),
      ready: () => {
        const { isRegistered, isDraining, slots } = node.figures();
        return isRegistered && !isDraining && slots > 0;
      },
    });
    if (admin !== null) opened.push(() => admin.close());
    const listens = { rpc: node.address, ...listen };
    io.stdout.write(`${options.json ? readyJson(listens) : readyText(options, listens)}\n`);
    let end: WorkerEnd | null = null;
    const ended = node.ended.then((why) => {
      end = why;
    });
    const exitCode = await shutdown.run(
      {
        reload: async () => {},
        reloadFailed: () => {},
        drain: () => node.close(options.drainTimeoutMs),
        abandon: () => {},
      },
      Promise.race(orphaned === null ? [ended] : [ended, orphaned]),
    );
    return failureOf(end, io) ?? exitCode;
  } catch (error) {
    if (!(error instanceof RenderError) || error.code !== 'RENDER_CLOSED')
      throw explainedByFlag(options, error);
    if (!isLate) return 0; // it was told to stop before it had begun
    const where = options.main ?? options.registry?.join(',');
    io.stderr.write(
      `reactor-net: --main: no main node took this node at ${where} within ${connectTimeoutMs} ms\n`,
    );
    return EXIT_UNREACHABLE;
  } finally {
    clearTimeout(timer);
    for (const close of opened.toReversed()) await close();
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
    shutdown.close();
  }
}

/** A node whose renderers keep dying has failed, however well it has drained. */
function failureOf(end: WorkerEnd | null, io: Io): number | null {
  if (end === null || end.kind === 'drained') return null;
  io.stderr.write(`reactor-net: this node cannot go on: ${end.error.message}\n`);
  return EXIT_FAILED;
}

function rendererOf(options: RenderWorkerOptions): Renderer {
  const { backend, scene, object, device, threads, builtinSleepMs, builtinInstant } = options;
  switch (backend) {
    case 'builtin':
      return builtinRenderer({ sleepMs: builtinSleepMs, instant: builtinInstant });
    case 'blender':
      return blenderRenderer({ ...(scene === null ? {} : { scene }), object, device, threads });
    default:
      return backend satisfies never;
  }
}

function nodeOptions(options: RenderWorkerOptions): WorkerNodeOptions {
  const { main, registry, listen, advertise, name, tags, weight, min, max } = options;
  const { rendersMax, rssBytesMax, guard, coolDownMs, idleMs, checkImages, smoothing } = options;
  const { tlsCert, tlsKey, tlsCa, scenes, sceneBytes } = options;
  return {
    main,
    registry: registry?.join(',') ?? null,
    listen,
    advertise: advertise === null ? null : hostAndPort(advertise),
    ...(name === null ? {} : { name }),
    tags,
    weight,
    token: tokenOf(options),
    tls:
      tlsCert === null || tlsKey === null
        ? null
        : { certFile: tlsCert, keyFile: tlsKey, ...(tlsCa === null ? {} : { caFile: tlsCa }) },
    pool: { min, max, rssBytesMax, ...(rendersMax === null ? {} : { rendersMax }) },
    autoscaler: { guard, coolDownMs, idleMs },
    desk: { checkImages },
    scenes: { folder: scenes, bytesMax: sceneBytes },
    smoothing,
  };
}

function tokenOf({ token, tokenFile }: RenderWorkerOptions): string {
  if (tokenFile === null) return token ?? '';
  const read = readFileSync(tokenFile, 'utf8').trim();
  if (read === '') throw new UsageError(`--token-file: ${tokenFile} is empty; it should hold a secret`);
  return read;
}

function hostAndPort(text: string): WorkerAddress {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(at + 1)) };
}

/** A port that is busy, and a renderer that does not start, are told with the flag that asked for them. */
function explainedByFlag({ backend, scenes }: RenderWorkerOptions, error: unknown): unknown {
  if (error instanceof ReactorError && error.code === 'REACTOR_PORT_IN_USE')
    return explained('--listen', error);
  if (!(error instanceof RenderError)) return error;
  switch (error.code) {
    case 'RENDER_START_FAILED':
      return new Error(`--backend ${backend}: ${error.message}`, { cause: error });
    case 'RENDER_UNAUTHORIZED':
      return new Error(`--token-file: ${error.message}`, { cause: error });
    case 'RENDER_IO':
      return scenes === null ? error : new Error(`--scenes: ${error.message}`, { cause: error });
    default:
      return error;
  }
}

function endOf(input: NodeJS.ReadStream): Promise<void> {
  return new Promise((resolve) => {
    input.on('end', resolve).on('error', () => resolve());
    input.resume();
  });
}

interface WorkerListens {
  readonly rpc: string;
  readonly metrics?: string;
}

function readyJson(listen: WorkerListens): string {
  return JSON.stringify({ event: 'ready', pid: process.pid, listen });
}

function readyText(
  { main, registry, min, max, backend }: RenderWorkerOptions,
  listen: WorkerListens,
): string {
  const lines = [
    `reactor-net render worker (process ${process.pid}); Ctrl-C drains and stops`,
    `  RPC      ${listen.rpc}, registered at ${main ?? `the main node that ${registry?.join(',')} knows`}`,
    `  renders  ${backend}, ${min === max ? min : `${min} to ${max}`} processes`,
    ...(listen.metrics === undefined ? [] : [`  metrics  http://${listen.metrics}/metrics`]),
  ];
  return lines.join('\n');
}
