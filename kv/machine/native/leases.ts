// Leases: keys that go when nobody renews what they hang on.
// lease-commands.ts grants and renews, the keyspace tells which keys hang on which lease (attach, detach), and the
// executor lets the overdue ones go at the start of an entry. All by log time. After a change of leader every lease has
// its whole ttl again, so that no time without a leader, and no clock that is ahead, takes any from it.

import type { ValueReader, ValueWriter } from '../value.js';
import { DeadlineQueue } from './deadline-queue.js';
import { LEASE_KEYS_MAX, LEASES_MAX } from './native-limits.js';
import { NativeFailure } from './outcomes.js';

export interface Lease {
  readonly id: number;
  readonly ttlMs: number;
  /** Log time of its grant or last renewal. */
  renewedMs: number;
  readonly keys: Set<string>;
}

/** Counted for each lease, and for each key on one. */
const LEASE_BYTES = 320;
const ATTACHED_KEY_BYTES = 40;

export class Leases {
  readonly #leases = new Map<number, Lease>();
  #nextId = 1;
  #termStartMs = 0;
  readonly #queue = new DeadlineQueue((id) => this.#deadlineOf(id));
  #attached = 0;

  get size(): number {
    return this.#leases.size;
  }

  get memoryBytes(): number {
    return this.#leases.size * LEASE_BYTES + this.#attached * ATTACHED_KEY_BYTES;
  }

  termStarted(nowMs: number): void {
    this.#termStartMs = nowMs;
  }

  /** @throws NativeFailure KV_LEASE_EXISTS, KV_LEASES_FULL */
  grant(wantedId: number, ttlMs: number, nowMs: number): Lease {
    if (this.#leases.has(wantedId))
      throw new NativeFailure('KV_LEASE_EXISTS', `lease ${wantedId} is there already`);
    if (this.#leases.size >= LEASES_MAX)
      throw new NativeFailure('KV_LEASES_FULL', `there are ${LEASES_MAX} leases`);
    let id = wantedId;
    if (id === 0) {
      while (this.#leases.has(this.#nextId)) this.#nextId += 1;
      id = this.#nextId;
      this.#nextId += 1;
    }
    const lease: Lease = { id, ttlMs, renewedMs: nowMs, keys: new Set() };
    this.#leases.set(id, lease);
    this.#queue.add(id, nowMs + ttlMs, this.#leases.size);
    return lease;
  }

  /** The lease unless it is overdue. */
  find(id: number, nowMs: number): Lease | undefined {
    const lease = this.#leases.get(id);
    return lease !== undefined && this.#deadlineOf(id)! > nowMs ? lease : undefined;
  }

  /**
   * @param planned keys that the same transaction ties to it before this one
   * @throws NativeFailure KV_LEASE_NOT_FOUND, KV_LEASES_FULL: no more keys may hang on it
   */
  demand(id: number, key: string, nowMs: number, planned = 0): void {
    const lease = this.find(id, nowMs);
    if (lease === undefined) throw new NativeFailure('KV_LEASE_NOT_FOUND', `there is no lease ${id}`);
    if (lease.keys.size + planned >= LEASE_KEYS_MAX && (planned > 0 || !lease.keys.has(key)))
      throw new NativeFailure('KV_LEASES_FULL', `${LEASE_KEYS_MAX} keys hang on lease ${id}`);
  }

  renew(id: number, nowMs: number): Lease | undefined {
    const lease = this.find(id, nowMs);
    if (lease !== undefined) lease.renewedMs = nowMs;
    return lease;
  }

  remainingMs(lease: Lease, nowMs: number): number {
    return Math.max(0, this.#deadlineOf(lease.id)! - nowMs);
  }

  /** Its keys are the caller's to delete. */
  remove(id: number): void {
    this.#attached -= this.#leases.get(id)?.keys.size ?? 0;
    this.#leases.delete(id);
  }

  attach(key: string, id: number): void {
    const keys = this.#leases.get(id)?.keys;
    if (keys === undefined || keys.has(key)) return;
    keys.add(key);
    this.#attached += 1;
  }

  detach(key: string, id: number): void {
    if (this.#leases.get(id)?.keys.delete(key) === true) this.#attached -= 1;
  }

  /** The first overdue lease; undefined when none is. */
  overdue(nowMs: number): Lease | undefined {
    const id = this.#queue.due(nowMs);
    return id === null ? undefined : this.#leases.get(id);
  }

  nextDeadlineMs(): number | null {
    return this.#queue.nextMs();
  }

  /** Ids above `after`, in order. */
  list(after: number, limit: number): { leases: readonly Lease[]; more: boolean } {
    const ids = [...this.#leases.keys()].filter((id) => id > after).toSorted((a, b) => a - b);
    const leases = ids.slice(0, limit).map((id) => this.#leases.get(id)!);
    return { leases, more: ids.length > limit };
  }

  /** Without the keys, which say themselves on what they hang. */
  encode(writer: ValueWriter): void {
    writer.uint(this.#nextId);
    writer.uint(this.#termStartMs);
    writer.uint(this.#leases.size);
    for (const { id, ttlMs, renewedMs } of this.#leases.values()) {
      for (const number of [id, ttlMs, renewedMs]) writer.uint(number);
    }
  }

  /** @throws KvError KV_SNAPSHOT_DAMAGED */
  decode(reader: ValueReader): void {
    this.#nextId = reader.uint();
    this.#termStartMs = reader.uint();
    for (let left = reader.count(3); left > 0; left -= 1) {
      const [id, ttlMs, renewedMs] = [reader.uint(), reader.uint(), reader.uint()];
      this.#leases.set(id, { id, ttlMs, renewedMs, keys: new Set() });
      this.#queue.add(id, this.#deadlineOf(id)!, this.#leases.size);
    }
  }

  #deadlineOf(id: number): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    return Math.max(lease.renewedMs, this.#termStartMs) + lease.ttlMs;
  }
}
