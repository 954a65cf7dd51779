// An RPC client for each member that is asked, made when it is first needed.
// The RPC layer's own retries, ejection and long pauses are off: clerk-policy.ts decides about those.

import { detached, RpcClient } from '../../rpc/index.js';
import { KvClient } from '../proto/kv.js';
import type { CompleteClerkOptions } from './clerk-options.js';

interface MemberClient {
  readonly rpc: RpcClient;
  readonly kv: KvClient;
}

/** Answers may be somewhat longer than what they carry. */
const MESSAGE_BYTES_MAX = 8 * 1024 ** 2;

export class MemberClients {
  readonly #options: CompleteClerkOptions;
  readonly #clients = new Map<string, MemberClient>();

  constructor(options: CompleteClerkOptions) {
    this.#options = options;
  }

  /** @throws RpcError RPC_OPTION_INVALID */
  of(address: string): KvClient {
    const known = this.#clients.get(address);
    if (known !== undefined) return known.kv;
    const rpc = detached(() => this.#open(address));
    const client = { rpc, kv: new KvClient(rpc) };
    this.#clients.set(address, client);
    return client.kv;
  }

  async close(drainMs: number): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.all(clients.map(({ rpc }) => rpc.close(drainMs)));
  }

  #open(target: string): RpcClient {
    const { timeoutMs, token, tls, loop, transport } = this.#options;
    return new RpcClient({
      target,
      timeoutMs,
      agent: 'reactor-net-clerk',
      balancer: 'round-robin',
      messageBytesMax: MESSAGE_BYTES_MAX,
      keepaliveIntervalMs: 10_000,
      keepaliveTimeoutMs: 5_000,
      retry: { attemptsMax: 1 },
      selector: { outlier: false, breaker: false, drainingMs: 250 },
      pool: {
        connectionsMin: 1,
        connectionsMax: 4,
        callsPerConnectionSoftMax: 500, // a member takes 1,024 on one
        connectTimeoutMs: 3_000,
        backoffFirstMs: 50,
        backoffMaxMs: 500,
        quarantineFailures: 1_000_000,
      },
      ...(token === undefined ? {} : { token }),
      ...(tls === undefined ? {} : { tls }),
      ...(loop === undefined ? {} : { loop }),
      ...(transport === undefined ? {} : { transport }),
    });
  }
}
