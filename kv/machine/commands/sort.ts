// SORT and SORT_RO: elements of a list, set or sorted set in order, by themselves or by other keys.

import type { Keyspace } from '../keyspace.js';
import { type Reply, WRONG_TYPE_FAILURE } from '../reply.js';
import { isContainer } from '../slot.js';
import { HashValue } from '../values/hash-value.js';
import { ListValue } from '../values/list-value.js';
import { SetValue } from '../values/set-value.js';
import { SortedSetValue } from '../values/sorted-set-value.js';
import { textOf } from '../bytes.js';
import { checkGathered, fail, failSyntax, indexOf, optionAt } from './arguments.js';
import {
  type CommandContext,
  define,
  ONE_KEY,
  READ_MOVABLE,
  type RedisCommand,
  WRITE_GROW_MOVABLE,
} from './command.js';
import { parseDouble } from './numbers.js';

export const SORT_COMMANDS: readonly RedisCommand[] = [
  define(
    'sort',
    -2,
    WRITE_GROW_MOVABLE,
    ONE_KEY,
    'Sorts elements, returns or stores them.',
    (context, args) => sort(context, args, true),
  ),
  define('sort_ro', -2, READ_MOVABLE, ONE_KEY, 'Sorts elements and returns them.', (context, args) =>
    sort(context, args, false),
  ),
];

/** Elements times GET patterns. */
const RESULTS_MAX = 2 ** 24;

interface SortOptions {
  /** Null: by the elements themselves. */
  by: string | null;
  /** A BY pattern without a star says: leave them as they are. */
  keepsOrder: boolean;
  gets: string[];
  alpha: boolean;
  descending: boolean;
  offset: number;
  /** Negative for all. */
  limit: number;
  target: string | null;
}

function sort({ keyspace }: CommandContext, args: readonly string[], mayStore: boolean): Reply {
  const options = optionsOf(args, mayStore);
  const elements = elementsOf(keyspace, args[1]!);
  const { gets, offset, limit, target } = options;
  if (!options.keepsOrder) order(keyspace, elements, options);
  else if (options.descending && keyspace.typeOf(args[1]!) === 'zset') elements.reverse();
  const start = Math.max(0, offset);
  const chosen = elements.slice(start, limit < 0 ? elements.length : start + limit);
  if (chosen.length * gets.length > RESULTS_MAX) fail(`ERR more than ${RESULTS_MAX} results`);
  const results = gets.length === 0 ? chosen : lookUpAll(keyspace, gets, chosen);
  if (target === null) return results;
  if (results.length === 0) keyspace.delete(target);
  else keyspace.set(target, ListValue.of(results.map((result) => result ?? '')));
  return results.length;
}

function optionsOf(args: readonly string[], mayStore: boolean): SortOptions {
  const options: SortOptions = {
    by: null,
    keepsOrder: false,
    gets: [],
    alpha: false,
    descending: false,
    offset: 0,
    limit: -1,
    target: null,
  };
  for (let at = 2; at < args.length; at += 1) {
    const option = optionAt(args, at);
    const left = args.length - at - 1;
    if (option === 'ASC') options.descending = false;
    else if (option === 'DESC') options.descending = true;
    else if (option === 'ALPHA') options.alpha = true;
    else if (option === 'LIMIT' && left >= 2) {
      options.offset = indexOf(args[at + 1]!);
      options.limit = indexOf(args[at + 2]!);
      at += 2;
    } else if (option === 'STORE' && left >= 1 && mayStore) {
      at += 1;
      options.target = args[at]!;
    } else if (option === 'BY' && left >= 1) {
      at += 1;
      options.by = args[at]!;
      if (!options.by.includes('*')) options.keepsOrder = true;
    } else if (option === 'GET' && left >= 1) {
      at += 1;
      options.gets.push(args[at]!);
    } else failSyntax();
  }
  return options;
}

function elementsOf(keyspace: Keyspace, key: string): string[] {
  const value = keyspace.find(key)?.value;
  if (value === undefined) return [];
  if (isContainer(value)) {
    if (value instanceof ListValue) return value.slice(0, value.size);
    if (value instanceof SetValue) return value.members.slice();
    if (value instanceof SortedSetValue) return value.slice(0, value.size).map(({ member }) => member);
  }
  throw WRONG_TYPE_FAILURE;
}

/** Sorts in place. Elements that compare equal are ordered by their bytes, so that all members agree. */
function order(keyspace: Keyspace, elements: string[], { by, alpha, descending }: SortOptions): void {
  const sign = descending ? -1 : 1;
  const texts = by === null ? elements : lookUpAll(keyspace, [by], elements);
  const weighed = elements.map((element, at) => ({ element, weight: weightOf(texts[at] ?? null, alpha) }));
  weighed.sort((a, b) => sign * (compare(a.weight, b.weight) || compare(a.element, b.element)));
  for (let at = 0; at < elements.length; at += 1) elements[at] = weighed[at]!.element;
}

function weightOf(text: string | null, alpha: boolean): string | number {
  if (alpha) return text ?? '';
  if (text === null || text === '') return 0;
  return parseDouble(text) ?? fail("ERR One or more scores can't be converted into double");
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What each pattern names for each element. */
function lookUpAll(
  keyspace: Keyspace,
  patterns: readonly string[],
  elements: readonly string[],
): (string | null)[] {
  const found: (string | null)[] = [];
  let bytes = 0;
  for (const element of elements) {
    for (const pattern of patterns) {
      const text = lookUp(keyspace, pattern, element);
      bytes += text?.length ?? 0;
      checkGathered(bytes);
      found.push(text);
    }
  }
  return found;
}

/** The string value or, with `->field`, the hash field that a pattern names for an element; `#` is the element. */
function lookUp(keyspace: Keyspace, pattern: string, element: string): string | null {
  if (pattern === '#') return element;
  const star = pattern.indexOf('*');
  if (star === -1) return null;
  const arrow = pattern.indexOf('->', star);
  const hasField = arrow !== -1 && arrow + 2 < pattern.length;
  const end = hasField ? arrow : pattern.length;
  const key = pattern.slice(0, star) + element + pattern.slice(star + 1, end);
  const value = keyspace.find(key)?.value;
  if (value === undefined) return null;
  if (hasField) return value instanceof HashValue ? (value.get(pattern.slice(arrow + 2)) ?? null) : null;
  return isContainer(value) ? null : textOf(value);
}
