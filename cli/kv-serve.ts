// `reactor-net kv serve`: starts a member, says where it is, and stops it when told to, or when it cannot go on.
// kv/kv-server.ts does the work.

import { readFileSync } from 'node:fs';
import { KvServer, type KvAddresses } from '../kv/index.js';
import { createLogger, ReactorError } from '../reactor/index.js';
import { UsageError } from './flags.js';
import type { KvServeOptions } from './kv-serve-command.js';
import type { Io } from './main.js';
import { optimizeEarly } from './optimize-early.js';
import { packageVersion } from './package-version.js';
import { explained } from './serve-app.js';
import { Shutdown } from './shutdown.js';

/** @returns the exit code, once the member has stopped */
export async function kvServe(options: KvServeOptions, io: Io): Promise<number> {
  optimizeEarly();
  const starting = new AbortController();
  // Ctrl-C reaches a whole terminal: whoever launched this member passes the wish on, once.
  const isSupervised = options.lifeline;
  const shutdown = new Shutdown({ isSupervised });
  const onSignal = (): void => starting.abort();
  process.once('SIGTERM', onSignal);
  if (!isSupervised) process.once('SIGINT', onSignal);
  try {
    const logger = await createLogger({ level: options.logLevel });
    const server = await KvServer.start(logger, serverOptions(options), {}, starting.signal).catch(
      (error: unknown) => {
        throw explainedByFlag(options, error);
      },
    );
    io.stdout.write(
      `${options.json ? readyJson(server.addresses) : readyText(options.id, server.addresses)}\n`,
    );
    let failure: Error | null = null;
    const over = server.stopped.then((event) => {
      if (event.kind === 'failed') failure = event.error;
    });
    const orphaned = options.lifeline ? endOf(process.stdin) : new Promise<void>(() => {});
    const exitCode = await shutdown.run(
      {
        reload: () => server.reload(),
        reloadFailed: (error) =>
          logger.error({ err: error }, 'the file of users is wrong; the old ones stay'),
        drain: () => server.close(options.drainTimeoutMs),
        abandon: () => {},
      },
      Promise.race([over, orphaned]),
    );
    if (failure === null) return exitCode;
    io.stderr.write(`reactor-net: member ${options.id} cannot go on: ${messageOf(failure)}\n`);
    return 1;
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
    shutdown.close();
  }
}

/** A port that is busy and a folder that cannot be made are told with the flag that asked for them. */
function explainedByFlag({ id, cluster, listen, resp, http }: KvServeOptions, error: unknown): unknown {
  if ((error as NodeJS.ErrnoException).syscall === 'mkdir') return explained('--data', error);
  if (!(error instanceof ReactorError) || error.code !== 'REACTOR_PORT_IN_USE') return error;
  const isOf = (address: KvServeOptions['listen']): boolean =>
    address !== null && error.message.includes(`:${address.port} `);
  if (isOf(resp)) return explained('--resp', error);
  if (isOf(http)) return explained('--http', error);
  return explained(listen === null && cluster.has(id) ? '--cluster' : '--listen', error);
}

function serverOptions(options: KvServeOptions): Parameters<typeof KvServer.start>[1] {
  const { id, cluster, join, learner, listen, resp, advertiseResp, data, http, clusterId } = options;
  const { tlsCert, tlsKey, tlsCa, tlsMemberName, heartbeatMs, electionMs, leaseReads } = options;
  const { snapshotEvery, snapshotBytes, quotaBytes, valueBytesMax, protocolVersion } = options;
  return {
    id,
    cluster,
    join,
    learner,
    listen,
    resp,
    advertiseResp,
    usersFile: options.users,
    dataDir: data,
    http,
    clusterId,
    tls:
      tlsCert === null || tlsKey === null
        ? null
        : { certFile: tlsCert, keyFile: tlsKey, ...(tlsCa === null ? {} : { caFile: tlsCa }) },
    certificateName: tlsMemberName,
    token: tokenOf(options.tokenFile),
    version: packageVersion(),
    quotaBytes,
    valueBytesMax,
    ...(protocolVersion === null ? {} : { protocolVersion }),
    heartbeatMs,
    electionMs,
    leaseReads,
    ...(snapshotEvery === null ? {} : { snapshotEntries: snapshotEvery }),
    ...(snapshotBytes === null ? {} : { snapshotBytes }),
  };
}

function tokenOf(file: string | null): string {
  if (file === null) return '';
  const token = readFileSync(file, 'utf8').trim();
  if (token === '') throw new UsageError(`--token-file: ${file} is empty; it should hold a secret`);
  return token;
}

function endOf(input: NodeJS.ReadStream): Promise<void> {
  return new Promise((resolve) => {
    input.on('end', resolve).on('error', () => resolve());
    input.resume();
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function readyJson(listen: KvAddresses): string {
  return JSON.stringify({ event: 'ready', pid: process.pid, listen });
}

function readyText(id: number, { rpc, resp, http }: KvAddresses): string {
  const lines = [
    `reactor-net kv member ${id} (process ${process.pid}); Ctrl-C stops`,
    `  RPC      ${rpc}`,
    ...(resp === undefined
      ? []
      : [`  Redis    ${resp}  (redis-cli -p ${resp.slice(resp.lastIndexOf(':') + 1)})`]),
    ...(http === undefined ? [] : [`  pages    http://${http}/status`]),
  ];
  return lines.join('\n');
}
