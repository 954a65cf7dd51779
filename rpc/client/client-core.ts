// What all calls of one client share: the selector and the pool, the retry budget, the list of instances.
// rpc-client.ts makes one; resolver, pool and selector are joined here, and nowhere else.

import { performance } from 'node:perf_hooks';
import type { Balancer } from '../balance/balancer.js';
import { InstanceSelector, type SelectorOptions } from '../balance/instance-selector.js';
import { RpcError } from '../errors.js';
import type { Instance, Resolver } from '../instance.js';
import { ConnectionPool } from '../pool/connection-pool.js';
import type { PoolOptions } from '../pool/pool-options.js';
import { loopPoolTime, systemPoolTime } from '../pool/pool-time.js';
import { HedgingPolicy, type HedgingOptions } from '../resilience/hedging-policy.js';
import { RetryBudget, type RetryBudgetOptions } from '../resilience/retry-budget.js';
import { type RetryOptions, RetryPolicy } from '../resilience/retry-policy.js';
import { CallCounters } from '../server/call-counters.js';
import type { ClientSession } from '../session/client-session.js';
import { LIST_TIMEOUT_MS } from '../limits.js';
import { STATUS } from '../status.js';
import { remade } from './call-context.js';
import { type DialOptions, dialSession } from './dial.js';

export interface CoreOptions {
  readonly service: string;
  readonly resolver: Resolver;
  readonly balancer: Balancer;
  readonly selector: SelectorOptions;
  readonly pool: PoolOptions;
  readonly retry: RetryOptions;
  readonly retryBudget: RetryBudgetOptions;
  readonly hedging: HedgingOptions | null;
  readonly dial: DialOptions;
}

/** Ends waiting for a connection. */
export interface HostWaiter {
  cancel(): void;
}

/** Calls that may wait for the first list of instances. */
const WAITING_MAX = 10_000;

export class ClientCore {
  readonly selector: InstanceSelector;
  readonly pool: ConnectionPool<ClientSession>;
  readonly retryPolicy: RetryPolicy;
  readonly budget: RetryBudget;
  /** Null: calls are not hedged. */
  readonly hedging: HedgingPolicy | null;
  readonly counters: CallCounters = new CallCounters();
  retries = 0;
  readonly #service: string;
  readonly #resolver: Resolver;
  readonly #isExclusive: boolean;
  #hasList = false;
  #resolveError: RpcError | null = null;
  readonly #waiting = new Set<() => void>();
  /** What calls that wait for time alone do when the client closes. */
  readonly #atClose = new Set<() => void>();
  /** Instances whose connection state is looked at once this turn is over. */
  readonly #unsynced = new Set<string>();
  readonly #failedUntil = new Map<string, NodeJS.Timeout>();
  #instances: readonly Instance[] = [];
  #isClosed = false;
  readonly #countedLosses = new WeakSet<object>();

  /** @throws RpcError RPC_OPTION_INVALID */
  constructor(options: CoreOptions) {
    this.#service = options.service;
    this.#resolver = options.resolver;
    this.#isExclusive = options.pool.mode === 'exclusive';
    this.selector = new InstanceSelector(options.service, options.balancer, options.selector);
    this.retryPolicy = new RetryPolicy(Math.random, options.retry);
    if (this.retryPolicy.warning !== null) process.emitWarning(this.retryPolicy.warning);
    this.budget = new RetryBudget(options.retryBudget);
    this.hedging = options.hedging === null ? null : new HedgingPolicy(options.hedging);
    const { loop } = options.dial;
    const { onEvent } = options.pool;
    this.pool = new ConnectionPool(
      (instance, signal) => this.#dial(instance, options.dial, signal),
      loop === null ? systemPoolTime : loopPoolTime(loop),
      Math.random,
      {
        ...options.pool,
        onEvent: (event) => {
          this.#syncSoon(event.instanceId);
          onEvent?.(event);
        },
      },
    );
    this.#resolver.start({
      onInstances: (instances) => this.#listed(instances),
      onError: (error) => {
        this.#resolveError = error;
      },
    });
  }

  nowMs(): number {
    return performance.now();
  }

  get hasList(): boolean {
    return this.#hasList;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get instances(): readonly Instance[] {
    return this.#instances;
  }

  /** Why the list is not fresh; null when it is. */
  get resolveError(): RpcError | null {
    return this.#resolveError;
  }

  /** Calls `goOn` once there is a list. False when too many wait already. */
  awaitList(goOn: () => void): boolean {
    if (this.#waiting.size >= WAITING_MAX) return false;
    this.#waiting.add(goOn);
    return true;
  }

  forgetWaiting(goOn: () => void): void {
    this.#waiting.delete(goOn);
  }

  /** Calls `goOn` when the client closes, unless it is taken back before. */
  atClose(goOn: () => void): void {
    this.#atClose.add(goOn);
  }

  notAtClose(goOn: () => void): void {
    this.#atClose.delete(goOn);
  }

  closedError(): RpcError {
    return new RpcError('RPC_CLOSED', 'the client is closed', { executed: 'no' });
  }

  /** What a call is told that has waited for the first list for as long as it may; null: it has no deadline. */
  noListError(deadline: RpcError | null): RpcError {
    const cause = this.#resolveError;
    const why = cause === null ? 'no list of instances has come' : cause.message;
    if (deadline !== null) return remade(deadline, `${deadline.message}: ${why}`, 'no', cause);
    const code = cause === null ? 'RPC_NO_INSTANCE' : 'RPC_RESOLVE_FAILED';
    const text = `no instance of ${this.#service} was told within ${LIST_TIMEOUT_MS} ms: ${why}`;
    return new RpcError(code, text, { executed: 'no', ...(cause === null ? {} : { cause }) });
  }

  /** Nobody could be chosen: the list may be old. */
  noteNoInstance(): void {
    this.#resolver.refresh();
  }

  /**
   * Whether the event behind `error` was counted for another call: a lost connection takes all calls on it along, and
   * is one failure of the service, not hundreds.
   */
  isCounted({ code, cause }: RpcError): boolean {
    if (code !== 'RPC_CONNECTION_LOST' || typeof cause !== 'object' || cause === null) return false;
    if (this.#countedLosses.has(cause)) return true;
    this.#countedLosses.add(cause);
    return false;
  }

  /** Gives a connection back where calls do not share them. */
  release(session: ClientSession): void {
    if (this.#isExclusive) this.pool.release(session);
  }

  retried(): void {
    this.retries += 1;
  }

  callStarted(path: string): void {
    this.counters.started(path);
  }

  callEnded(path: string, error: RpcError | null, latencyMs: number): void {
    this.counters.ended(path, error === null ? STATUS.OK : STATUS[error.status], latencyMs);
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#failedUntil.values()) clearTimeout(timer);
    this.#failedUntil.clear();
    const waiting = [...this.#waiting, ...this.#atClose];
    this.#waiting.clear();
    this.#atClose.clear();
    for (const goOn of waiting) goOn();
    await Promise.all([this.#resolver.close(), this.pool.close(drainMs)]);
  }

  #listed(instances: readonly Instance[]): void {
    if (this.#isClosed) return;
    this.#instances = instances;
    this.#resolveError = null;
    this.selector.update(instances);
    this.pool.setInstances(instances);
    this.#hasList = true;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const goOn of waiting) goOn();
  }

  async #dial(instance: Instance, options: DialOptions, signal: AbortSignal): Promise<ClientSession> {
    this.#syncSoon(instance.id);
    try {
      const session = await dialSession(instance, options, signal);
      session.onServerLeaving = () => {
        this.selector.markDraining(instance.id, this.nowMs());
        this.#resolver.refresh();
      };
      session.onEnded = () => this.#syncSoon(instance.id);
      if (session.isUsable) this.selector.markServing(instance.id); // else its GOAWAY came with its HELLO
      return session;
    } catch (error) {
      this.#resolver.refresh();
      throw error;
    } finally {
      this.#syncSoon(instance.id);
    }
  }

  /** Tells the selector what the pool has to an instance, once the pool has come to rest. */
  #syncSoon(id: string): void {
    if (this.#unsynced.size === 0) setImmediate(() => this.#sync());
    this.#unsynced.add(id);
  }

  #sync(): void {
    const stats = new Map(this.pool.stats().map((host) => [host.instanceId, host]));
    for (const id of this.#unsynced) {
      const host = stats.get(id);
      const state = host?.state;
      if (state === 'backoff' || state === 'quarantine') this.#failed(id, host!.backoffMs);
      else this.selector.setConnection(id, state === 'ready' || state === 'connecting' ? state : 'idle');
    }
    this.#unsynced.clear();
  }

  /** Nobody is sent there until it may be dialled again. */
  #failed(id: string, backoffMs: number): void {
    this.selector.setConnection(id, 'failed');
    clearTimeout(this.#failedUntil.get(id));
    const timer = setTimeout(() => {
      this.#failedUntil.delete(id);
      this.selector.setConnection(id, 'idle');
    }, backoffMs);
    timer.unref();
    this.#failedUntil.set(id, timer);
  }
}
