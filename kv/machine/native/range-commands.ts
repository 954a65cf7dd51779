// The commands on many keys: range and delete_range. Work and answers are bounded: VISITS_MAX keys are looked at,
// RESULT_BYTES_MAX given; what is left is for the next page.

import type { DeleteRange, KeyRange, Range } from '../../proto/kv.js';
import type { Range as KeyBounds } from '../../skip/range.js';
import type { Keyspace } from '../keyspace.js';
import type { Slot } from '../slot.js';
import type { NativeContext } from './native-context.js';
import { DELETES_MAX, RANGE_LIMIT_DEFAULT, RANGE_LIMIT_MAX } from './native-limits.js';
import {
  bytesFrom,
  bytesOf,
  type KeyValueInit,
  keyValue,
  NativeFailure,
  numberFrom,
  type Result,
  textFrom,
} from './outcomes.js';

/** @throws NativeFailure KV_REQUEST_INVALID: both a prefix and bounds */
export function boundsFrom(range: KeyRange | undefined): KeyBounds {
  if (range === undefined) return {};
  const [start, end, prefix] = [textFrom(range.start), textFrom(range.end), textFrom(range.prefix)];
  if (prefix === '') return end === '' ? { from: start } : { from: start, to: end };
  if (start !== '' || end !== '')
    throw new NativeFailure('KV_REQUEST_INVALID', 'a range has either a prefix or start and end');
  return { prefix };
}

export function isInBounds(key: string, { from, to, prefix }: KeyBounds): boolean {
  if (prefix !== undefined) return key.startsWith(prefix);
  return key >= (from ?? '') && (to === undefined || key < to);
}

export function limitFrom(limit: number): number {
  if (limit > RANGE_LIMIT_MAX)
    throw new NativeFailure('KV_REQUEST_INVALID', `limit is ${limit}: at most ${RANGE_LIMIT_MAX}`);
  return limit === 0 ? RANGE_LIMIT_DEFAULT : limit;
}

export function runRange({ keyspace, nowMs, budget }: NativeContext, command: Range): Result {
  const { reverse, keysOnly, countOnly } = command;
  const limit = limitFrom(command.limit);
  const accepts = filterOf(command);
  const whole = boundsFrom(command.range);
  const after = textFrom(command.after);
  if (countOnly && accepts === null && after === '') {
    return { range: { count: BigInt(keyspace.count(whole)) } };
  }
  const range = pageOf(whole, after, reverse);
  const kvs: KeyValueInit[] = [];
  let count = 0;
  let lastKey = after;
  let more = false;
  walk(
    keyspace,
    range,
    countOnly || accepts !== null ? SCAN_KEYS : Math.min(limit + 1, SCAN_KEYS),
    (key, slot) => {
      if ((!countOnly && kvs.length === limit) || !budget.visit()) {
        more = true;
        return false;
      }
      if (accepts === null || accepts(slot)) {
        if (countOnly) count += 1;
        else {
          if (!budget.take(bytesOf(key, slot, !keysOnly))) {
            more = true;
            return false;
          }
          kvs.push(keyValue(key, slot, nowMs, !keysOnly));
        }
      }
      lastKey = key;
      return true;
    },
  );
  return { range: { kvs, more, lastKey: bytesFrom(lastKey), count: BigInt(count) } };
}

/** Keys that are taken from the keyspace at once. */
const SCAN_KEYS = 512;

/** Gives the keys of a range to `visit` until it says false. */
export function walk(
  keyspace: Keyspace,
  range: KeyBounds,
  pageKeys: number,
  visit: (key: string, slot: Slot) => boolean,
): void {
  const page: [string, Slot][] = [];
  for (let rest = range; ; ) {
    page.length = 0;
    const more = keyspace.scan(rest, pageKeys, (key, slot) => page.push([key, slot]));
    for (const [key, slot] of page) if (!visit(key, slot)) return;
    if (!more || page.length === 0) return;
    rest = pageOf(range, page.at(-1)![0], range.reverse === true);
  }
}

/** The part of a range behind a key, in the direction of the scan. */
export function pageOf(whole: KeyBounds, after: string, reverse: boolean): KeyBounds {
  if (after === '') return { ...whole, reverse };
  if (!reverse) return { ...whole, after };
  return { ...whole, to: whole.to === undefined || after < whole.to ? after : whole.to, reverse };
}

function filterOf(command: Range): ((slot: Slot) => boolean) | null {
  const minMod = numberFrom('min_mod_revision', command.minModRevision);
  const minCreate = numberFrom('min_create_revision', command.minCreateRevision);
  const maxMod = numberFrom('max_mod_revision', command.maxModRevision) || Number.POSITIVE_INFINITY;
  const maxCreate = numberFrom('max_create_revision', command.maxCreateRevision) || Number.POSITIVE_INFINITY;
  if (minMod === 0 && minCreate === 0 && maxMod === Number.POSITIVE_INFINITY && maxCreate === maxMod)
    return null;
  return ({ version, createRevision }) =>
    version >= minMod && version <= maxMod && createRevision >= minCreate && createRevision <= maxCreate;
}

export function runDeleteRange(context: NativeContext, command: DeleteRange): Result {
  const limit = command.limit === 0 ? DELETES_MAX : Math.min(command.limit, DELETES_MAX);
  return { delete: deleteKeys(context, boundsFrom(command.range), limit, command.wantPrevious) };
}

/** Deletes the first keys of a range. */
export function deleteKeys(
  { keyspace, nowMs, budget }: NativeContext,
  range: KeyBounds,
  limit: number,
  wantPrevious: boolean,
): { deleted: bigint; previous: KeyValueInit[]; more: boolean } {
  const keys: string[] = [];
  const previous: KeyValueInit[] = [];
  let more = false;
  let hasRoom = wantPrevious;
  walk(keyspace, range, Math.min(limit + 1, SCAN_KEYS), (key, slot) => {
    if (keys.length === limit) {
      more = true;
      return false;
    }
    keys.push(key);
    hasRoom &&= budget.take(bytesOf(key, slot, true));
    if (hasRoom) previous.push(keyValue(key, slot, nowMs, true));
    return true;
  });
  for (const key of keys) keyspace.delete(key);
  return { deleted: BigInt(keys.length), previous, more };
}
