// `reactor-net registry serve`: starts a registry, says where it is, and stops it when told to.
// rpc/registry does the work.

import { readFileSync } from 'node:fs';
import type { Clerk } from '../kv/index.js';
import { createLogger, type Logger } from '../reactor/index.js';
import {
  type RegistryAddresses,
  RegistryServer,
  type RegistryStore,
  type RegistryStoreParts,
} from '../rpc/index.js';
import type { Io } from './main.js';
import type { RegistryServeOptions } from './registry-command.js';
import { Shutdown } from './shutdown.js';

/** @returns the exit code, once the registry has stopped */
export async function registryServe(options: RegistryServeOptions, io: Io): Promise<number> {
  const shutdown = new Shutdown({ isSupervised: false });
  let close: () => Promise<void> = async () => {};
  try {
    const logger = await createLogger({ level: options.logLevel });
    const { listen, http, data, tokenFile, leaseTtlMs, sessionTtlMs, probe, tlsCert, tlsKey, tlsCa } =
      options;
    const clerk = await clerkOf(options);
    if (clerk !== null) close = () => clerk.close();
    const registry = await RegistryServer.start(logger, {
      ...(clerk === null ? {} : { openStore: await storeOn(clerk, logger) }),
      ...listen,
      http,
      dataDir: data,
      tokenFile,
      ttlMs: leaseTtlMs,
      ...(sessionTtlMs === null ? {} : { lostSessionMs: sessionTtlMs }),
      probes: probe === 'on',
      ...(tlsCert === null || tlsKey === null
        ? {}
        : { tls: { certFile: tlsCert, keyFile: tlsKey, ...(tlsCa === null ? {} : { caFile: tlsCa }) } }),
    });
    io.stdout.write(`${options.json ? readyJson(registry.addresses) : readyText(registry.addresses)}\n`);
    return await shutdown.run({
      reload: () => registry.reload(),
      reloadFailed: (error) => logger.error({ err: error }, 'the token file is wrong; the old rules go on'),
      drain: async () => {
        const { cut } = await registry.close(options.drainTimeoutMs);
        if (cut > 0) logger.warn({ cut }, 'calls were cut at the deadline');
        return cut === 0;
      },
      abandon: () => {},
    });
  } finally {
    await close();
    shutdown.close();
  }
}

/** Null without --kv; the KV layer is loaded only for it. */
async function clerkOf(options: RegistryServeOptions): Promise<Clerk | null> {
  const { kv, kvTokenFile, kvTlsCa, kvTlsCert, kvTlsKey } = options;
  if (kv === null) return null;
  const { Clerk } = await import('../kv/index.js');
  const tls = {
    ...(kvTlsCa === null ? {} : { caFile: kvTlsCa }),
    ...(kvTlsCert === null || kvTlsKey === null ? {} : { certFile: kvTlsCert, keyFile: kvTlsKey }),
  };
  return new Clerk({
    endpoints: kv,
    ...(kvTokenFile === null ? {} : { token: readFileSync(kvTokenFile, 'utf8').trim() }),
    ...(kvTlsCa === null && kvTlsCert === null ? {} : { tls }),
  });
}

async function storeOn(
  clerk: Clerk,
  logger: Logger,
): Promise<(parts: RegistryStoreParts) => Promise<RegistryStore>> {
  const { KvRegistryStore } = await import('../kv/index.js');
  return (parts) =>
    KvRegistryStore.open({
      ...parts,
      clerk,
      onFailure: (error) => logger.warn({ err: error }, 'the key-value store behind the registry'),
    });
}

function readyJson(listen: RegistryAddresses): string {
  return JSON.stringify({ event: 'ready', pid: process.pid, listen });
}

function readyText({ rpc, http }: RegistryAddresses): string {
  const lines = [
    `reactor-net registry (process ${process.pid}); Ctrl-C stops`,
    `  RPC      ${rpc}`,
    ...(http === undefined
      ? []
      : [`  pages    http://${http.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, 'localhost')}/`]),
  ];
  return lines.join('\n');
}
