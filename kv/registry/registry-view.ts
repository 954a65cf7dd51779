// What the registry's keys say, kept up to date from the events of a watch: lists and counts are answered from here, and what
// watchers are to be told follows from it. A lease that is missing under an instance has run out; the instance is held until
// somebody takes it away. Pure: time comes in. kv-registry-store.ts feeds it.

import {
  type InstanceRecord,
  type Lease,
  type RegistryChange,
  type RegistryChangeBatch,
  sameFacts,
  type SweptState,
} from '../../rpc/index.js';
import type { KvEvent } from '../client/watch.js';
import {
  decodeInstance,
  decodeLease,
  type LeaseRecord,
  recordOf,
  type RegistryKeys,
  type StoredInstance,
} from './registry-keys.js';

/** A key as a read or an event shows it. */
export interface SeenPair {
  readonly key: string;
  readonly text: string;
  readonly revision: number;
}

interface Listed {
  readonly record: InstanceRecord;
  readonly stored: StoredInstance;
}

interface Orphan {
  /** When its lease ran out, or may count as having done so. */
  sinceMs: number;
  isHeld: boolean;
}

export class RegistryView implements SweptState {
  readonly #keys: RegistryKeys;
  readonly #instances = new Map<string, Listed>();
  readonly #services = new Map<string, Map<string, Listed>>();
  readonly #emptySinceMs = new Map<string, number>();
  readonly #leases = new Map<string, LeaseRecord>();
  /** Keys of instances by the lease they are under. */
  readonly #under = new Map<string, Set<string>>();
  readonly #orphans = new Map<string, Orphan>();
  #revision = 0;

  constructor(keys: RegistryKeys) {
    this.#keys = keys;
  }

  /** Everything up to it is in. */
  get revision(): number {
    return this.#revision;
  }

  get instanceCount(): number {
    return this.#instances.size;
  }

  get counts(): { services: number; instances: number; leases: number; held: number } {
    let held = 0;
    for (const id of this.#orphans.keys()) held += this.#under.get(id)?.size ?? 0;
    return {
      services: this.services().length,
      instances: this.#instances.size,
      leases: this.#leases.size,
      held,
    };
  }

  /**
   * All keys as they are at `revision`, in place of what was there.
   * @param orphansSinceMs when leases that are missing count as having run out. @returns what watchers must be told
   */
  load(pairs: readonly SeenPair[], revision: number, orphansSinceMs: number): RegistryChangeBatch | null {
    const changes: RegistryChange[] = [];
    const there = new Set(pairs.map(({ key }) => key));
    for (const [id] of this.#leases) if (!there.has(this.#keys.lease(id))) this.#leases.delete(id);
    for (const key of this.#instances.keys()) {
      if (!there.has(key)) changes.push(...this.#remove(key, orphansSinceMs));
    }
    for (const pair of pairs) changes.push(...this.#put(pair));
    for (const id of this.#under.keys()) if (!this.#leases.has(id)) this.#orphaned(id, orphansSinceMs);
    return this.#commit(revision, changes);
  }

  /** What happened up to `revision`. @returns what watchers must be told */
  apply(events: readonly KvEvent[], revision: number, nowMs: number): RegistryChangeBatch | null {
    const changes: RegistryChange[] = [];
    for (const { kind, pair } of events) {
      const key = pair.keyText;
      if (kind === 'put') {
        changes.push(...this.#put({ key, text: pair.text, revision: pair.modRevision }));
        continue;
      }
      const parsed = this.#keys.parse(key);
      if (parsed.kind === 'instance') changes.push(...this.#remove(key, nowMs));
      if (parsed.kind !== 'lease') continue;
      this.#leases.delete(parsed.leaseId);
      if (kind === 'expire') this.#orphaned(parsed.leaseId, nowMs);
    }
    return this.#commit(revision, changes);
  }

  leaseRecord(id: string): LeaseRecord | null {
    return this.#leases.get(id) ?? null;
  }

  /** What is written of the instances under a lease. */
  storedUnder(leaseId: string): readonly { readonly key: string; readonly stored: StoredInstance }[] {
    return [...(this.#under.get(leaseId) ?? [])].map((key) => ({
      key,
      stored: this.#instances.get(key)!.stored,
    }));
  }

  list(service: string): readonly InstanceRecord[] {
    return [...(this.#services.get(service)?.values() ?? [])].map(({ record }) => record);
  }

  isOrphan(leaseId: string): boolean {
    return this.#orphans.has(leaseId);
  }

  /** Those that became empty a while ago among them. */
  services(): readonly string[] {
    return [...new Set([...this.#services.keys(), ...this.#emptySinceMs.keys()])].toSorted();
  }

  heldCount(service: string): number {
    return this.list(service).filter(({ leaseId }) => this.#orphans.has(leaseId)).length;
  }

  /** Forgets services that have had no instance for `graceMs`. @returns their names */
  dropEmpty(graceMs: number, nowMs: number): readonly string[] {
    const dropped = [...this.#emptySinceMs]
      .filter(([, sinceMs]) => nowMs - sinceMs >= graceMs)
      .map(([name]) => name);
    for (const name of dropped) this.#emptySinceMs.delete(name);
    return dropped;
  }

  // What a sweeper asks: leases that have run out.

  overdue(nowMs: number): Lease[] {
    return [...this.#orphans]
      .filter(([, { sinceMs }]) => sinceMs <= nowMs)
      .toSorted(([, a], [, b]) => a.sinceMs - b.sinceMs)
      .map(([id]) => this.lease(id)!);
  }

  hold(leaseId: string): void {
    const orphan = this.#orphans.get(leaseId);
    if (orphan !== undefined) orphan.isHeld = true;
  }

  /** Of a lease that has run out; null for others. */
  lease(leaseId: string): Lease | null {
    const orphan = this.#orphans.get(leaseId);
    const [first] = this.storedUnder(leaseId);
    if (orphan === undefined || first === undefined) return null;
    const { ttlMs, epoch, owner } = first.stored;
    const { sinceMs: expiresMs, isHeld } = orphan;
    return { id: leaseId, ttlMs, epoch, owner, expiresMs, isHeld, lastHeartbeatMs: 0, sessions: 0 };
  }

  recordsOf(leaseId: string): readonly InstanceRecord[] {
    return [...(this.#under.get(leaseId) ?? [])].map((key) => this.#instances.get(key)!.record);
  }

  servicesOf(leaseId: string): readonly string[] {
    return [...new Set(this.recordsOf(leaseId).map(({ service }) => service))];
  }

  count(service: string): number {
    return this.#services.get(service)?.size ?? 0;
  }

  postpone(byMs: number): void {
    for (const orphan of this.#orphans.values()) if (!orphan.isHeld) orphan.sinceMs += byMs;
  }

  #put({ key, text, revision }: SeenPair): RegistryChange[] {
    const parsed = this.#keys.parse(key);
    if (parsed.kind === 'lease') {
      this.#leases.set(parsed.leaseId, decodeLease(text));
      this.#orphans.delete(parsed.leaseId);
      return [];
    }
    if (parsed.kind !== 'instance') return [];
    const stored = decodeInstance(text);
    const record = recordOf(stored, revision);
    const there = this.#instances.get(key);
    if (there !== undefined) this.#leave(there.record.leaseId, key);
    const isSame =
      there !== undefined && there.record.epoch === record.epoch && sameFacts(there.record, record);
    // For clients nothing has changed when only the lease is another.
    this.#insert(key, { stored, record: isSame ? { ...record, revision: there.record.revision } : record });
    if (isSame) return [];
    const isNewLife = there !== undefined && there.record.epoch !== record.epoch;
    return [
      ...(isNewLife ? [{ kind: 'deregistered', record: there.record } as const] : []),
      { kind: 'put', record },
    ];
  }

  #insert(key: string, listed: Listed): void {
    const { service, leaseId } = listed.record;
    this.#instances.set(key, listed);
    let entry = this.#services.get(service);
    if (entry === undefined) this.#services.set(service, (entry = new Map()));
    entry.set(key, listed);
    this.#emptySinceMs.delete(service);
    let under = this.#under.get(leaseId);
    if (under === undefined) this.#under.set(leaseId, (under = new Set()));
    under.add(key);
  }

  #remove(key: string, nowMs: number): RegistryChange[] {
    const listed = this.#instances.get(key);
    if (listed === undefined) return [];
    const { record } = listed;
    const kind = this.#orphans.has(record.leaseId) ? 'expired' : 'deregistered';
    this.#instances.delete(key);
    const entry = this.#services.get(record.service)!;
    entry.delete(key);
    if (entry.size === 0) {
      this.#services.delete(record.service);
      this.#emptySinceMs.set(record.service, nowMs);
    }
    this.#leave(record.leaseId, key);
    return [{ kind, record }];
  }

  #leave(leaseId: string, key: string): void {
    const under = this.#under.get(leaseId);
    under?.delete(key);
    if (under === undefined || under.size > 0) return;
    this.#under.delete(leaseId);
    this.#orphans.delete(leaseId);
  }

  #orphaned(leaseId: string, sinceMs: number): void {
    if (this.#under.has(leaseId) && !this.#orphans.has(leaseId))
      this.#orphans.set(leaseId, { sinceMs, isHeld: false });
  }

  #commit(revision: number, changes: readonly RegistryChange[]): RegistryChangeBatch | null {
    this.#revision = Math.max(this.#revision, revision);
    return changes.length === 0 ? null : { revision: this.#revision, changes };
  }
}
