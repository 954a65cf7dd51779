// The registry's store over the key-value store: any number of registries on it have one list, and none of them is the centre.
// Each keeps a view of all keys by a watch and answers lists and watches from it; what it changes it waits to see there.
// One of them, elected among all, takes away what has run out, as far as the guard permits.

import {
  type CheckedRegistration,
  type Clock,
  ExpiryGuard,
  type HeartbeatAnswer,
  type Lease,
  LeaseSweeper,
  type ListedInstance,
  REGISTRY_LIMITS,
  type RegistryChangeBatch,
  type RegistryStore,
  type RegistryStoreParts,
  RpcError,
  type ServiceList,
  type ServiceSummary,
  type StoreFigures,
  StoreWatches,
  WatchHub,
  type WatchOptions,
  type WatchPosition,
  type WatchUpdate,
} from '../../rpc/index.js';
import type { Clerk } from '../client/clerk.js';
import type { KvPair } from '../client/pair.js';
import { KvError } from '../errors.js';
import { Election, type Leadership } from '../recipes/election.js';
import { type LeaseRecord, RegistryKeys } from './registry-keys.js';
import { RegistryView, type SeenPair } from './registry-view.js';
import { asRpcError, RegistryWrites } from './registry-writes.js';

export interface KvRegistryParts extends RegistryStoreParts {
  /** The store does not close it. */
  readonly clerk: Clerk;
  /** What keeps it from following the keys, for the log; it goes on trying. Default: nobody hears of it. */
  readonly onFailure?: (error: unknown) => void;
}

/** Where the registry's keys begin. */
const ROOT = 'registry/';
const ELECTION_TTL_MS = 10_000;
const LOOK_MS_MAX = 1000;
const RETRY_MS = 1000;
/** How long a change may take to be seen in the view. */
const SEEN_MS_MAX = 10_000;
const PROGRESS_MS = 1000;

export class KvRegistryStore implements RegistryStore {
  readonly #parts: KvRegistryParts;
  readonly #clock: Clock;
  readonly #keys = new RegistryKeys(ROOT);
  readonly #view = new RegistryView(this.#keys);
  readonly #hub: WatchHub;
  readonly #watches: StoreWatches;
  readonly #writes: RegistryWrites;
  readonly #times: {
    ttlMs: number;
    lostSessionMs: number;
    emptyGraceMs: number;
    heldMsMax: number;
    probeIntervalMs: number;
  };
  readonly #lookMs: number;
  readonly #counters = { registrations: 0, heartbeats: 0, deregistered: 0, expired: 0, holds: 0 };
  /** Open sessions of this registry's clients, and when each lease was heard last. */
  readonly #sessions = new Map<string, number>();
  readonly #heardMs = new Map<string, number>();
  /** Lists that were given, until the next look. */
  readonly #lists = new Map<string, { revision: number | null; instances: readonly ListedInstance[] }>();
  /** Leases that may go, until they are gone. */
  readonly #leaving = new Map<string, Promise<number>>();
  /** Their instances, by service. */
  readonly #leavingCounts = new Map<string, number>();
  readonly #seen = new Set<{ readonly revision: number; readonly wake: () => void }>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  #sweeper: LeaseSweeper | null = null;
  #cancelLook: () => void = () => {};
  generation: string = '';

  /** Resolves once it has seen what is there. @throws KvError */
  static async open(parts: KvRegistryParts): Promise<KvRegistryStore> {
    const store = new KvRegistryStore(parts);
    store.generation = await store.#agreeOnGeneration();
    const from = await store.#load();
    store.#running.push(store.#follow(from), store.#lead());
    store.#cancelLook = store.#scheduleLook();
    return store;
  }

  private constructor(parts: KvRegistryParts) {
    const { clock, options, clerk, newId } = parts;
    const { ttlMs = 30_000, lostSessionMs = Number.POSITIVE_INFINITY, emptyGraceMs = 60_000 } = options;
    const { heldMsMax = 3_600_000, probeIntervalMs = 10_000, historyBatchesMax } = options;
    this.#parts = parts;
    this.#clock = clock;
    this.#times = { ttlMs, lostSessionMs, emptyGraceMs, heldMsMax, probeIntervalMs };
    this.#lookMs = Math.min(LOOK_MS_MAX, Math.ceil(ttlMs / 10));
    const limits = { ...REGISTRY_LIMITS, ...options.limits };
    this.#hub = new WatchHub(historyBatchesMax);
    const watched = {
      position: () => this.#position(),
      listed: (service: string) => this.#list(service),
      settlingMs: () => 0, // what is registered outlives every registry
    };
    this.#watches = new StoreWatches(watched, this.#hub, clock, limits.watchersMax);
    this.#writes = new RegistryWrites(clerk, this.#keys, this.#view, limits, newId);
  }

  /** This registry is the one that takes away what has run out. */
  get isSweeping(): boolean {
    return this.#sweeper !== null;
  }

  async register(registration: CheckedRegistration): Promise<{ lease: Lease; revision: number }> {
    const { leaseId, ttlMs } = registration;
    // Its session is about to begin; when its process dies before, that counts as the end of one.
    const isAlone = leaseId === null || !this.#sessions.has(leaseId);
    const storeTtlMs = isAlone ? Math.min(ttlMs, this.#times.lostSessionMs) : ttlMs;
    const { lease, revision } = await this.#writes.register(registration, storeTtlMs, this.#clock.wallMs());
    this.#counters.registrations += 1;
    this.#heardMs.set(lease.id, this.#clock.wallMs());
    await this.#see(revision);
    return { lease: this.#leaseOf(lease), revision };
  }

  async heartbeat(leaseId: string, owner: string | null): Promise<HeartbeatAnswer> {
    const lease = await this.#writes.renew(leaseId, owner);
    if (lease === null) return { state: (await this.#isSuperseded(leaseId)) ? 'superseded' : 'unknown' };
    this.#counters.heartbeats += 1;
    this.#heardMs.set(leaseId, this.#clock.wallMs());
    if (this.#view.isOrphan(leaseId)) await this.#synced();
    return { state: 'alive', lease: this.#leaseOf(lease), revision: this.#view.revision };
  }

  async servicesOf(leaseId: string): Promise<readonly string[]> {
    return this.#view.servicesOf(leaseId);
  }

  async openSession(leaseId: string): Promise<void> {
    this.#sessions.set(leaseId, (this.#sessions.get(leaseId) ?? 0) + 1);
    if (Number.isFinite(this.#times.lostSessionMs)) await this.#writes.renew(leaseId, undefined);
  }

  async closeSession(leaseId: string): Promise<void> {
    const left = (this.#sessions.get(leaseId) ?? 0) - 1;
    if (left > 0) {
      this.#sessions.set(leaseId, left);
      return;
    }
    this.#sessions.delete(leaseId);
    const ttlMs = this.#view.leaseRecord(leaseId)?.ttlMs ?? 0;
    const { lostSessionMs } = this.#times;
    if (lostSessionMs >= ttlMs) return;
    try {
      await this.#writes.renew(leaseId, undefined, lostSessionMs);
    } catch (error) {
      this.#parts.onFailure?.(error); // the lease has its whole time then
    }
  }

  async deregister(
    leaseId: string,
    services: readonly string[],
    owner: string | null,
  ): Promise<{ revision: number; removed: number }> {
    const done = await this.#writes.deregister(leaseId, services.length === 0 ? null : services, owner);
    this.#counters.deregistered += done.removed;
    await this.#see(done.revision);
    return { removed: done.removed, revision: Math.max(done.revision, this.#view.revision) };
  }

  async list(service: string): Promise<ServiceList> {
    return this.#list(service);
  }

  async services(): Promise<WatchPosition & { readonly services: readonly ServiceSummary[] }> {
    const services = this.#view.services().map((name) => ({
      name,
      instances: this.#view.count(name),
      held: this.#view.heldCount(name),
    }));
    return { ...this.#position(), services };
  }

  async *watch(service: string, options: WatchOptions): AsyncGenerator<WatchUpdate> {
    const { from } = options;
    // It may come from a registry that has seen more.
    if (from !== null && from.generation === this.generation && from.revision > this.#view.revision)
      await this.#synced();
    yield* this.#watches.watch(service, options);
  }

  async confirmExpiry(service: string): Promise<{ revision: number; expired: number }> {
    let expired = 0;
    for (const { id, isHeld } of this.#view.overdue(Number.POSITIVE_INFINITY)) {
      if (!isHeld && this.#sweeper !== null) continue; // the guard has not looked at it yet
      if (this.#view.servicesOf(id).includes(service)) expired += await this.#expire(id);
    }
    return { revision: this.#view.revision, expired };
  }

  /** Resolves when the view has all that was written before, and nothing that ran out is being taken away. @throws RpcError */
  async settled(): Promise<void> {
    do {
      await Promise.allSettled(this.#leaving.values());
      await this.#synced();
    } while (this.#leaving.size > 0);
  }

  figures(): StoreFigures {
    return {
      ...this.#view.counts,
      ...this.#counters,
      watchers: this.#watches.count,
      resyncs: this.#watches.resyncs,
      revision: this.#view.revision,
      settlingMs: 0,
    };
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#cancelLook();
    this.#watches.close();
    for (const { wake } of this.#seen) wake();
    await Promise.all(this.#running);
    await Promise.allSettled(this.#leaving.values());
  }

  /** Resolves when the view has all that was written before. @throws RpcError */
  async #synced(): Promise<void> {
    try {
      const { revision } = await this.#parts.clerk.range(
        { prefix: this.#keys.generation },
        { keysOnly: true },
      );
      await this.#see(revision);
    } catch (error) {
      throw asRpcError(error);
    }
  }

  /** Resolves when the view has what is at `revision`. @throws RpcError RPC_UNAVAILABLE: it was done, and is not seen here yet */
  #see(revision: number): Promise<void> {
    if (this.#view.revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        wake: () => {
          clearTimeout(timer);
          this.#seen.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#seen.delete(waiter);
        reject(
          new RpcError('RPC_UNAVAILABLE', 'the registry cannot follow its store', { executed: 'unknown' }),
        );
      }, SEEN_MS_MAX);
      this.#seen.add(waiter);
      if (this.#stopping.signal.aborted) waiter.wake();
    });
  }

  async #isSuperseded(leaseId: string): Promise<boolean> {
    try {
      return await this.#writes.isSuperseded(leaseId);
    } catch (error) {
      throw asRpcError(error);
    }
  }

  /** Revisions of all registries on the same store mean the same. */
  async #agreeOnGeneration(): Promise<string> {
    const { clerk, newId } = this.#parts;
    await clerk.compareAndSet(this.#keys.generation, 'absent', newId());
    return (await clerk.get(this.#keys.generation))?.text ?? '';
  }

  /** @returns the revision from which on to follow */
  async #load(): Promise<number> {
    const { clerk } = this.#parts;
    const pairs: SeenPair[] = [];
    let first: number | null = null;
    let after: Buffer | null = null;
    for (;;) {
      const page: { pairs: readonly KvPair[]; more: boolean; lastKey: Buffer; revision: number } =
        await clerk.range(
          { prefix: ROOT },
          { signal: this.#stopping.signal, ...(after === null ? {} : { after }) },
        );
      // Later pages may hold later changes, which the watch tells once more.
      first ??= page.revision;
      for (const { keyText: key, text, modRevision } of page.pairs)
        pairs.push({ key, text, revision: modRevision });
      if (!page.more) break;
      after = page.lastKey;
    }
    // Those whose leases ran out while nobody could hear them have a whole lease to speak.
    this.#publish(this.#view.load(pairs, first, this.#clock.nowMs() + this.#times.ttlMs));
    return first + 1;
  }

  async #follow(first: number): Promise<void> {
    const { signal } = this.#stopping;
    let from = first;
    while (!signal.aborted) {
      try {
        const watch = this.#parts.clerk.watch({ prefix: ROOT }, { from, signal, progressMs: PROGRESS_MS });
        for await (const { revision, events } of watch.batches()) {
          this.#publish(this.#view.apply(events, revision, this.#clock.nowMs()));
          from = revision + 1;
        }
        if (!signal.aborted) return; // the clerk was closed
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof KvError) || error.code !== 'KV_COMPACTED') this.#parts.onFailure?.(error);
        from = await this.#loadAgain();
      }
    }
  }

  async #loadAgain(): Promise<number> {
    for (;;) {
      try {
        return await this.#load();
      } catch (error) {
        if (this.#stopping.signal.aborted) return 0;
        this.#parts.onFailure?.(error);
        await this.#pause(RETRY_MS);
      }
    }
  }

  #publish(batch: RegistryChangeBatch | null): void {
    if (batch !== null) this.#hub.publish(batch);
    for (const waiter of this.#seen) if (waiter.revision <= this.#view.revision) waiter.wake();
  }

  /** Is a candidate for the one that sweeps, again and again. */
  async #lead(): Promise<void> {
    const { signal } = this.#stopping;
    const election = new Election(this.#parts.clerk, `${ROOT}sweeper`, { ttlMs: ELECTION_TTL_MS });
    while (!signal.aborted) {
      let leadership: Leadership | null = null;
      try {
        leadership = await election.campaign(this.generation, { signal });
        this.#sweeper = this.#newSweeper();
        const lost = AbortSignal.any([signal, leadership.signal]);
        await new Promise<void>((resolve) => {
          if (lost.aborted) resolve();
          else lost.addEventListener('abort', () => resolve(), { once: true });
        });
      } catch (error) {
        if (!signal.aborted) this.#parts.onFailure?.(error);
      }
      this.#sweeper = null;
      try {
        await leadership?.release();
      } catch {
        // its lease runs out
      }
      if (!signal.aborted) await this.#pause(RETRY_MS);
    }
  }

  #newSweeper(): LeaseSweeper {
    const { options, probe, onHold } = this.#parts;
    const view = this.#view;
    const leaving = this.#leaving;
    const leavingCount = (): number =>
      [...this.#leavingCounts.values()].reduce((sum, count) => sum + count, 0);
    const parts = {
      state: {
        overdue: (nowMs: number) => view.overdue(nowMs).filter(({ id }) => !leaving.has(id)),
        hold: (id: string) => view.hold(id),
        lease: (id: string) => view.lease(id),
        recordsOf: (id: string) => [...view.recordsOf(id)],
        servicesOf: (id: string) => view.servicesOf(id),
        // Those that go are not listed any more for the guard.
        count: (service: string) => view.count(service) - (this.#leavingCounts.get(service) ?? 0),
        get instanceCount() {
          return view.instanceCount - leavingCount();
        },
        postpone: (byMs: number) => view.postpone(byMs),
      },
      guard: new ExpiryGuard(options.guard),
      probe,
      expire: (id: string) => void this.#expire(id).catch((error: unknown) => this.#parts.onFailure?.(error)),
      onHold: (lease: Lease, services: readonly string[]) => {
        this.#counters.holds += 1;
        onHold(lease, services);
      },
    };
    return new LeaseSweeper(parts, { ...this.#times, sweepMs: this.#lookMs }, this.#clock.nowMs());
  }

  /** Takes a lease's instances away. @returns how many */
  #expire(leaseId: string): Promise<number> {
    const known = this.#leaving.get(leaseId);
    if (known !== undefined) return known;
    const services = this.#view.recordsOf(leaseId).map(({ service }) => service);
    const work = async (): Promise<number> => {
      this.#countLeaving(services, 1);
      try {
        const { revision, removed } = await this.#writes.expire(leaseId);
        this.#counters.expired += removed;
        await this.#see(revision);
        return removed;
      } finally {
        this.#leaving.delete(leaseId);
        this.#countLeaving(services, -1);
      }
    };
    const leaving = work();
    this.#leaving.set(leaseId, leaving);
    return leaving;
  }

  #countLeaving(services: readonly string[], by: 1 | -1): void {
    for (const service of services) {
      const count = (this.#leavingCounts.get(service) ?? 0) + by;
      if (count === 0) this.#leavingCounts.delete(service);
      else this.#leavingCounts.set(service, count);
    }
  }

  #scheduleLook(): () => void {
    return this.#clock.after(this.#lookMs, () => {
      const nowMs = this.#clock.nowMs();
      this.#lists.clear();
      this.#sweeper?.sweep(nowMs);
      for (const name of this.#view.dropEmpty(this.#times.emptyGraceMs, nowMs)) this.#hub.forget(name);
      for (const id of this.#heardMs.keys())
        if (this.#view.leaseRecord(id) === null) this.#heardMs.delete(id);
      if (!this.#stopping.signal.aborted) this.#cancelLook = this.#scheduleLook();
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#stopping.signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#stopping.signal.addEventListener('abort', finish, { once: true });
      if (this.#stopping.signal.aborted) finish();
    });
  }

  #list(service: string): ServiceList {
    return { ...this.#position(), instances: this.#listed(service), settlingMs: 0 };
  }

  /** When many watches begin at once they are given one list; only its heartbeats may be a moment old. */
  #listed(service: string): readonly ListedInstance[] {
    const revision = this.#hub.lastRevision(service);
    const cached = this.#lists.get(service);
    if (cached !== undefined && cached.revision === revision) return cached.instances;
    const instances: ListedInstance[] = [];
    for (const record of this.#view.list(service)) {
      const { leaseId } = record;
      const heardMs = this.#heardMs.get(leaseId) ?? this.#view.leaseRecord(leaseId)?.registeredMs ?? 0;
      instances.push({ ...record, lastHeartbeatMs: heardMs, isHeld: this.#view.isOrphan(leaseId) });
    }
    if (instances.length > 0) this.#lists.set(service, { revision, instances });
    return instances;
  }

  #position(): WatchPosition {
    return { revision: this.#view.revision, generation: this.generation };
  }

  #leaseOf({ id, ttlMs, storeTtlMs, epoch, owner }: LeaseRecord): Lease {
    return {
      id,
      ttlMs,
      epoch,
      owner,
      expiresMs: this.#clock.nowMs() + storeTtlMs,
      lastHeartbeatMs: this.#clock.wallMs(),
      sessions: this.#sessions.get(id) ?? 0,
      isHeld: false,
    };
  }
}
