// The registry in this process's memory: gives RegistryState time and lease ids, lets leases expire as far as the
// guard permits, and wakes watches. registry-server.ts owns it and writes `dump()` to disk when `onChange` is called.
// It decides nothing itself but when to look; the clock, ids and probes come in.

import assert from 'node:assert/strict';
import type { Clock } from './clock.js';
import { ExpiryGuard, type ExpiryGuardOptions } from './expiry-guard.js';
import { LeaseSweeper } from './lease-sweeper.js';
import { REGISTRY_LIMITS, type RegistryLimits } from './limits.js';
import type { Probe } from './probe.js';
import type { ChangeBatch, Lease, Registration } from './record.js';
import { type Moment, RegistryState, type StateDump } from './state.js';
import type {
  HeartbeatAnswer,
  ListedInstance,
  RegistryStore,
  ServiceList,
  ServiceSummary,
  StoreFigures,
  WatchOptions,
  WatchPosition,
  WatchUpdate,
} from './store.js';
import { StoreWatches } from './store-watches.js';
import { WatchHub } from './watch-hub.js';

interface StoreTimes {
  /** Of a lease that asks for nothing else; how long the store settles after its start. Default 30,000. */
  ttlMs?: number;
  /** What is left of a lease at most while it has no session. Default: as much as with one. */
  lostSessionMs?: number;
  /** How long a service without instances stays in the list of services. Default 60,000. */
  emptyGraceMs?: number;
  /** What the guard holds back expires after this all the same. Default one hour. */
  heldMsMax?: number;
  /** How often the machines of instances that are held are asked. Default 10,000. */
  probeIntervalMs?: number;
}

export interface MemoryStoreOptions extends StoreTimes {
  guard?: ExpiryGuardOptions;
  limits?: RegistryLimits;
  /** Batches of changes kept per service for watches that come back. Default 256. */
  historyBatchesMax?: number;
}

export interface MemoryStoreParts {
  readonly clock: Clock;
  /** Ids that nobody can guess: who knows one may renew and end the lease. */
  readonly newId: () => string;
  /** Null: nobody is asked, held instances wait for `confirmExpiry`. */
  readonly probe: Probe | null;
  /** What an earlier life wrote down. */
  readonly restored: StateDump | null;
  /** Something that a restart should not lose has changed. */
  readonly onChange: () => void;
  /** The guard holds a lease back, for the log. */
  readonly onHold: (lease: Lease, services: readonly string[]) => void;
}

const DEFAULTS: Required<StoreTimes> = {
  ttlMs: 30_000,
  lostSessionMs: Number.POSITIVE_INFINITY,
  emptyGraceMs: 60_000,
  heldMsMax: 3_600_000,
  probeIntervalMs: 10_000,
};

const LOOK_MS_MAX = 1000;
/** How long a list may be given again. */
const LIST_MS = 1000;

interface CachedList {
  readonly revision: number | null;
  readonly atMs: number;
  readonly instances: readonly ListedInstance[];
}

export class MemoryStore implements RegistryStore {
  readonly generation: string;
  readonly #parts: MemoryStoreParts;
  readonly #options: Required<StoreTimes>;
  readonly #limits: Required<RegistryLimits>;
  readonly #state: RegistryState;
  readonly #sweeper: LeaseSweeper;
  readonly #hub: WatchHub;
  readonly #watches: StoreWatches;
  readonly #lists = new Map<string, CachedList>();
  readonly #startedMs: number;
  readonly #lookMs: number;
  readonly #counters = { registrations: 0, heartbeats: 0, deregistered: 0, expired: 0, holds: 0 };
  #cancelLook: () => void;
  #isClosed = false;

  constructor(parts: MemoryStoreParts, options: MemoryStoreOptions = {}) {
    const { guard = {}, limits = {}, historyBatchesMax, ...times } = options;
    this.#parts = parts;
    this.#options = { ...DEFAULTS, ...times };
    this.#limits = { ...REGISTRY_LIMITS, ...limits };
    this.#state = new RegistryState(this.#limits, this.#options.lostSessionMs);
    this.#hub = new WatchHub(historyBatchesMax);
    const watched = {
      position: () => this.#position(),
      listed: (service: string) => this.#list(service),
      settlingMs: () => this.#settlingMs(),
    };
    this.#watches = new StoreWatches(watched, this.#hub, parts.clock, this.#limits.watchersMax);
    this.generation = parts.newId();
    this.#startedMs = parts.clock.nowMs();
    if (parts.restored !== null) this.#state.restore(parts.restored, this.#startedMs);
    this.#lookMs = Math.min(LOOK_MS_MAX, Math.ceil(this.#options.ttlMs / 10));
    this.#sweeper = new LeaseSweeper(
      {
        state: this.#state,
        guard: new ExpiryGuard(guard),
        probe: parts.probe,
        expire: (leaseId) => this.#expire(leaseId),
        onHold: (lease, services) => {
          this.#counters.holds += 1;
          parts.onHold(lease, services);
        },
      },
      { ...this.#options, sweepMs: this.#lookMs },
      this.#startedMs,
    );
    this.#cancelLook = this.#scheduleLook();
  }

  async register(registration: Registration): Promise<{ lease: Lease; revision: number }> {
    const { lease, batch } = this.#state.register(registration, this.#parts.newId(), this.#moment());
    this.#counters.registrations += 1;
    this.#publish(batch);
    this.#parts.onChange(); // a lease may be new although no instance is
    return { lease, revision: this.#state.revision };
  }

  async heartbeat(leaseId: string, owner: string | null): Promise<HeartbeatAnswer> {
    const found = this.#state.heartbeat(leaseId, owner, this.#moment());
    if (typeof found === 'string') return { state: found };
    this.#counters.heartbeats += 1;
    return { state: 'alive', lease: found, revision: this.#state.revision };
  }

  async servicesOf(leaseId: string): Promise<readonly string[]> {
    return this.#state.servicesOf(leaseId);
  }

  async openSession(leaseId: string): Promise<void> {
    this.#state.openSession(leaseId, this.#moment());
  }

  async closeSession(leaseId: string): Promise<void> {
    this.#state.closeSession(leaseId, this.#parts.clock.nowMs());
  }

  async deregister(
    leaseId: string,
    services: readonly string[],
    owner: string | null,
  ): Promise<{ revision: number; removed: number }> {
    const batch = this.#state.deregister(leaseId, services, owner, this.#parts.clock.nowMs());
    const removed = batch?.changes.length ?? 0;
    this.#counters.deregistered += removed;
    this.#publish(batch);
    return { revision: this.#state.revision, removed };
  }

  async list(service: string): Promise<ServiceList> {
    return this.#list(service);
  }

  async services(): Promise<WatchPosition & { readonly services: readonly ServiceSummary[] }> {
    const services = this.#state.services().map((name) => ({
      name,
      instances: this.#state.count(name),
      held: this.#state.heldCount(name),
    }));
    return { ...this.#position(), services };
  }

  watch(service: string, options: WatchOptions): AsyncGenerator<WatchUpdate> {
    return this.#watches.watch(service, options);
  }

  async confirmExpiry(service: string): Promise<{ revision: number; expired: number }> {
    let expired = 0;
    for (const lease of this.#state.overdue(this.#parts.clock.nowMs())) {
      if (!lease.isHeld || !this.#state.servicesOf(lease.id).includes(service)) continue;
      expired += this.#expire(lease.id);
    }
    return { revision: this.#state.revision, expired };
  }

  figures(): StoreFigures {
    return {
      ...this.#state.counts,
      ...this.#counters,
      watchers: this.#watches.count,
      resyncs: this.#watches.resyncs,
      revision: this.#state.revision,
      settlingMs: this.#settlingMs(),
    };
  }

  dump(): StateDump {
    return this.#state.dump();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelLook();
    this.#watches.close();
  }

  #scheduleLook(): () => void {
    return this.#parts.clock.after(this.#lookMs, () => {
      this.#look();
      if (!this.#isClosed) this.#cancelLook = this.#scheduleLook();
    });
  }

  #look(): void {
    const nowMs = this.#parts.clock.nowMs();
    this.#sweeper.sweep(nowMs);
    for (const name of this.#state.dropEmpty(this.#options.emptyGraceMs, nowMs)) this.#hub.forget(name);
    this.#lists.clear();
  }

  #expire(leaseId: string): number {
    const batch = this.#state.expire(leaseId, this.#parts.clock.nowMs());
    const count = batch?.changes.length ?? 0;
    this.#counters.expired += count;
    this.#publish(batch);
    return count;
  }

  #publish(batch: ChangeBatch | null): void {
    if (batch === null) return;
    this.#hub.publish(batch);
    this.#parts.onChange();
  }

  #list(service: string): ServiceList {
    return { ...this.#position(), instances: this.#listed(service), settlingMs: this.#settlingMs() };
  }

  /** When many watches begin at once they are given one list; only its heartbeats may be a moment old. */
  #listed(service: string): readonly ListedInstance[] {
    const nowMs = this.#parts.clock.nowMs();
    const revision = this.#hub.lastRevision(service);
    const cached = this.#lists.get(service);
    if (cached !== undefined && cached.revision === revision && nowMs - cached.atMs < LIST_MS)
      return cached.instances;
    const instances: ListedInstance[] = [];
    for (const record of this.#state.list(service)) {
      const lease = this.#state.lease(record.leaseId);
      assert(lease !== null, 'a record has its lease');
      instances.push({ ...record, lastHeartbeatMs: lease.lastHeartbeatMs, isHeld: lease.isHeld });
    }
    if (instances.length > 0) this.#lists.set(service, { revision, atMs: nowMs, instances });
    else this.#lists.delete(service);
    return instances;
  }

  #position(): WatchPosition {
    return { revision: this.#state.revision, generation: this.generation };
  }

  #settlingMs(): number {
    const upMs = this.#parts.clock.nowMs() - this.#startedMs;
    return Math.max(0, Math.ceil(this.#options.ttlMs - upMs));
  }

  #moment(): Moment {
    const { clock } = this.#parts;
    return { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
  }
}
