// The first level of the pool: one host pool per instance, the bound on all connections together, the cleaner.
// client/ makes one per RpcClient, hands it every list of its resolver, and takes connections from its host pools.

import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';
import { type AcquireOptions, HostPool, type HostPoolOwner } from './host-pool.js';
import { type CompletePoolOptions, completePoolOptions, type PoolOptions } from './pool-options.js';
import type { HostPoolStats } from './pool-stats.js';
import type { PoolTime } from './pool-time.js';
import type { Dial, PoolableConnection } from './poolable.js';
import { PooledConnection } from './pooled-connection.js';

export class ConnectionPool<C extends PoolableConnection> {
  readonly #dial: Dial<C>;
  readonly #time: PoolTime;
  readonly #random: () => number;
  readonly #options: CompletePoolOptions;
  /** By instance id; those that are leaving too. */
  readonly #hosts: Map<string, HostPool<C>> = new Map();
  readonly #owner: HostPoolOwner<C>;
  /** Hosts that found no place among all connections, longest wait first. */
  readonly #starved: Set<HostPool<C>> = new Set();
  #slotsTaken: number = 0;
  /** Connections that were asked to close to make room and have not ended yet. */
  #evictions: number = 0;
  #cleaner: unknown = null;
  #closing: Promise<void> | null = null;
  #onEmpty: (() => void) | null = null;

  /** @throws RpcError RPC_OPTION_INVALID */
  constructor(dial: Dial<C>, time: PoolTime, random: () => number, options: PoolOptions = {}) {
    this.#dial = dial;
    this.#time = time;
    this.#random = random;
    this.#options = completePoolOptions(options);
    this.#owner = {
      takeSlot: (host, isUrgent) => this.#takeSlot(host, isUrgent),
      giveSlot: () => this.#giveSlot(),
      dropClaim: (host) => void this.#starved.delete(host),
      hostEmptied: (host) => this.#hostEmptied(host),
    };
  }

  /** Connections that exist or are being made, to all hosts. */
  get connections(): number {
    return this.#slotsTaken;
  }

  /**
   * The host pool of `instance`, made when there is none. Stays the same while the instance is listed; that of one
   * that was taken off the list refuses with RPC_NO_INSTANCE until it has finished its calls.
   * @throws RpcError RPC_CLOSED
   */
  host(instance: Instance): HostPool<C> {
    const known = this.#hosts.get(instance.id);
    if (known !== undefined) return known;
    if (this.#closing !== null)
      throw new RpcError('RPC_CLOSED', 'the connection pool is closed', { executed: 'no' });
    const host = new HostPool(instance, this.#owner, this.#dial, this.#time, this.#random, this.#options);
    this.#hosts.set(instance.id, host);
    this.#cleaner ??= this.#time.runAfter(this.#options.cleanEveryMs, () => this.#clean(), true);
    return host;
  }

  /** See HostPool.tryAcquire. */
  tryAcquire(instance: Instance, nowMs?: number): C | null {
    return this.host(instance).tryAcquire(nowMs);
  }

  /** See HostPool.acquire. */
  async acquire(instance: Instance, options?: AcquireOptions): Promise<C> {
    return this.host(instance).acquire(options);
  }

  /** Exclusive mode: gives back what any of the host pools has lent. See HostPool.release. */
  release(connection: C): void {
    const member = connection.poolListener;
    if (member instanceof PooledConnection) member.release();
  }

  /** The whole list: host pools of instances that are not on it finish their calls and close. */
  setInstances(instances: readonly Instance[]): void {
    if (this.#closing !== null) return;
    const listed = new Map(instances.map((instance) => [instance.id, instance]));
    for (const [id, host] of this.#hosts) {
      const instance = listed.get(id);
      if (instance === undefined) host.leave();
      else host.listed(instance);
    }
  }

  stats(): HostPoolStats[] {
    return [...this.#hosts.values()].map((host) => host.stats());
  }

  /**
   * Refuses new calls, lets those under way finish for up to `drainMs`, then destroys what is left. Never rejects;
   * called again it joins the first, whose `drainMs` holds.
   */
  close(drainMs: number = 30_000): Promise<void> {
    this.#closing ??= this.#closeAll(drainMs);
    return this.#closing;
  }

  async #closeAll(drainMs: number): Promise<void> {
    if (this.#cleaner !== null) this.#time.cancel(this.#cleaner);
    this.#cleaner = null;
    const emptied = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const host of this.#hosts.values()) host.close();
    if (this.#hosts.size === 0) return;
    const error = new RpcError(
      'RPC_CLOSED',
      `the client was closed and the call did not end within ${drainMs} ms`,
    );
    const timer = this.#time.runAfter(drainMs, () => {
      for (const host of this.#hosts.values()) host.destroy(error);
    });
    await emptied;
    this.#time.cancel(timer);
  }

  #clean(): void {
    this.#cleaner = this.#time.runAfter(this.#options.cleanEveryMs, () => this.#clean(), true);
    const nowMs = this.#time.nowMs();
    for (const host of this.#hosts.values()) host.clean(nowMs);
  }

  /** Who only wants to keep its minimum comes after all who have calls waiting. */
  #takeSlot(host: HostPool<C>, isUrgent: boolean): boolean {
    const isFree = this.#slotsTaken < this.#options.connectionsTotalMax;
    if (isFree && (isUrgent || this.#starved.size === 0)) {
      this.#slotsTaken += 1;
      return true;
    }
    if (isUrgent) {
      this.#starved.add(host);
      if (this.#evictions < this.#starved.size) this.#makeRoom(host);
    }
    return false;
  }

  /** Closes the connection that is idle for longest, of whichever other host. */
  #makeRoom(forHost: HostPool<C>): void {
    const nowMs = this.#time.nowMs();
    let idlest: HostPool<C> | null = null;
    let idlestMs = -1;
    for (const host of this.#hosts.values()) {
      const idleMs = host === forHost ? -1 : host.longestIdleMs(nowMs);
      if (idleMs > idlestMs) {
        idlest = host;
        idlestMs = idleMs;
      }
    }
    if (idlest === null) return;
    this.#evictions += 1;
    idlest.closeLongestIdle();
  }

  #giveSlot(): void {
    this.#slotsTaken -= 1;
    this.#evictions = Math.max(0, this.#evictions - 1);
    for (const host of this.#starved) {
      if (this.#slotsTaken >= this.#options.connectionsTotalMax) return;
      host.mayDial();
    }
  }

  #hostEmptied(host: HostPool<C>): void {
    this.#starved.delete(host);
    if (this.#hosts.get(host.instance.id) === host) this.#hosts.delete(host.instance.id);
    if (this.#hosts.size === 0) this.#onEmpty?.();
  }
}
