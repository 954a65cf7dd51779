// Lists. The blocking forms are not there: a command in the log cannot wait.

import type { Keyspace } from '../keyspace.js';
import { NIL_ARRAY, OK, type Reply } from '../reply.js';
import { ListValue } from '../values/list-value.js';
import {
  argumentAt,
  clampRange,
  countOf,
  fail,
  failSyntax,
  indexOf,
  keyListAt,
  optionAt,
} from './arguments.js';
import {
  type CommandContext,
  COUNTED_KEYS,
  define,
  ONE_KEY,
  READ,
  type RedisCommand,
  TWO_KEYS,
  WRITE,
  WRITE_FAST,
  WRITE_GROW,
  WRITE_GROW_FAST,
  WRITE_MOVABLE,
} from './command.js';
import { parseIndex } from './numbers.js';

type End = 'LEFT' | 'RIGHT';

export const LIST_COMMANDS: readonly RedisCommand[] = [
  define('lpush', -3, WRITE_GROW_FAST, ONE_KEY, 'Adds elements before the head of a list.', (context, args) =>
    push(context.keyspace, args, 'LEFT'),
  ),
  define('rpush', -3, WRITE_GROW_FAST, ONE_KEY, 'Adds elements behind the tail of a list.', (context, args) =>
    push(context.keyspace, args, 'RIGHT'),
  ),
  define('lpushx', -3, WRITE_GROW_FAST, ONE_KEY, 'As LPUSH, to a list that exists.', ({ keyspace }, args) =>
    listAt(keyspace, args[1]!) === undefined ? 0 : push(keyspace, args, 'LEFT'),
  ),
  define('rpushx', -3, WRITE_GROW_FAST, ONE_KEY, 'As RPUSH, to a list that exists.', ({ keyspace }, args) =>
    listAt(keyspace, args[1]!) === undefined ? 0 : push(keyspace, args, 'RIGHT'),
  ),
  define('lpop', -2, WRITE_FAST, ONE_KEY, 'Takes elements from the head of a list.', (context, args) =>
    pop(context.keyspace, args, 'LEFT'),
  ),
  define('rpop', -2, WRITE_FAST, ONE_KEY, 'Takes elements from the tail of a list.', (context, args) =>
    pop(context.keyspace, args, 'RIGHT'),
  ),
  define('llen', 2, ['readonly', 'fast'], ONE_KEY, 'Returns the length of a list.', ({ keyspace }, args) => {
    return listAt(keyspace, args[1]!)?.size ?? 0;
  }),
  define('lrange', 4, READ, ONE_KEY, 'Returns a part of a list.', ({ keyspace }, args) => {
    const first = indexOf(args[2]!);
    const last = indexOf(args[3]!);
    const list = listAt(keyspace, args[1]!);
    if (list === undefined) return [];
    const { start, end } = clampRange(list.size, first, last);
    return list.slice(start, end);
  }),
  define('lindex', 3, READ, ONE_KEY, 'Returns an element of a list by its index.', ({ keyspace }, args) => {
    const list = listAt(keyspace, args[1]!);
    if (list === undefined) return null;
    const index = placeOf(list, indexOf(args[2]!));
    return index === -1 ? null : list.get(index);
  }),
  define(
    'lset',
    4,
    WRITE_GROW,
    ONE_KEY,
    'Replaces an element of a list by its index.',
    ({ keyspace }, args) => {
      const found = listAt(keyspace, args[1]!) ?? fail('ERR no such key');
      const index = placeOf(found, indexOf(args[2]!));
      if (index === -1) fail('ERR index out of range');
      writableAt(keyspace, args[1]!).set(index, args[3]!);
      keyspace.changed(args[1]!);
      return OK;
    },
  ),
  define('lrem', 4, WRITE, ONE_KEY, 'Removes elements of a list by their value.', ({ keyspace }, args) => {
    const count = indexOf(args[2]!);
    const found = listAt(keyspace, args[1]!);
    if (found === undefined || found.indexOf(args[3]!) === -1) return 0;
    const most = count === 0 ? Number.POSITIVE_INFINITY : Math.abs(count);
    const removed = writableAt(keyspace, args[1]!).removeEqual(args[3]!, most, count < 0);
    keyspace.changed(args[1]!);
    return removed;
  }),
  define('ltrim', 4, WRITE, ONE_KEY, 'Removes all but a part of a list.', ({ keyspace }, args) => {
    const first = indexOf(args[2]!);
    const last = indexOf(args[3]!);
    const found = listAt(keyspace, args[1]!);
    if (found === undefined) return OK;
    const { start, end } = clampRange(found.size, first, last);
    if (end - start === found.size) return OK;
    writableAt(keyspace, args[1]!).trim(start, end);
    keyspace.changed(args[1]!);
    return OK;
  }),
  define('linsert', 5, WRITE_GROW, ONE_KEY, 'Puts an element before or behind another one.', insert),
  define('lpos', -3, READ, ONE_KEY, 'Finds elements of a list by their value.', positions),
  define('lmove', 5, WRITE_GROW, TWO_KEYS, 'Moves an element from one list to another.', (context, args) =>
    move(context.keyspace, args[1]!, args[2]!, endOf(args[3]!), endOf(args[4]!)),
  ),
  define(
    'rpoplpush',
    3,
    WRITE_GROW,
    TWO_KEYS,
    'Moves the last element of a list to another.',
    (context, args) => move(context.keyspace, args[1]!, args[2]!, 'RIGHT', 'LEFT'),
  ),
  define(
    'lmpop',
    -4,
    WRITE_MOVABLE,
    COUNTED_KEYS,
    'Takes elements from the first list that has some.',
    popFirst,
  ),
];

function newList(): ListValue {
  return new ListValue();
}

function listAt(keyspace: Keyspace, key: string): ListValue | undefined {
  return keyspace.container<ListValue>(key, 'list');
}

function writableAt(keyspace: Keyspace, key: string): ListValue {
  return keyspace.writable(key, 'list', newList);
}

/** An index from either end as one from the head; -1 when there is no such element. */
function placeOf(list: ListValue, index: number): number {
  const place = index < 0 ? list.size + index : index;
  return place < 0 || place >= list.size ? -1 : place;
}

function endOf(text: string): End {
  const end = text.toUpperCase();
  return end === 'LEFT' || end === 'RIGHT' ? end : failSyntax();
}

function push(keyspace: Keyspace, args: readonly string[], end: End): Reply {
  const list = writableAt(keyspace, args[1]!);
  for (let at = 2; at < args.length; at += 1) {
    if (end === 'LEFT') list.pushHead(args[at]!);
    else list.pushTail(args[at]!);
  }
  keyspace.changed(args[1]!);
  return list.size;
}

function pop(keyspace: Keyspace, args: readonly string[], end: End): Reply {
  if (args.length > 3) fail(`ERR wrong number of arguments for '${args[0]!.toLowerCase()}' command`);
  const count = args.length === 3 ? countOf(args[2]!) : null;
  if (listAt(keyspace, args[1]!) === undefined) return count === null ? null : NIL_ARRAY;
  if (count === 0) return [];
  const items = take(keyspace, args[1]!, end, count ?? 1);
  return count === null ? items[0]! : items;
}

/** Takes up to `count` elements from the end of a list that is there. */
function take(keyspace: Keyspace, key: string, end: End, count: number): string[] {
  const list = writableAt(keyspace, key);
  const items: string[] = [];
  while (items.length < count && list.size > 0) {
    items.push(end === 'LEFT' ? list.popHead()! : list.popTail()!);
  }
  keyspace.changed(key);
  return items;
}

function popFirst({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const { keys, next } = keyListAt(args, 1);
  const end = endOf(argumentAt(args, next));
  let count = 1;
  if (args.length > next + 1) {
    if (optionAt(args, next + 1) !== 'COUNT' || args.length !== next + 3) failSyntax();
    count = parseIndex(args[next + 2]!) ?? 0;
    if (count <= 0) fail('ERR count should be greater than 0');
  }
  for (const key of keys) {
    if (listAt(keyspace, key) !== undefined) return [key, take(keyspace, key, end, count)];
  }
  return NIL_ARRAY;
}

function insert({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const side = optionAt(args, 2);
  if (side !== 'BEFORE' && side !== 'AFTER') failSyntax();
  const found = listAt(keyspace, args[1]!);
  if (found === undefined) return 0;
  const place = found.indexOf(args[3]!);
  if (place === -1) return -1;
  const list = writableAt(keyspace, args[1]!);
  list.insert(side === 'BEFORE' ? place : place + 1, args[4]!);
  keyspace.changed(args[1]!);
  return list.size;
}

function move(keyspace: Keyspace, from: string, to: string, takenFrom: End, putTo: End): Reply {
  if (listAt(keyspace, from) === undefined) return null;
  // Refuses a target of another type before anything moves.
  listAt(keyspace, to);
  const source = writableAt(keyspace, from);
  const item = takenFrom === 'LEFT' ? source.popHead()! : source.popTail()!;
  // From a list of one to itself: it must not go meanwhile.
  if (from !== to) keyspace.changed(from);
  const target = writableAt(keyspace, to);
  if (putTo === 'LEFT') target.pushHead(item);
  else target.pushTail(item);
  keyspace.changed(to);
  return item;
}

function positions({ keyspace }: CommandContext, args: readonly string[]): Reply {
  let rank = 1;
  let count: number | null = null;
  let compared = Number.POSITIVE_INFINITY;
  for (let at = 3; at < args.length; at += 2) {
    const option = optionAt(args, at);
    const value = at + 1 < args.length ? args[at + 1]! : failSyntax();
    if (option === 'RANK') {
      rank = indexOf(value);
      if (rank === 0) {
        fail(
          "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... " +
            'or use negative to start from the end of the list',
        );
      }
    } else if (option === 'COUNT') {
      count = notNegative(value, "ERR COUNT can't be negative");
    } else if (option === 'MAXLEN') {
      compared = notNegative(value, "ERR MAXLEN can't be negative") || Number.POSITIVE_INFINITY;
    } else {
      failSyntax();
    }
  }
  const list = listAt(keyspace, args[1]!);
  const found = list === undefined ? [] : findAll(list, args[2]!, rank, count ?? 1, compared);
  return count === null ? (found[0] ?? null) : found;
}

function notNegative(text: string, message: string): number {
  const value = parseIndex(text) ?? -1;
  return value < 0 ? fail(message) : value;
}

/** Places of elements equal to `item`: from the |rank|-th on, at most `count` (0: all), after `compared` comparisons at most. */
function findAll(list: ListValue, item: string, rank: number, count: number, compared: number): number[] {
  const found: number[] = [];
  const items =
    rank > 0
      ? list.slice(0, Math.min(list.size, compared))
      : list.slice(Math.max(0, list.size - compared), list.size).toReversed();
  let skip = Math.abs(rank) - 1;
  for (let at = 0; at < items.length; at += 1) {
    if (items[at] !== item) continue;
    if (skip > 0) {
      skip -= 1;
      continue;
    }
    found.push(rank > 0 ? at : list.size - 1 - at);
    if (found.length === count) break;
  }
  return found;
}
