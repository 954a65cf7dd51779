// The commands on leases. leases.ts keeps them; keys get theirs by put, compare_and_set, put_sequential and tree_create.

import type {
  LeaseGrant,
  LeaseKeepAlive,
  LeaseList,
  LeaseResult,
  LeaseRevoke,
  LeaseTimeToLive,
} from '../../proto/kv.js';
import type { MessageInit } from '../../../rpc/index.js';
import type { Lease } from './leases.js';
import type { NativeContext } from './native-context.js';
import { LEASE_IDS_MAX, LEASE_TTL_MS_MIN, TTL_MS_MAX } from './native-limits.js';
import { bytesFrom, NativeFailure, numberFrom, type Result } from './outcomes.js';

export function runLeaseGrant({ leases, nowMs }: NativeContext, command: LeaseGrant): Result {
  const ttlMs = numberFrom('ttl_ms', command.ttlMs, TTL_MS_MAX);
  if (ttlMs < LEASE_TTL_MS_MIN)
    throw new NativeFailure('KV_REQUEST_INVALID', `ttl_ms is ${ttlMs}: at least ${LEASE_TTL_MS_MIN}`);
  const id = numberFrom('id', command.id);
  // Overdue, with keys that are still to go: it is removed at the start of one of the next entries.
  const lease = leases.grant(id, ttlMs, nowMs);
  return { lease: { id: BigInt(lease.id), ttlMs: BigInt(ttlMs), remainingMs: BigInt(ttlMs) } };
}

export function runLeaseKeepAlive({ leases, nowMs }: NativeContext, command: LeaseKeepAlive): Result {
  if (command.ids.length > LEASE_IDS_MAX)
    throw new NativeFailure('KV_REQUEST_INVALID', `at most ${LEASE_IDS_MAX} leases at once`);
  const renewed = command.ids.map((wanted): MessageInit<LeaseResult> => {
    const lease = leases.renew(Number(wanted), nowMs);
    if (lease === undefined) return { id: wanted };
    return { id: wanted, ttlMs: BigInt(lease.ttlMs), remainingMs: BigInt(lease.ttlMs) };
  });
  return { leases: { leases: renewed } };
}

export function runLeaseRevoke(context: NativeContext, command: LeaseRevoke): Result {
  const lease = demand(context, command.id);
  return { leaseRevoke: { deleted: BigInt(endLease(context, lease)) } };
}

/** Lets a lease go, and its keys with it; how many keys. */
export function endLease(
  { leases, keyspace }: Pick<NativeContext, 'leases' | 'keyspace'>,
  lease: Lease,
  expired = false,
): number {
  leases.remove(lease.id);
  let deleted = 0;
  // In the order of keys, which is the same on every member.
  for (const key of [...lease.keys].toSorted()) {
    if (keyspace.delete(key, expired ? 'expire' : 'delete')) deleted += 1;
  }
  return deleted;
}

export function runLeaseTimeToLive(context: NativeContext, command: LeaseTimeToLive): Result {
  const lease = demand(context, command.id);
  return { lease: resultOf(context, lease, command.wantKeys) };
}

export function runLeaseList(context: NativeContext, command: LeaseList): Result {
  const { leases, nowMs } = context;
  const { leases: found, more } = leases.list(numberFrom('after', command.after), LEASE_IDS_MAX);
  const alive = found.filter(({ id }) => leases.find(id, nowMs) !== undefined);
  return { leases: { leases: alive.map((lease) => resultOf(context, lease, false)), more } };
}

function demand({ leases, nowMs }: NativeContext, id: bigint): Lease {
  const lease = leases.find(Number(id), nowMs);
  if (lease === undefined) throw new NativeFailure('KV_LEASE_NOT_FOUND', `there is no lease ${id}`);
  return lease;
}

function resultOf(
  { leases, nowMs, budget }: NativeContext,
  lease: Lease,
  wantKeys: boolean,
): MessageInit<LeaseResult> {
  const keys = wantKeys ? [...lease.keys].toSorted().filter((key) => budget.take(key.length + 32)) : [];
  return {
    id: BigInt(lease.id),
    ttlMs: BigInt(lease.ttlMs),
    remainingMs: BigInt(leases.remainingMs(lease, nowMs)),
    keyCount: BigInt(lease.keys.size),
    keys: keys.map(bytesFrom),
  };
}
