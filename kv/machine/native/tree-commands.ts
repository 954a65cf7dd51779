// The tree view: keys that are paths. A node is the key of its path; its children are the keys one '/' further.
// Only tree_create looks after parents; a plain put may make a node whose parent is missing, and it is shown as well.

import type { Range as KeyBounds } from '../../skip/range.js';
import type { Slot } from '../slot.js';
import type { MessageInit } from '../../../rpc/index.js';
import type { Child, TreeChildren, TreeCreate, TreeDelete } from '../../proto/kv.js';
import { putUnderNextNumber, termsFor } from './key-commands.js';
import type { NativeContext } from './native-context.js';
import { DELETES_MAX, TXN_OPERATIONS_MAX, VISITS_MAX } from './native-limits.js';
import {
  bytesFrom,
  bytesOf,
  keyFrom,
  keyValue,
  NativeFailure,
  type Result,
  shown,
  textFrom,
} from './outcomes.js';
import { deleteKeys, limitFrom } from './range-commands.js';

/** @throws NativeFailure KV_REQUEST_INVALID */
export function pathFrom(bytes: Uint8Array): string {
  return checked(keyFrom(bytes));
}

function checked(path: string): string {
  if (path === '/') return path;
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('//')) {
    throw new NativeFailure(
      'KV_REQUEST_INVALID',
      `${shown(path)} is no path: it must begin with '/', not end with it, and have no empty part`,
    );
  }
  return path;
}

/** The path above; '/' of the topmost ones. Null where the key is no path below another. */
export function parentOf(path: string): string | null {
  if (!path.startsWith('/') || path === '/') return null;
  const at = path.lastIndexOf('/');
  return at === 0 ? '/' : path.slice(0, at);
}

/** What every path below begins with. */
export function below(path: string): string {
  return path === '/' ? '/' : `${path}/`;
}

export function runTreeCreate(context: NativeContext, command: TreeCreate): Result {
  const { keyspace } = context;
  const { sequential, makeParents } = command;
  const wanted = keyFrom(command.path);
  // A node may be called by its number alone: '/queue/' and the number.
  const path = sequential && wanted.endsWith('/') && wanted !== '/' ? wanted.slice(0, -1) : wanted;
  checked(path);
  const parent = sequential && wanted.endsWith('/') ? path : parentOf(path);
  if (parent === null) throw new NativeFailure('KV_EXISTS', "'/' is always there");
  if (!sequential && keyspace.find(path) !== undefined)
    throw new NativeFailure('KV_EXISTS', `${shown(path)} is there already`);
  const missing = missingAbove(context, parent);
  if (missing.length > 0 && !makeParents)
    throw new NativeFailure('KV_NO_PARENT', `there is no ${shown(missing[0]!)} above ${shown(path)}`);
  if (missing.length > TXN_OPERATIONS_MAX)
    throw new NativeFailure('KV_REQUEST_INVALID', `${missing.length} parents are missing`);
  const terms = termsFor(context, path, undefined, command);
  for (const each of missing) keyspace.set(each, '');
  if (sequential) return putUnderNextNumber(context, wanted, below(parent), command);
  keyspace.set(path, textFrom(command.value), terms);
  return { key: { key: bytesFrom(path) } };
}

/** From the top down. */
function missingAbove({ keyspace }: NativeContext, parent: string): string[] {
  const missing: string[] = [];
  for (let at: string | null = parent; at !== null && at !== '/'; at = parentOf(at)) {
    if (keyspace.find(at) === undefined) missing.push(at);
    if (missing.length > TXN_OPERATIONS_MAX) break; // too many, however many more there are
  }
  return missing.toReversed();
}

export function runTreeChildren(context: NativeContext, command: TreeChildren): Result {
  const { keyspace, nowMs, budget } = context;
  const path = pathFrom(command.path);
  const limit = limitFrom(command.limit);
  const prefix = below(path);
  const children: MessageInit<Child>[] = [];
  let cursor = textFrom(command.after) || prefix;
  let more = false;
  // One look-up for each child, so that what is below them costs nothing.
  for (let visits = 0; ; visits += 1) {
    const next = nextBehind(context, prefix, cursor);
    if (next === null) break;
    if (children.length === limit || visits === VISITS_MAX) {
      more = true;
      break;
    }
    const [key, slot] = next;
    const slash = key.indexOf('/', prefix.length);
    const child = slash < 0 ? key : key.slice(0, slash);
    const isNode = slash < 0;
    // A child that is there came before what is below it.
    if (child.length > prefix.length && (isNode || keyspace.find(child) === undefined)) {
      if (!budget.take(isNode ? bytesOf(key, slot, !command.namesOnly) : child.length)) {
        more = true;
        break;
      }
      const name = bytesFrom(child.slice(prefix.length));
      children.push(isNode ? { name, kv: keyValue(key, slot, nowMs, !command.namesOnly) } : { name });
    }
    cursor = isNode ? key : `${child}/`;
  }
  if (children.length === 0 && !more && command.after.length === 0 && path !== '/') {
    if (keyspace.find(path) === undefined)
      throw new NativeFailure('KV_NOT_FOUND', `there is no ${shown(path)}`);
  }
  return { children: { children, more, lastKey: bytesFrom(cursor) } };
}

/** The first key behind a cursor: a key, or with a '/' at its end everything that begins with it. */
function nextBehind(context: NativeContext, prefix: string, cursor: string): [string, Slot] | null {
  if (cursor === prefix) return first(context, { prefix, after: prefix });
  // '0' follows '/'.
  if (cursor.endsWith('/')) return first(context, { prefix, from: `${cursor.slice(0, -1)}0` });
  return first(context, { prefix, after: cursor });
}

function first({ keyspace }: NativeContext, range: KeyBounds): [string, Slot] | null {
  let found: [string, Slot] | null = null;
  keyspace.scan(range, 1, (key, slot) => {
    found = [key, slot];
  });
  return found;
}

export function runTreeDelete(context: NativeContext, command: TreeDelete): Result {
  const { keyspace } = context;
  const path = pathFrom(command.path);
  const prefix = below(path);
  const hasChildren = first(context, { prefix, after: prefix }) !== null;
  const isThere = keyspace.find(path) !== undefined;
  if (!isThere && !hasChildren) throw new NativeFailure('KV_NOT_FOUND', `there is no ${shown(path)}`);
  if (hasChildren && !command.recursive)
    throw new NativeFailure('KV_NOT_EMPTY', `${shown(path)} has children`);
  const result = hasChildren
    ? deleteKeys(context, { prefix, after: prefix }, DELETES_MAX, false)
    : { deleted: 0n, previous: [], more: false };
  // The node goes last, so that one who goes on with `more` finds it.
  if (result.more || !isThere || path === '/') return { delete: result };
  keyspace.delete(path);
  return { delete: { ...result, deleted: result.deleted + 1n } };
}
