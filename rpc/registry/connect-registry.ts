// A RegistryClient over real connections: one RpcClient for each address of the registry.
// What usually repeats calls and keeps away from instances is off: sessions and resolvers do their own trying again.

import type { TlsClientOptions } from '../../reactor/index.js';
import { RpcClient } from '../client/rpc-client.js';
import { RpcError } from '../errors.js';
import type { Resolver } from '../instance.js';
import { completeRegistryOptions, RegistryClient, type RegistryClientOptions } from './registry-client.js';
import { registryContract } from './registry-contract.js';
import type { RegistryResolverOptions } from './resolver.js';

export interface ConnectRegistryOptions extends RegistryClientOptions {
  /** Shown to the registry. Default none. */
  token?: string;
  /** Default: no TLS. */
  tls?: TlsClientOptions | null;
}

/** Connections to one registry; sessions, watches and calls share them. */
const CONNECTIONS_MAX = 2;
const CONNECT_TIMEOUT_MS = 5000;
/** A registry that said goodbye and is there again is asked again. */
const DRAINING_MS = 500;

/**
 * Connects to nothing yet, and never fails for a registry that is away.
 * @param addresses `host:port`, one or more, as a list or with commas
 * @throws RpcError RPC_OPTION_INVALID
 */
export function connectRegistry(
  addresses: string | readonly string[],
  options: ConnectRegistryOptions = {},
): RegistryClient {
  const { token = '', tls = null, ...rest } = options;
  const complete = completeRegistryOptions(rest);
  const { retryFirstMs, retryCapMs, callTimeoutMs } = complete;
  if (typeof addresses !== 'string' && !Array.isArray(addresses))
    throw new RpcError(
      'RPC_OPTION_INVALID',
      'addresses must be text such as host:port, or a list of such texts',
    );
  const names = (typeof addresses === 'string' ? addresses.split(',') : addresses).map((name) => name.trim());
  if (names.length === 0) throw new RpcError('RPC_OPTION_INVALID', 'name at least one registry');
  const clients = names.map(
    (target) =>
      new RpcClient({
        target,
        name: `the registry ${target}`,
        token,
        ...(tls === null ? {} : { tls }),
        timeoutMs: callTimeoutMs,
        retry: { attemptsMax: 1 },
        selector: { outlier: false, breaker: false, drainingMs: DRAINING_MS },
        pool: {
          connectionsMin: 0,
          connectionsMax: CONNECTIONS_MAX,
          connectTimeoutMs: CONNECT_TIMEOUT_MS,
          backoffFirstMs: retryFirstMs,
          backoffMaxMs: retryCapMs,
        },
      }),
  );
  return new RegistryClient(
    {
      contract: registryContract(),
      endpoints: clients.map((caller, index) => ({ name: names[index]!, caller })),
      owned: clients.map((client) => ({ close: () => client.close(0) })),
    },
    complete,
  );
}

/** For targets of the form `registry:demo.Greeter`: goes into a client's resolver schemes. */
export function registryScheme(
  client: RegistryClient,
  options: RegistryResolverOptions = {},
): (service: string) => Resolver {
  return (service) => client.resolver(service, options);
}
