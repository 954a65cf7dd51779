// The options of an RpcClient, and the check that names the one that is wrong before anything is begun.
// rpc-client.ts completes them; the objects among them are checked by those they are for.

import type { EventLoop, TlsClientOptions, TransportName } from '../../reactor/index.js';
import type { Balancer } from '../balance/balancer.js';
import type { BalancerName } from '../balance/create-balancer.js';
import type { InstanceRoute } from '../balance/instance-route.js';
import type { SelectorOptions } from '../balance/instance-selector.js';
import type { Resolver } from '../instance.js';
import type { Middleware } from '../middleware.js';
import { checkKinds, hasMethod, invalidOption, isFunctionList, type OptionKinds } from '../option-checks.js';
import type { PoolOptions } from '../pool/pool-options.js';
import type { HedgingOptions } from '../resilience/hedging-policy.js';
import type { RetryBudgetOptions } from '../resilience/retry-budget.js';
import type { RetryOptions } from '../resilience/retry-policy.js';
import type { ResolverForOptions } from '../resolve/resolver-for.js';
import type { SessionOptions } from '../session/session-options.js';
import { TOKEN_BYTES_MAX } from '../wire/hello.js';

export interface RpcClientOptions extends SessionOptions {
  /** Where the instances are: `host:port`, a list, `dns:…`, `file:…`, `unix:…`; or a resolver of yours. */
  target: string | Resolver;
  /** Further schemes of targets, such as `registry:`, and how names are looked up. */
  resolve?: ResolverForOptions;
  /** For messages and metrics. Default: the target. */
  name?: string;
  /** How an instance is chosen: a name, or a balancer of yours. Default 'peak-ewma'. */
  balancer?: BalancerName | Balancer;
  /** Which instances are wanted: by version, group and tags. Default all. */
  route?: InstanceRoute;
  /** Ejection, panic threshold, circuit breakers. */
  selector?: Omit<SelectorOptions, 'route'>;
  pool?: PoolOptions;
  /** attemptsMax 1 is no retry. */
  retry?: RetryOptions;
  retryBudget?: RetryBudgetOptions;
  /** Unary idempotent calls are sent to a second instance when the first is slow, instead of retries. Default off. */
  hedging?: HedgingOptions;
  /** Milliseconds a call may take, all attempts together, unless it says otherwise. Default 10,000. */
  timeoutMs?: number;
  /** Around every call, the first one outermost. */
  middleware?: readonly Middleware[];
  /** Shown to servers that ask for one. */
  token?: string;
  tls?: TlsClientOptions;
  /** Default 'net'; 'epoll' speaks no TLS. */
  transport?: TransportName;
  /** Inside a handler module: its loop. */
  loop?: EventLoop;
  /** Shown to servers in HELLO. Default 'reactor-net'. */
  agent?: string;
}

const KINDS: OptionKinds<RpcClientOptions> = {
  target: 'any',
  resolve: 'object',
  name: 'string',
  balancer: 'any',
  route: 'object',
  selector: 'object',
  pool: 'object',
  retry: 'object',
  retryBudget: 'object',
  hedging: 'object',
  timeoutMs: 'number',
  middleware: 'any',
  token: 'string',
  tls: 'object',
  transport: 'string',
  loop: 'object',
  agent: 'string',
  // Of SessionOptions, which session-options.ts judges.
  messageBytesMax: 'any',
  metadataBytesMax: 'any',
  streamWindowBytes: 'any',
  connectionWindowBytes: 'any',
  streamsMax: 'any',
  keepaliveIntervalMs: 'any',
  keepaliveTimeoutMs: 'any',
  pingIntervalMsMin: 'any',
  helloTimeoutMs: 'any',
  compression: 'any',
  compressBytesMin: 'any',
  serializers: 'any',
};

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function checkClientOptions(options: RpcClientOptions): void {
  checkKinds('client', KINDS, options);
  const { target, balancer, timeoutMs, middleware, token = '' } = options;
  if (typeof target !== 'string' && !hasMethod(target, 'start'))
    throw invalidOption('client', 'target', "must be text such as 'host:port', or a resolver");
  if (balancer !== undefined && typeof balancer !== 'string' && !hasMethod(balancer, 'pick'))
    throw invalidOption('client', 'balancer', 'must be a name or a balancer');
  if (timeoutMs !== undefined && !(timeoutMs > 0))
    throw invalidOption('client', 'timeoutMs', `must be above 0, not ${timeoutMs}`);
  if (middleware !== undefined && !isFunctionList(middleware))
    throw invalidOption('client', 'middleware', 'must be a list of functions');
  // The client listens itself, and passes on.
  const { onEvent } = options.pool ?? {};
  if (onEvent !== undefined && typeof onEvent !== 'function')
    throw invalidOption('pool', 'onEvent', 'must be a function');
  if (Buffer.byteLength(token) > TOKEN_BYTES_MAX)
    throw invalidOption('client', 'token', `must be no longer than ${TOKEN_BYTES_MAX} bytes`);
}
