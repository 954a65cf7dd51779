// How a worker node gets at its main node: by its address, or by asking a registry; and how the main node gets at it.
// worker-node.ts opens one of these; its link and its scenes call through it.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { type Caller, connectRegistry, parseInstance, RpcClient } from '../../rpc/index.js';
import { Emulate } from '../proto/render.js';
import type { CompleteWorkerOptions, WorkerAddress } from './worker-options.js';

export interface MainConnection {
  readonly caller: Caller;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 3000;
const BACKOFF_MS_MAX = 2000;
/** A main node that said good-bye and is there again is asked again. */
const DRAINING_MS = 500;
const CONNECTIONS_MAX = 2;
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Connects to nothing yet. @throws RpcError RPC_OPTION_INVALID */
export function connectMain({ main, registry, token, tls }: CompleteWorkerOptions): MainConnection {
  const registryClient = registry === null ? null : connectRegistry(registry);
  const client = new RpcClient({
    target: registryClient === null ? main! : registryClient.resolver(Emulate.fullName),
    name: `the main node${main === null ? '' : ` ${main}`}`,
    token,
    ...(tls === null ? {} : { tls }),
    // The link does its own trying again, for ever; nothing may keep it from asking.
    retry: { attemptsMax: 1 },
    selector: { outlier: false, breaker: false, drainingMs: DRAINING_MS },
    pool: {
      connectionsMin: 0,
      connectionsMax: CONNECTIONS_MAX,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      backoffMaxMs: BACKOFF_MS_MAX,
    },
  });
  return {
    caller: client,
    close: async () => {
      await client.close(0);
      await registryClient?.close();
    },
  };
}

/** Where others reach what listens at `bound`: of a wildcard, the address from which this machine calls the main node. */
export async function reachableAddress(
  bound: WorkerAddress,
  { main, registry }: Pick<CompleteWorkerOptions, 'main' | 'registry'>,
): Promise<WorkerAddress> {
  if (!WILDCARDS.has(bound.host)) return { host: bound.host, port: bound.port };
  const [first = ''] = (main ?? registry ?? '').split(',');
  const { host, port } = parseInstance(first.trim());
  return { host: await addressToward(host, port), port: bound.port };
}

/** Nothing is sent: connecting a UDP socket asks the routing table alone. */
async function addressToward(host: string, port: number): Promise<string> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.connect(port, host);
    await once(socket, 'connect');
    return socket.address().address;
  } finally {
    socket.close();
  }
}
