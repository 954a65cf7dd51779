// What is registered, and what every request and every passing lease changes about it.
// memory-store.ts feeds it requests and time, tells watchers of the changes and writes them down; a replicated store
// applies the same decisions in the order of its log.
// Pure: time, lease ids and the verdict on mass expiry come in. Each decision is one revision.

import assert from 'node:assert/strict';
import { RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import { full, type RegistryLimits } from './limits.js';
import {
  addressOf,
  type Change,
  type ChangeBatch,
  type ChangeKind,
  instanceId,
  type InstanceFacts,
  type InstanceRecord,
  type Lease,
  type Registration,
  sameFacts,
  type StoredLease,
} from './record.js';

/** Trailer of RPC_SUPERSEDED: the epoch that is registered. */
export const EPOCH_TRAILER = 'registry-epoch';

interface MutableLease extends Lease {
  expiresMs: number;
  lastHeartbeatMs: number;
  sessions: number;
  isHeld: boolean;
  /** Its instances, by service and address. */
  readonly records: Map<string, InstanceRecord>;
}

interface ServiceEntry {
  readonly byAddress: Map<string, InstanceRecord>;
  /** When it lost its last instance; null while it has any. */
  emptySinceMs: number | null;
}

export interface Moment {
  /** Of the clock that only grows. */
  readonly nowMs: number;
  /** Of the wall. */
  readonly wallMs: number;
}

export interface Granted {
  readonly lease: Lease;
  /** Null when nothing changed but the lease's time. */
  readonly batch: ChangeBatch | null;
}

export interface StateDump {
  readonly revision: number;
  readonly leases: readonly StoredLease[];
  readonly records: readonly InstanceRecord[];
}

export class RegistryState {
  readonly #limits: Required<RegistryLimits>;
  readonly #lostSessionMs: number;
  readonly #services = new Map<string, ServiceEntry>();
  readonly #leases = new Map<string, MutableLease>();
  /** Leases whose address a later life took over, so that their heartbeats can be told. Bounded. */
  readonly #superseded = new Set<string>();
  #revision = 0;
  #instanceCount = 0;

  /** @param lostSessionMs what is left of a lease at most that has no session */
  constructor(limits: Required<RegistryLimits>, lostSessionMs: number = Number.POSITIVE_INFINITY) {
    this.#limits = limits;
    this.#lostSessionMs = lostSessionMs;
  }

  /** Of the last change. */
  get revision(): number {
    return this.#revision;
  }

  get counts(): { services: number; instances: number; leases: number; held: number } {
    let held = 0;
    for (const lease of this.#leases.values()) if (lease.isHeld) held += lease.records.size;
    return { services: this.#services.size, instances: this.#instanceCount, leases: this.#leases.size, held };
  }

  get instanceCount(): number {
    return this.#instanceCount;
  }

  /**
   * Declares what a lease holds: all of it, so that doing it twice is doing it once.
   * @param newLeaseId used when there is no such lease (any more)
   * @throws RpcError RPC_SUPERSEDED when a later life holds one of the addresses, with its epoch in the trailers;
   * RPC_REGISTRY_FULL; RPC_PERMISSION_DENIED when the lease is somebody else's. Nothing has changed then.
   */
  register(registration: Registration, newLeaseId: string, moment: Moment): Granted {
    const known = registration.leaseId === null ? undefined : this.#leases.get(registration.leaseId);
    if (known !== undefined) refuseStranger(known, registration.owner);
    const isSameLife = known !== undefined && known.epoch === registration.epoch;
    this.#refuseEarlierLife(registration);
    this.#refuseOverflow(registration);
    const lease = isSameLife ? known : this.#grant(newLeaseId, registration);
    // Its session is about to begin; when its process dies before, that counts as the end of one.
    const isAlone = lease.sessions === 0;
    this.#renew(
      lease,
      isAlone ? Math.min(registration.ttlMs, this.#lostSessionMs) : registration.ttlMs,
      moment,
    );
    const changes: Change[] = [];
    const revision = this.#revision + 1;
    const wanted = new Set(registration.instances.map(keyOf));
    for (const [key, record] of lease.records) {
      if (!wanted.has(key)) changes.push(this.#remove(record, 'deregistered', moment.nowMs));
    }
    for (const facts of registration.instances) changes.push(...this.#put(facts, lease, revision));
    return { lease, batch: this.#commit(changes) };
  }

  /** @returns the renewed lease; else why there is none */
  heartbeat(leaseId: string, owner: string | null, moment: Moment): Lease | 'unknown' | 'superseded' {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return this.#superseded.has(leaseId) ? 'superseded' : 'unknown';
    refuseStranger(lease, owner);
    this.#renew(lease, lease.ttlMs, moment);
    return lease;
  }

  lease(leaseId: string): Lease | null {
    return this.#leases.get(leaseId) ?? null;
  }

  recordsOf(leaseId: string): readonly InstanceRecord[] {
    return [...(this.#leases.get(leaseId)?.records.values() ?? [])];
  }

  /** Names of the services under a lease. */
  servicesOf(leaseId: string): readonly string[] {
    const records = this.#leases.get(leaseId)?.records.values() ?? [];
    return [...new Set([...records].map(({ service }) => service))];
  }

  /** A session began: a sign of life as any heartbeat. */
  openSession(leaseId: string, moment: Moment): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    lease.sessions += 1;
    this.#renew(lease, lease.ttlMs, moment);
  }

  /** A session ended; without another one the lease is short. */
  closeSession(leaseId: string, nowMs: number): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined || lease.sessions === 0) return;
    lease.sessions -= 1;
    if (lease.sessions === 0) lease.expiresMs = Math.min(lease.expiresMs, nowMs + this.#lostSessionMs);
  }

  /** @param services empty for all of the lease. Unknown leases and services are no error: the wish is fulfilled. */
  deregister(
    leaseId: string,
    services: readonly string[],
    owner: string | null,
    nowMs: number,
  ): ChangeBatch | null {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return null;
    refuseStranger(lease, owner);
    const all = services.length === 0;
    const leaving = [...lease.records.values()].filter(({ service }) => all || services.includes(service));
    const changes = leaving.map((record) => this.#remove(record, 'deregistered', nowMs));
    if (lease.records.size === 0) this.#leases.delete(leaseId);
    return this.#commit(changes);
  }

  /** Leases whose time is over, oldest first; those that are held among them. */
  overdue(nowMs: number): Lease[] {
    const overdue: Lease[] = [];
    for (const lease of this.#leases.values()) if (lease.expiresMs <= nowMs) overdue.push(lease);
    return overdue.toSorted((a, b) => a.expiresMs - b.expiresMs);
  }

  expire(leaseId: string, nowMs: number): ChangeBatch | null {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return null;
    this.#leases.delete(leaseId);
    return this.#commit([...lease.records.values()].map((record) => this.#remove(record, 'expired', nowMs)));
  }

  /** Its time is over, but it stays listed. */
  hold(leaseId: string): void {
    const lease = this.#leases.get(leaseId);
    if (lease !== undefined) lease.isHeld = true;
  }

  /** The registry itself was away for `byMs` and could hear no heartbeat: every lease gets that time back. */
  postpone(byMs: number): void {
    for (const lease of this.#leases.values()) lease.expiresMs += byMs;
  }

  /** Forgets services that have had no instance for `graceMs`. @returns their names */
  dropEmpty(graceMs: number, nowMs: number): string[] {
    const dropped: string[] = [];
    for (const [name, { emptySinceMs }] of this.#services) {
      if (emptySinceMs !== null && nowMs - emptySinceMs >= graceMs) dropped.push(name);
    }
    for (const name of dropped) this.#services.delete(name);
    return dropped;
  }

  list(service: string): InstanceRecord[] {
    return [...(this.#services.get(service)?.byAddress.values() ?? [])];
  }

  count(service: string): number {
    return this.#services.get(service)?.byAddress.size ?? 0;
  }

  /** How many of a service's instances have a lease that is held. */
  heldCount(service: string): number {
    let held = 0;
    for (const { leaseId } of this.#services.get(service)?.byAddress.values() ?? [])
      if (this.#leases.get(leaseId)?.isHeld === true) held += 1;
    return held;
  }

  services(): string[] {
    return [...this.#services.keys()].toSorted();
  }

  dump(): StateDump {
    const leases: StoredLease[] = [];
    for (const { id, ttlMs, epoch, owner, lastHeartbeatMs } of this.#leases.values())
      leases.push({ id, ttlMs, epoch, owner, lastHeartbeatMs });
    const records: InstanceRecord[] = [];
    for (const { byAddress } of this.#services.values()) records.push(...byAddress.values());
    return { revision: this.#revision, leases, records };
  }

  /** Takes up what an earlier life wrote down; every lease starts its time anew, without a session. */
  restore({ revision, leases, records }: StateDump, nowMs: number): void {
    assert(this.#revision === 0);
    this.#revision = revision;
    for (const lease of leases) {
      const expiresMs = nowMs + lease.ttlMs;
      this.#leases.set(lease.id, { ...lease, expiresMs, sessions: 0, isHeld: false, records: new Map() });
    }
    for (const record of records) {
      const lease = this.#leases.get(record.leaseId);
      if (lease === undefined) continue; // its lease was on a damaged line: nobody could renew it
      this.#insert(record, lease);
    }
    for (const lease of this.#leases.values()) if (lease.records.size === 0) this.#leases.delete(lease.id);
  }

  #grant(id: string, { ttlMs, epoch, owner }: Registration): MutableLease {
    const lease: MutableLease = {
      id,
      ttlMs,
      epoch,
      owner,
      expiresMs: 0,
      lastHeartbeatMs: 0,
      sessions: 0,
      isHeld: false,
      records: new Map(),
    };
    this.#leases.set(id, lease);
    return lease;
  }

  #renew(lease: MutableLease, ttlMs: number, { nowMs, wallMs }: Moment): void {
    lease.expiresMs = nowMs + ttlMs;
    lease.lastHeartbeatMs = wallMs;
    lease.isHeld = false;
  }

  #refuseEarlierLife({ instances, epoch }: Registration): void {
    for (const facts of instances) {
      const there = this.#services.get(facts.service)?.byAddress.get(addressOf(facts));
      if (there === undefined || there.epoch <= epoch) continue;
      throw new RpcError(
        'RPC_SUPERSEDED',
        `${facts.service} at ${addressOf(facts)} is registered by a later life (epoch ${there.epoch}, not ${epoch})`,
        { executed: 'no', trailers: Metadata.from({ [EPOCH_TRAILER]: String(there.epoch) }) },
      );
    }
  }

  #refuseOverflow({ instances }: Registration): void {
    const { servicesMax, instancesPerServiceMax, instancesMax } = this.#limits;
    const added = new Map<string, number>();
    let addedInstances = 0;
    for (const facts of instances) {
      if (this.#services.get(facts.service)?.byAddress.has(addressOf(facts)) === true) continue;
      addedInstances += 1;
      added.set(facts.service, (added.get(facts.service) ?? 0) + 1);
    }
    if (this.#instanceCount + addedInstances > instancesMax)
      throw full(`the registry has ${this.#instanceCount} instances and takes ${instancesMax} at most`);
    let addedServices = 0;
    for (const [service, count] of added) {
      if (!this.#services.has(service)) addedServices += 1;
      if (this.count(service) + count > instancesPerServiceMax)
        throw full(`${service} has ${this.count(service)} instances and may have ${instancesPerServiceMax}`);
    }
    if (this.#services.size + addedServices > servicesMax)
      throw full(`the registry has ${this.#services.size} services and takes ${servicesMax} at most`);
  }

  #put(facts: InstanceFacts, lease: MutableLease, revision: number): Change[] {
    const { id: leaseId, epoch } = lease;
    const record: InstanceRecord = { ...facts, id: instanceId(facts, epoch), epoch, leaseId, revision };
    const there = this.#services.get(facts.service)?.byAddress.get(addressOf(facts));
    if (there === undefined) {
      this.#insert(record, lease);
      return [{ kind: 'put', record }];
    }
    const isSame = there.epoch === epoch && sameFacts(there, facts);
    if (isSame && there.leaseId === leaseId) return [];
    if (there.leaseId !== leaseId) this.#takeFrom(there, there.epoch < epoch);
    // For clients nothing has changed when only the lease is another.
    this.#insert(isSame ? { ...there, leaseId } : record, lease);
    if (isSame) return [];
    const isNewLife = there.epoch !== epoch;
    return [
      ...(isNewLife ? [{ kind: 'deregistered', record: there } as const] : []),
      { kind: 'put', record },
    ];
  }

  #insert(record: InstanceRecord, lease: MutableLease): void {
    let entry = this.#services.get(record.service);
    if (entry === undefined) {
      entry = { byAddress: new Map(), emptySinceMs: null };
      this.#services.set(record.service, entry);
    }
    entry.emptySinceMs = null;
    if (!entry.byAddress.has(addressOf(record))) this.#instanceCount += 1;
    entry.byAddress.set(addressOf(record), record);
    lease.records.set(keyOf(record), record);
  }

  /** Takes a record from the lease that had it, for another lease that takes its address. */
  #takeFrom(record: InstanceRecord, bySuccessor: boolean): void {
    const lease = this.#leases.get(record.leaseId);
    assert(lease !== undefined, 'a record has its lease');
    lease.records.delete(keyOf(record));
    if (lease.records.size > 0) return;
    this.#leases.delete(lease.id);
    if (bySuccessor) this.#rememberSuperseded(lease.id);
  }

  #rememberSuperseded(leaseId: string): void {
    this.#superseded.add(leaseId);
    if (this.#superseded.size <= SUPERSEDED_MAX) return;
    const [oldest] = this.#superseded;
    if (oldest !== undefined) this.#superseded.delete(oldest);
  }

  #remove(record: InstanceRecord, kind: ChangeKind, nowMs: number): Change {
    const entry = this.#services.get(record.service);
    assert(entry !== undefined, 'a record has its service');
    entry.byAddress.delete(addressOf(record));
    this.#leases.get(record.leaseId)?.records.delete(keyOf(record));
    this.#instanceCount -= 1;
    assert(this.#instanceCount >= 0);
    if (entry.byAddress.size === 0) entry.emptySinceMs = nowMs;
    return { kind, record };
  }

  #commit(changes: readonly Change[]): ChangeBatch | null {
    if (changes.length === 0) return null;
    this.#revision += 1;
    return { revision: this.#revision, changes };
  }
}

const SUPERSEDED_MAX = 4096;

function keyOf(facts: InstanceFacts): string {
  return `${facts.service} ${addressOf(facts)}`;
}

/** @throws RpcError RPC_PERMISSION_DENIED */
function refuseStranger(lease: Lease, owner: string | null): void {
  if (lease.owner === owner) return;
  throw new RpcError('RPC_PERMISSION_DENIED', 'the lease was granted to another token', { executed: 'no' });
}
