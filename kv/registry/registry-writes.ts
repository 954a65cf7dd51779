// What a registry changes in the store: each change is one transaction on condition that nothing it rests on has changed
// since it was read, and is begun again where something has. Any number of registries may do so at a time.

import {
  EPOCH_TRAILER,
  type CheckedRegistration,
  Metadata,
  registryFull,
  REGISTRY_LIMITS,
  RpcError,
  sameFacts,
  addressOf,
} from '../../rpc/index.js';
import type { Clerk } from '../client/clerk.js';
import { op, type Operation, when } from '../client/operations.js';
import type { KvPair } from '../client/pair.js';
import { KvError } from '../errors.js';
import {
  decodeInstance,
  decodeLease,
  encodeRecord,
  type LeaseRecord,
  type RegistryKeys,
  type StoredInstance,
} from './registry-keys.js';
import type { RegistryView } from './registry-view.js';

type Limits = typeof REGISTRY_LIMITS;

export interface Written {
  /** Of the store, when it was done. */
  readonly revision: number;
}

export interface Registered extends Written {
  readonly lease: LeaseRecord;
}

/** A key as it was read: null where it was missing. */
interface Read<T> {
  readonly key: string;
  readonly value: T | null;
  readonly modRevision: number;
}

/** Something has changed since it was read. */
const AGAIN = Symbol('again');
const ATTEMPTS_MAX = 20;
const SUPERSEDED_MS = 3_600_000;

export class RegistryWrites {
  readonly #clerk: Clerk;
  readonly #keys: RegistryKeys;
  readonly #view: RegistryView;
  readonly #limits: Limits;
  readonly #newId: () => string;

  constructor(clerk: Clerk, keys: RegistryKeys, view: RegistryView, limits: Limits, newId: () => string) {
    this.#clerk = clerk;
    this.#keys = keys;
    this.#view = view;
    this.#limits = limits;
    this.#newId = newId;
  }

  /**
   * Declares what a lease holds: all of it. @param storeTtlMs of the lease until it is renewed
   * @throws RpcError RPC_SUPERSEDED, RPC_REGISTRY_FULL, RPC_PERMISSION_DENIED; nothing has changed then
   */
  register(registration: CheckedRegistration, storeTtlMs: number, wallMs: number): Promise<Registered> {
    return this.#repeated(() => this.#register(registration, storeTtlMs, wallMs));
  }

  /** Renews a lease, for `storeTtlMs` from now. Null: there is none. @throws RpcError RPC_PERMISSION_DENIED */
  renew(leaseId: string, owner: string | null | undefined, storeTtlMs?: number): Promise<LeaseRecord | null> {
    return this.#repeated(() => this.#renew(leaseId, owner, storeTtlMs));
  }

  async isSuperseded(leaseId: string): Promise<boolean> {
    return (await this.#clerk.get(this.#keys.superseded(leaseId))) !== null;
  }

  /** @param services null for all of the lease. @throws RpcError RPC_PERMISSION_DENIED */
  deregister(
    leaseId: string,
    services: readonly string[] | null,
    owner: string | null,
  ): Promise<Written & { removed: number }> {
    return this.#repeated(() => this.#deregister(leaseId, services, owner));
  }

  /** Takes away what is under a lease that has run out; nothing when it came back meanwhile. @returns how many instances */
  expire(leaseId: string): Promise<Written & { removed: number }> {
    return this.#repeated(async () => {
      const under = this.#view.storedUnder(leaseId).map(({ key }) => key);
      const [lease, instances] = await this.#read(leaseId, under);
      const own = instances.filter(({ value }) => value?.leaseId === leaseId);
      if (lease.value !== null || own.length === 0) return { revision: 0, removed: 0 };
      const done = await this.#commit(
        [lease, ...own],
        own.map(({ key }) => op.delete(key)),
      );
      return done === AGAIN ? AGAIN : { revision: done, removed: own.length };
    });
  }

  async #register(
    registration: CheckedRegistration,
    storeTtlMs: number,
    wallMs: number,
  ): Promise<Registered | typeof AGAIN> {
    const { leaseId, epoch, ttlMs, owner, instances } = registration;
    const wanted = new Map(instances.map((facts) => [this.#keys.instance(facts), facts] as const));
    const [known, there] = await this.#read(leaseId, [...wanted.keys()]);
    refuseStranger(known.value, owner);
    this.#refuseEarlierLife(there, epoch);
    this.#refuseOverflow(registration, there);
    const isSameLife = known.value !== null && known.value.epoch === epoch;
    const old = isSameLife ? known.value : null;
    const base = await this.#storeLease(old, storeTtlMs);
    const lease: LeaseRecord = {
      id: old?.id ?? this.#newId(),
      ...base,
      ttlMs,
      epoch,
      owner,
      registeredMs: old?.registeredMs ?? wallMs,
      keys: [...wanted.keys()].toSorted(),
    };
    const stored = (facts: (typeof instances)[number]): StoredInstance => ({
      ...facts,
      epoch,
      leaseId: lease.id,
      owner,
      ttlMs,
    });
    const puts = there
      .filter(({ key, value }) => {
        const facts = wanted.get(key)!;
        const isThere = value !== null && value.epoch === epoch && value.leaseId === lease.id;
        return !isThere || value.ttlMs !== ttlMs || !sameFacts(value, facts);
      })
      .map(({ key }) => op.put(key, encodeRecord(stored(wanted.get(key)!))));
    const gone = (old?.keys ?? []).filter((key) => !wanted.has(key));
    const losers = await this.#losers(there, lease.id);
    const isLeaseSame = old !== null && encodeRecord(old) === encodeRecord(lease);
    const operations: Operation<unknown>[] = [
      ...puts,
      ...gone.map((key) => op.delete(key)),
      ...losers.flatMap((loser) => this.#takeFrom(loser, wanted, epoch)),
      ...(isLeaseSame
        ? []
        : [op.put(this.#keys.lease(lease.id), encodeRecord(lease), { lease: lease.storeLease })]),
    ];
    const ownLease = old === null ? this.#missing(this.#keys.lease(lease.id)) : known;
    const conditions = [...there, ...losers, ownLease];
    const revision =
      operations.length === 0 ? this.#view.revision : await this.#commit(conditions, operations);
    const isNew = base.storeLease !== old?.storeLease;
    if (revision === AGAIN) {
      if (isNew) await this.#revoke(base.storeLease);
      return AGAIN;
    }
    if (isNew && old !== null) await this.#revoke(old.storeLease);
    for (const loser of losers)
      if (this.#isEmptied(loser, wanted)) await this.#revoke(loser.value!.storeLease);
    return { lease, revision };
  }

  async #renew(
    leaseId: string,
    owner: string | null | undefined,
    storeTtlMs?: number,
  ): Promise<LeaseRecord | null | typeof AGAIN> {
    // What the view has is good enough to keep alive; whether that went well, the store says.
    const seen = this.#view.leaseRecord(leaseId);
    if (seen !== null) {
      if (owner !== undefined) refuseStranger(seen, owner);
      if (seen.storeTtlMs === (storeTtlMs ?? seen.ttlMs) && (await this.#keepAlive(seen.storeLease)))
        return seen;
    }
    const under = this.#view.storedUnder(leaseId);
    const [known, instances] = await this.#read(
      leaseId,
      under.map(({ key }) => key),
    );
    const own = instances.filter(({ value }) => value?.leaseId === leaseId);
    const first = own[0]?.value ?? null;
    // One that ran out, whose instances nobody has taken away yet, is as any other once it speaks again.
    const found = known.value ?? (first === null ? null : { ...first, id: leaseId });
    if (found === null) return null;
    if (owner !== undefined) refuseStranger(found, owner);
    const ttlMs = storeTtlMs ?? found.ttlMs;
    const base = await this.#storeLease(known.value, ttlMs);
    if (base.storeLease === known.value?.storeLease) return known.value;
    const lease: LeaseRecord = {
      id: leaseId,
      ...base,
      ttlMs: found.ttlMs,
      epoch: found.epoch,
      owner: found.owner,
      registeredMs: known.value?.registeredMs ?? 0,
      keys: known.value?.keys ?? own.map(({ key }) => key).toSorted(),
    };
    const put = op.put(this.#keys.lease(leaseId), encodeRecord(lease), { lease: base.storeLease });
    const revision = await this.#commit(known.value === null ? [known, ...own] : [known], [put]);
    await this.#revoke(revision === AGAIN ? base.storeLease : (known.value?.storeLease ?? 0));
    return revision === AGAIN ? AGAIN : lease;
  }

  async #deregister(
    leaseId: string,
    services: readonly string[] | null,
    owner: string | null,
  ): Promise<(Written & { removed: number }) | typeof AGAIN> {
    const under = this.#view.storedUnder(leaseId).map(({ key }) => key);
    const [{ value: seen }] = await this.#read(leaseId, []);
    const [known, instances] = await this.#read(leaseId, [...new Set([...(seen?.keys ?? []), ...under])]);
    const own = instances.filter(({ value }) => value?.leaseId === leaseId);
    const held = known.value ?? own[0]?.value ?? null;
    if (held === null) return { revision: this.#view.revision, removed: 0 };
    refuseStranger(held, owner);
    const leaving = own.filter(({ value }) => services === null || services.includes(value!.service));
    const left = own.filter((read) => !leaving.includes(read)).map(({ key }) => key);
    const leaseKey = this.#keys.lease(leaseId);
    const lease = known.value;
    const keep =
      lease === null || left.length === 0
        ? op.delete(leaseKey)
        : op.put(leaseKey, encodeRecord({ ...lease, keys: left.toSorted() }), { keepLease: true });
    const revision = await this.#commit([known, ...own], [...leaving.map(({ key }) => op.delete(key)), keep]);
    if (revision === AGAIN) return AGAIN;
    if (left.length === 0 && lease !== null) await this.#revoke(lease.storeLease);
    return { revision, removed: leaving.length };
  }

  /** The lease of the store for a lease: the one it has, kept alive, or a new one. */
  async #storeLease(
    old: LeaseRecord | null,
    storeTtlMs: number,
  ): Promise<{ storeLease: number; storeTtlMs: number }> {
    if (old !== null && old.storeTtlMs === storeTtlMs && (await this.#keepAlive(old.storeLease)))
      return { storeLease: old.storeLease, storeTtlMs };
    return { storeLease: await this.#clerk.grantLease(storeTtlMs), storeTtlMs };
  }

  async #keepAlive(storeLease: number): Promise<boolean> {
    const [remainingMs = 0] = await this.#clerk.renewLeases([storeLease]);
    return remainingMs > 0;
  }

  /** Leases from which this registration takes addresses. */
  async #losers(there: readonly Read<StoredInstance>[], leaseId: string): Promise<Read<LeaseRecord>[]> {
    const ids = new Set(
      there.flatMap(({ value }) => (value === null || value.leaseId === leaseId ? [] : [value.leaseId])),
    );
    const losers: Read<LeaseRecord>[] = [];
    for (const id of ids) losers.push((await this.#read(id, []))[0]);
    return losers.filter(({ value }) => value !== null);
  }

  #takeFrom(
    { key, value }: Read<LeaseRecord>,
    wanted: ReadonlyMap<string, unknown>,
    epoch: number,
  ): Operation<unknown>[] {
    const lease = value!; // #losers gives no others
    const left = lease.keys.filter((instanceKey) => !wanted.has(instanceKey));
    if (left.length > 0) return [op.put(key, encodeRecord({ ...lease, keys: left }), { keepLease: true })];
    const isSuccessor = lease.epoch < epoch;
    const mark = op.put(this.#keys.superseded(lease.id), '', { ttlMs: SUPERSEDED_MS });
    return [op.delete(key), ...(isSuccessor ? [mark] : [])];
  }

  #isEmptied({ value }: Read<LeaseRecord>, wanted: ReadonlyMap<string, unknown>): boolean {
    return value!.keys.every((key) => wanted.has(key));
  }

  /** A lease and instances as they are, as one read. */
  async #read(
    leaseId: string | null,
    instanceKeys: readonly string[],
  ): Promise<[Read<LeaseRecord>, Read<StoredInstance>[]]> {
    const leaseKey = leaseId === null ? null : this.#keys.lease(leaseId);
    const keys = leaseKey === null ? instanceKeys : [leaseKey, ...instanceKeys];
    if (keys.length === 0) return [this.#missing(''), []];
    const { answers } = await this.#clerk
      .txn()
      .do(...keys.map((key) => op.get(key)))
      .commit();
    const pairs = answers as (KvPair | null)[]; // of gets
    const lease =
      leaseKey === null ? this.#missing('') : readOf(leaseKey, pairs.shift() ?? null, decodeLease);
    return [lease, instanceKeys.map((key, at) => readOf(key, pairs[at] ?? null, decodeInstance))];
  }

  #missing(key: string): Read<never> {
    return { key, value: null, modRevision: 0 };
  }

  /** @returns the revision */
  async #commit(
    conditions: readonly Read<unknown>[],
    operations: readonly Operation<unknown>[],
  ): Promise<number | typeof AGAIN> {
    const { succeeded, revision } = await this.#clerk
      .txn()
      .if(
        ...conditions
          .filter(({ key }) => key !== '')
          .map(({ key, modRevision }) => when.modRevision(key, '=', modRevision)),
      )
      .do(...operations)
      .commit();
    return succeeded ? revision : AGAIN;
  }

  async #revoke(storeLease: number): Promise<void> {
    if (storeLease === 0) return;
    try {
      await this.#clerk.revokeLease(storeLease);
    } catch (error) {
      if (!(error instanceof KvError)) throw error; // it holds nothing any more, and runs out
    }
  }

  #refuseEarlierLife(there: readonly Read<StoredInstance>[], epoch: number): void {
    for (const { value } of there) {
      if (value === null || value.epoch <= epoch) continue;
      throw new RpcError(
        'RPC_SUPERSEDED',
        `${value.service} at ${addressOf(value)} is registered by a later life (epoch ${value.epoch}, not ${epoch})`,
        { executed: 'no', trailers: Metadata.from({ [EPOCH_TRAILER]: String(value.epoch) }) },
      );
    }
  }

  /** Against what this registry has seen: several at once may go a little above. */
  #refuseOverflow({ instances }: CheckedRegistration, there: readonly Read<StoredInstance>[]): void {
    const view = this.#view;
    const { servicesMax, instancesPerServiceMax, instancesMax } = this.#limits;
    const added = new Map<string, number>();
    for (const [at, { service }] of instances.entries())
      if (there[at]!.value === null) added.set(service, (added.get(service) ?? 0) + 1);
    const addedInstances = [...added.values()].reduce((sum, count) => sum + count, 0);
    if (addedInstances > 0 && view.instanceCount + addedInstances > instancesMax)
      throw registryFull(
        `the registry has ${view.instanceCount} instances and takes ${instancesMax} at most`,
      );
    for (const [service, count] of added) {
      if (view.count(service) + count > instancesPerServiceMax)
        throw registryFull(
          `${service} has ${view.count(service)} instances and may have ${instancesPerServiceMax}`,
        );
    }
    const services = view.services();
    const addedServices = [...added.keys()].filter((service) => !services.includes(service)).length;
    if (services.length + addedServices > servicesMax)
      throw registryFull(`the registry has ${services.length} services and takes ${servicesMax} at most`);
  }

  /** `work` gives AGAIN when something changed under it. @throws RpcError */
  async #repeated<T>(work: () => Promise<T | typeof AGAIN>): Promise<T> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
        const done = await work();
        if (done !== AGAIN) return done;
      }
    } catch (error) {
      throw asRpcError(error);
    }
    throw new RpcError('RPC_ABORTED', 'other registries change the same again and again', { executed: 'no' });
  }
}

function readOf<T>(key: string, pair: KvPair | null, decode: (text: string) => T): Read<T> {
  return pair === null
    ? { key, value: null, modRevision: 0 }
    : { key, value: decode(pair.text), modRevision: pair.modRevision };
}

function refuseStranger(lease: { readonly owner: string | null } | null, owner: string | null): void {
  if (lease === null || lease.owner === owner) return;
  throw new RpcError('RPC_PERMISSION_DENIED', 'the lease was granted to another token', { executed: 'no' });
}

/** What the registry's clients are told when the store cannot do it now. */
export function asRpcError(error: unknown): unknown {
  if (!(error instanceof KvError)) return error;
  const { code, message } = error;
  const executed = code === 'KV_OUTCOME_UNKNOWN' || code === 'KV_SESSION_EXPIRED' ? 'unknown' : 'no';
  return new RpcError('RPC_UNAVAILABLE', `the store behind the registry: ${code}: ${message}`, {
    executed,
    cause: error,
  });
}
