// The client of one service, or of several on the same instances: what a user constructs and generated clients stand on.
// It finds instances by a resolver, chooses by a balancer, keeps connections in a pool, and tries again as its policy says.

import { createBalancer } from '../balance/create-balancer.js';
import type { SelectorSnapshot } from '../balance/instance-selector.js';
import type { CallOptions, Caller, Messages, ResponseStream } from '../call.js';
import type { MethodContract } from '../contract.js';
import { CALL_TIMEOUT_MS } from '../limits.js';
import type { HostPoolStats } from '../pool/pool-stats.js';
import { resolverFor } from '../resolve/resolver-for.js';
import type { CallFigures } from '../server/call-counters.js';
import { resolveSessionOptions } from '../session/session-options.js';
import { ClientCore } from './client-core.js';
import { checkClientOptions, type RpcClientOptions } from './client-options.js';
import { DirectCaller } from './direct-caller.js';
import { MiddlewareCaller } from './middleware-caller.js';

export type { RpcClientOptions };

export interface RpcClientFigures {
  readonly calls: readonly CallFigures[];
  readonly retries: number;
  readonly instances: SelectorSnapshot;
  readonly hosts: readonly HostPoolStats[];
}

export class RpcClient implements Caller {
  readonly #core: ClientCore;
  readonly #caller: Caller;

  /** Connects to nothing yet. @throws RpcError RPC_OPTION_INVALID */
  constructor(options: RpcClientOptions) {
    checkClientOptions(options);
    const { target, timeoutMs = CALL_TIMEOUT_MS, middleware = [], balancer = 'peak-ewma', route } = options;
    const session = resolveSessionOptions(options);
    this.#core = new ClientCore({
      service: options.name ?? (typeof target === 'string' ? target : 'the service'),
      resolver: typeof target === 'string' ? resolverFor(target, options.resolve) : target,
      balancer: typeof balancer === 'string' ? createBalancer(balancer, Math.random) : balancer,
      selector: { ...options.selector, ...(route === undefined ? {} : { route }) },
      pool: options.pool ?? {},
      retry: options.retry ?? {},
      retryBudget: options.retryBudget ?? {},
      hedging: options.hedging ?? null,
      dial: {
        session,
        transport: options.transport ?? 'net',
        tls: options.tls ?? null,
        token: options.token ?? '',
        agent: options.agent ?? 'reactor-net',
        loop: options.loop ?? null,
        connectTimeoutMs: options.pool?.connectTimeoutMs ?? 10_000,
      },
    });
    const direct = new DirectCaller(this.#core, timeoutMs);
    this.#caller = middleware.length === 0 ? direct : new MiddlewareCaller(direct, middleware, timeoutMs);
  }

  unary<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): Promise<A> {
    return this.#caller.unary(method, request, options);
  }

  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): ResponseStream<A> {
    return this.#caller.serverStream(method, request, options);
  }

  clientStream<Q, A>(method: MethodContract<Q, A>, requests: Messages<Q>, options?: CallOptions): Promise<A> {
    return this.#caller.clientStream(method, requests, options);
  }

  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): ResponseStream<A> {
    return this.#caller.bidiStream(method, requests, options);
  }

  /** What it knows and did, for metrics and status pages. */
  figures(): RpcClientFigures {
    const core = this.#core;
    return {
      calls: core.counters.figures(),
      retries: core.retries,
      instances: core.selector.snapshot(core.nowMs()),
      hosts: core.pool.stats(),
    };
  }

  /** Refuses new calls, lets those under way finish for up to `drainMs` (default 10 s), then ends them. Idempotent. */
  close(drainMs: number = 10_000): Promise<void> {
    return this.#core.close(drainMs);
  }
}
