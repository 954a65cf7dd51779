// Opens what the tools call through: an RpcClient, or a GrpcCaller with --grpc, as their flags say.
// Whoever opens it closes it. Retries, ejection and breakers are off: a tool shows what happens, not what helps.

import { readFileSync } from 'node:fs';
import type { TlsClientOptions } from '../reactor/index.js';
import {
  type Caller,
  connectRegistry,
  Metadata,
  type RegistryClient,
  registryScheme,
  RpcClient,
  RpcError,
} from '../rpc/index.js';
import { UsageError } from './flags.js';
import { isTls, type TargetFlags, TIMEOUT_MS } from './rpc-target-flags.js';

export interface Connection {
  readonly caller: Caller;
  /** Ends calls that are left. */
  close(): Promise<void>;
}

/** Connects to nothing yet; one connection to every instance when it is used. @throws UsageError */
export async function openConnection(flags: TargetFlags): Promise<Connection> {
  const target = flags.target ?? '';
  const common = {
    target,
    timeoutMs: flags.timeoutMs ?? TIMEOUT_MS,
    messageBytesMax: flags.messageBytesMax,
    ...(flags.tokenFile === null ? {} : { token: readFileSync(flags.tokenFile, 'utf8').trim() }),
    ...(isTls(flags) ? { tls: tlsOf(flags) } : {}),
  };
  try {
    if (flags.grpc) {
      const { GrpcCaller } = await import('../rpc/grpc/index.js');
      const caller = new GrpcCaller(common);
      return { caller, close: () => caller.close(0) };
    }
    const registry = flags.registry === null ? null : registryOf(flags, flags.registry);
    const client = new RpcClient({
      ...common,
      transport: flags.transport,
      serializers: [flags.serializer],
      retry: { attemptsMax: 1 },
      selector: { outlier: false, breaker: false },
      pool: { connectionsMin: 1, connectionsMax: 1, connectTimeoutMs: common.timeoutMs },
      ...(registry === null ? {} : { resolve: { schemes: { registry: registryScheme(registry) } } }),
    });
    return {
      caller: client,
      close: async () => {
        await client.close(0);
        await registry?.close();
      },
    };
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== 'RPC_OPTION_INVALID') throw error;
    throw new UsageError(error.message.startsWith('target') ? `--target: ${error.message}` : error.message);
  }
}

/** What `--header` says; a new one for each call. */
export function metadataOf({ headers }: TargetFlags): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of headers) metadata.add(name, value);
  return metadata;
}

function registryOf({ tls, tlsCa, tokenFile, timeoutMs }: TargetFlags, addresses: string): RegistryClient {
  return connectRegistry(addresses, {
    callTimeoutMs: timeoutMs ?? TIMEOUT_MS,
    ...(tokenFile === null ? {} : { token: readFileSync(tokenFile, 'utf8').trim() }),
    ...(tls || tlsCa !== null ? { tls: tlsCa === null ? {} : { caFile: tlsCa } } : {}),
  });
}

function tlsOf({ tlsCa, tlsCert, tlsKey, tlsServerName }: TargetFlags): TlsClientOptions {
  return {
    ...(tlsCa === null ? {} : { caFile: tlsCa }),
    ...(tlsCert === null || tlsKey === null ? {} : { certFile: tlsCert, keyFile: tlsKey }),
    ...(tlsServerName === null ? {} : { serverName: tlsServerName }),
  };
}
