// The commands on one key: get, put, append, delete, compare-and-set, touch, put under the next number.
// native-executor.ts and txn-command.ts run them. Each looks first and throws before it changes anything.

import {
  type Append,
  type CompareAndSet,
  type Delete,
  type Get,
  type Put,
  PutCondition,
  type PutSequential,
  type Touch,
} from '../../proto/kv.js';
import { textOf } from '../bytes.js';
import type { Slot } from '../slot.js';
import type { NativeContext } from './native-context.js';
import { COUNTER_DIGITS, TTL_MS_MAX, VALUE_BYTES_MAX } from './native-limits.js';
import {
  bytesFrom,
  isString,
  keyFrom,
  keyValue,
  NativeFailure,
  numberFrom,
  type Result,
  shown,
  stringOf,
  textFrom,
} from './outcomes.js';

/** What a write says of how long its key lives. */
interface Terms {
  readonly lease: bigint;
  readonly ttlMs: bigint;
  readonly keepLease?: boolean;
  readonly keepTtl?: boolean;
}

export function runGet({ keyspace, nowMs }: NativeContext, command: Get): Result {
  const key = keyFrom(command.key);
  const slot = keyspace.find(key);
  if (slot === undefined) return { get: {} };
  if (stringOf(key, slot).length > VALUE_BYTES_MAX) {
    throw new NativeFailure(
      'KV_VALUE_TOO_LARGE',
      `${shown(key)} has more than ${VALUE_BYTES_MAX} bytes: read it in parts with GETRANGE`,
    );
  }
  return { get: { kv: keyValue(key, slot, nowMs, true) } };
}

export function runPut(context: NativeContext, command: Put): Result {
  const { keyspace, nowMs, budget } = context;
  const key = keyFrom(command.key);
  const slot = keyspace.find(key);
  const before = slot === undefined ? null : stringOf(key, slot);
  const { condition } = command;
  if (condition === PutCondition.IF_ABSENT && slot !== undefined)
    throw new NativeFailure('KV_EXISTS', `${shown(key)} is there already`);
  if ((condition === PutCondition.IF_PRESENT || command.keepValue) && slot === undefined)
    throw new NativeFailure('KV_NOT_FOUND', `there is no ${shown(key)}`);
  const terms = termsFor(context, key, slot, command);
  const previous =
    command.wantPrevious && slot !== undefined && budget.take(before!.length)
      ? keyValue(key, slot, nowMs, true)
      : undefined;
  const version = (slot?.writes ?? 0) + 1;
  keyspace.set(key, command.keepValue ? before! : textFrom(command.value), terms);
  return { put: { previous, version: BigInt(version), isNew: slot === undefined } };
}

export function runAppend({ keyspace }: NativeContext, command: Append): Result {
  const key = keyFrom(command.key);
  const slot = keyspace.find(key);
  const before = slot === undefined ? '' : stringOf(key, slot);
  const length = before.length + command.value.length;
  if (length > VALUE_BYTES_MAX)
    throw new NativeFailure('KV_VALUE_TOO_LARGE', `${shown(key)} would have ${length} bytes`);
  const { expireAtMs = 0, lease = 0 } = slot ?? {};
  keyspace.set(key, textOf(before) + textFrom(command.value), { expireAtMs, lease });
  return { append: { length: BigInt(length) } };
}

export function runDelete({ keyspace, nowMs, budget }: NativeContext, command: Delete): Result {
  const key = keyFrom(command.key);
  const slot = keyspace.find(key);
  if (slot === undefined) return { delete: { deleted: 0n } };
  const wanted = command.wantPrevious && budget.take(key.length + memoryOf(slot));
  const previous = wanted ? [keyValue(key, slot, nowMs, true)] : [];
  keyspace.delete(key);
  return { delete: { deleted: 1n, previous } };
}

export function runCompareAndSet(context: NativeContext, command: CompareAndSet): Result {
  const { keyspace, nowMs } = context;
  const key = keyFrom(command.key);
  const slot = keyspace.find(key);
  if (!isAsExpected(slot, command)) {
    return {
      compareAndSet: {
        succeeded: false,
        current: slot === undefined ? undefined : keyValue(key, slot, nowMs, true),
      },
    };
  }
  if (command.delete) {
    if (slot !== undefined) keyspace.delete(key);
    return { compareAndSet: { succeeded: true } };
  }
  if (slot !== undefined) stringOf(key, slot);
  keyspace.set(key, textFrom(command.newValue), termsFor(context, key, slot, command));
  return {
    compareAndSet: { succeeded: true, current: keyValue(key, keyspace.find(key)!, nowMs, false) },
  };
}

function isAsExpected(slot: Slot | undefined, command: CompareAndSet): boolean {
  const { value, modRevision, version, absent } = command;
  if (absent !== undefined) return absent === (slot === undefined);
  if (version !== undefined) return BigInt(slot?.writes ?? 0) === version;
  if (modRevision !== undefined) return BigInt(slot?.version ?? 0) === modRevision;
  if (value === undefined)
    throw new NativeFailure('KV_REQUEST_INVALID', 'a compare_and_set must say what it expects');
  return slot !== undefined && isString(slot.value) && textOf(slot.value) === textFrom(value);
}

export function runTouch({ keyspace, nowMs }: NativeContext, command: Touch): Result {
  const key = keyFrom(command.key);
  const ttlMs = numberFrom('ttl_ms', command.ttlMs, TTL_MS_MAX);
  const slot = keyspace.find(key);
  if (slot === undefined) return { touch: { found: false } };
  if (ttlMs === 0) keyspace.persist(key);
  else keyspace.expire(key, nowMs + ttlMs);
  return { touch: { found: true } };
}

export function runPutSequential(context: NativeContext, command: PutSequential): Result {
  return putUnderNextNumber(context, keyFrom(command.prefix), keyFrom(command.prefix), command);
}

/** @param counter the prefix whose numbers are counted */
export function putUnderNextNumber(
  context: NativeContext,
  prefix: string,
  counter: string,
  command: Terms & { readonly value: Uint8Array },
): Result {
  const { keyspace, counters } = context;
  // With numbers as wide as they get, whichever comes next.
  const terms = termsFor(context, prefix, undefined, command);
  let number = counters.next(counter);
  let key = prefix + padded(number);
  // Somebody may have put such a key by hand.
  while (keyspace.find(key) !== undefined) {
    number = counters.next(counter);
    key = prefix + padded(number);
  }
  keyspace.set(key, textFrom(command.value), terms);
  return { key: { key: bytesFrom(key), number: BigInt(number) } };
}

function padded(number: number): string {
  return String(number).padStart(COUNTER_DIGITS, '0');
}

/**
 * @param planned keys that the same transaction ties to the lease before this one
 * @throws NativeFailure KV_LEASE_NOT_FOUND, KV_LEASES_FULL, KV_REQUEST_INVALID
 */
export function termsFor(
  { leases, nowMs }: NativeContext,
  key: string,
  slot: Slot | undefined,
  { lease, ttlMs, keepLease = false, keepTtl = false }: Terms,
  planned = 0,
): { expireAtMs: number; lease: number } {
  const leaseId = numberFrom('lease', lease);
  const ttl = numberFrom('ttl_ms', ttlMs, TTL_MS_MAX);
  if ((keepLease && leaseId !== 0) || (keepTtl && ttl !== 0))
    throw new NativeFailure('KV_REQUEST_INVALID', 'what is kept cannot be given as well');
  if (leaseId !== 0) leases.demand(leaseId, key, nowMs, planned);
  const ownMs = ttl === 0 ? 0 : nowMs + ttl;
  return {
    expireAtMs: keepTtl ? (slot?.expireAtMs ?? 0) : ownMs,
    lease: keepLease ? (slot?.lease ?? 0) : leaseId,
  };
}

function memoryOf({ value }: Slot): number {
  return isString(value) ? value.length : 0;
}
