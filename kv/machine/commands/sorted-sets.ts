// Sorted sets, but for ranges (sorted-set-ranges.ts), unions and their kin (sorted-set-algebra.ts) and ZSCAN (scan.ts).

import { DoubleReply, NIL_ARRAY, PairsReply, type Reply } from '../reply.js';
import type { Scored, SortedSetValue } from '../values/sorted-set-value.js';
import { argumentAt, countOf, doubleOf, fail, failSyntax, keyListAt, optionAt } from './arguments.js';
import {
  type CommandContext,
  COUNTED_KEYS,
  define,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  WRITE_FAST,
  WRITE_GROW_FAST,
  WRITE_MOVABLE,
} from './command.js';
import { drawCountOf, drawDistinct, drawRepeating } from './draw.js';
import { parseIndex } from './numbers.js';
import { newSortedSet, sortedSetAt } from './sorted-set-ranges.js';

export const SORTED_SET_COMMANDS: readonly RedisCommand[] = [
  define('zadd', -4, WRITE_GROW_FAST, ONE_KEY, 'Adds members to a sorted set or changes their scores.', add),
  define(
    'zincrby',
    4,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Adds a number to the score of a member.',
    (context, args) => {
      return change(context, args[1]!, [{ score: doubleOf(args[2]!), member: args[3]! }], INCREMENT);
    },
  ),
  define('zrem', -3, WRITE_FAST, ONE_KEY, 'Removes members from a sorted set.', ({ keyspace }, args) => {
    if (sortedSetAt(keyspace, args[1]!) === undefined) return 0;
    const zset = keyspace.writable(args[1]!, 'zset', newSortedSet);
    let removed = 0;
    for (let at = 2; at < args.length; at += 1) if (zset.delete(args[at]!)) removed += 1;
    if (removed > 0) keyspace.changed(args[1]!);
    return removed;
  }),
  define(
    'zcard',
    2,
    READ_FAST,
    ONE_KEY,
    'Returns the number of members of a sorted set.',
    (context, args) => {
      return sortedSetAt(context.keyspace, args[1]!)?.size ?? 0;
    },
  ),
  define('zscore', 3, READ_FAST, ONE_KEY, 'Returns the score of a member.', ({ keyspace }, args) => {
    return scoreReply(sortedSetAt(keyspace, args[1]!), args[2]!);
  }),
  define(
    'zmscore',
    -3,
    READ_FAST,
    ONE_KEY,
    'Returns the scores of several members.',
    ({ keyspace }, args) => {
      const zset = sortedSetAt(keyspace, args[1]!);
      return args.slice(2).map((member) => scoreReply(zset, member));
    },
  ),
  define('zrank', -3, READ_FAST, ONE_KEY, 'Returns how many members come before one.', (context, args) =>
    rank(context, args, false),
  ),
  define('zrevrank', -3, READ_FAST, ONE_KEY, 'Returns how many members come behind one.', (context, args) =>
    rank(context, args, true),
  ),
  define('zpopmin', -2, WRITE_FAST, ONE_KEY, 'Takes the members with the lowest scores.', (context, args) =>
    pop(context, args, 'MIN'),
  ),
  define('zpopmax', -2, WRITE_FAST, ONE_KEY, 'Takes the members with the highest scores.', (context, args) =>
    pop(context, args, 'MAX'),
  ),
  define(
    'zmpop',
    -4,
    WRITE_MOVABLE,
    COUNTED_KEYS,
    'Takes members from the first sorted set that has some.',
    popFirst,
  ),
  define('zrandmember', -2, READ, ONE_KEY, 'Returns random members of a sorted set.', randomMembers),
];

interface AddOptions {
  readonly onlyNew: boolean;
  readonly onlyOld: boolean;
  readonly onlyGreater: boolean;
  readonly onlyLess: boolean;
  readonly countsChanges: boolean;
  readonly increments: boolean;
}

const INCREMENT: AddOptions = {
  onlyNew: false,
  onlyOld: false,
  onlyGreater: false,
  onlyLess: false,
  countsChanges: false,
  increments: true,
};
const PLAIN: AddOptions = { ...INCREMENT, increments: false };
const ADD_OPTIONS: ReadonlySet<string> = new Set(['NX', 'XX', 'GT', 'LT', 'CH', 'INCR']);

function add(context: CommandContext, args: readonly string[]): Reply {
  let at = 2;
  let options = PLAIN;
  if (ADD_OPTIONS.has(optionAt(args, at))) {
    const given = new Set<string>();
    for (; ADD_OPTIONS.has(optionAt(args, at)); at += 1) given.add(optionAt(args, at));
    options = {
      onlyNew: given.has('NX'),
      onlyOld: given.has('XX'),
      onlyGreater: given.has('GT'),
      onlyLess: given.has('LT'),
      countsChanges: given.has('CH'),
      increments: given.has('INCR'),
    };
  }
  const pairs = (args.length - at) / 2;
  if (pairs === 0 || !Number.isInteger(pairs)) failSyntax();
  const { onlyNew, onlyOld, onlyGreater, onlyLess } = options;
  if (onlyNew && onlyOld) fail('ERR XX and NX options at the same time are not compatible');
  if ((onlyGreater && (onlyNew || onlyLess)) || (onlyLess && onlyNew)) {
    fail('ERR GT, LT, and/or NX options at the same time are not compatible');
  }
  if (options.increments && pairs > 1) fail('ERR INCR option supports a single increment-element pair');
  const members: Scored[] = [];
  for (; at < args.length; at += 2) members.push({ score: doubleOf(args[at]!), member: args[at + 1]! });
  return change(context, args[1]!, members, options);
}

function change(
  { keyspace }: CommandContext,
  key: string,
  members: readonly Scored[],
  options: AddOptions,
): Reply {
  const found = sortedSetAt(keyspace, key);
  if (found === undefined && options.onlyOld) return options.increments ? null : 0;
  if (options.increments) {
    const sum = (found?.score(members[0]!.member) ?? 0) + members[0]!.score;
    if (Number.isNaN(sum)) fail('ERR resulting score is not a number (NaN)');
  }
  const zset = keyspace.writable(key, 'zset', newSortedSet);
  let added = 0;
  let updated = 0;
  let after: number | null = null;
  for (const { member, score } of members) {
    const before = zset.score(member);
    if (before === undefined) {
      if (options.onlyOld) continue;
      zset.set(member, score);
      after = score;
      added += 1;
      continue;
    }
    const wanted = options.increments ? before + score : score;
    if (options.onlyNew) continue;
    if ((options.onlyGreater && wanted <= before) || (options.onlyLess && wanted >= before)) continue;
    after = wanted;
    if (wanted === before) continue;
    zset.set(member, wanted);
    updated += 1;
  }
  if (added + updated > 0) keyspace.changed(key);
  if (options.increments) return after === null ? null : new DoubleReply(after);
  return options.countsChanges ? added + updated : added;
}

function scoreReply(zset: SortedSetValue | undefined, member: string): Reply {
  const score = zset?.score(member);
  return score === undefined ? null : new DoubleReply(score);
}

function rank({ keyspace }: CommandContext, args: readonly string[], reverse: boolean): Reply {
  const withScore = optionAt(args, 3) === 'WITHSCORE';
  if (args.length > 4 || (args.length === 4 && !withScore)) failSyntax();
  const zset = sortedSetAt(keyspace, args[1]!);
  const below = zset?.rank(args[2]!);
  if (zset === undefined || below === undefined) return withScore ? NIL_ARRAY : null;
  const place = reverse ? zset.size - 1 - below : below;
  return withScore ? [place, new DoubleReply(zset.score(args[2]!)!)] : place;
}

type Edge = 'MIN' | 'MAX';

/** Takes up to `count` members from a sorted set that is there. */
function take({ keyspace }: CommandContext, key: string, edge: Edge, count: number): Scored[] {
  const zset = keyspace.writable(key, 'zset', newSortedSet);
  const taken =
    edge === 'MIN'
      ? zset.slice(0, Math.min(count, zset.size))
      : zset.slice(Math.max(0, zset.size - count), zset.size, true);
  for (const { member } of taken) zset.delete(member);
  keyspace.changed(key);
  return taken;
}

function pop(context: CommandContext, args: readonly string[], edge: Edge): Reply {
  if (args.length > 3) failSyntax();
  const count = args.length === 3 ? countOf(args[2]!) : null;
  if (sortedSetAt(context.keyspace, args[1]!) === undefined || count === 0) return [];
  const taken = take(context, args[1]!, edge, count ?? 1);
  const flat = taken.flatMap(({ member, score }): Reply[] => [member, new DoubleReply(score)]);
  return count === null ? flat : new PairsReply(flat);
}

function popFirst(context: CommandContext, args: readonly string[]): Reply {
  const { keys, next } = keyListAt(args, 1);
  const edge = argumentAt(args, next).toUpperCase();
  if (edge !== 'MIN' && edge !== 'MAX') failSyntax();
  let count = 1;
  if (args.length > next + 1) {
    if (optionAt(args, next + 1) !== 'COUNT' || args.length !== next + 3) failSyntax();
    count = parseIndex(args[next + 2]!) ?? 0;
    if (count <= 0) fail('ERR count should be greater than 0');
  }
  for (const key of keys) {
    if (sortedSetAt(context.keyspace, key) === undefined) continue;
    const taken = take(context, key, edge, count);
    return [key, taken.map(({ member, score }) => [member, new DoubleReply(score)])];
  }
  return NIL_ARRAY;
}

function randomMembers(context: CommandContext, args: readonly string[]): Reply {
  const count = args.length > 2 ? drawCountOf(args[2]!) : null;
  const withScores = optionAt(args, 3) === 'WITHSCORES';
  if (args.length > 4 || (args.length === 4 && !withScores)) failSyntax();
  const zset = sortedSetAt(context.keyspace, args[1]!);
  if (count === null) {
    return zset === undefined ? null : zset.pick(Math.floor(context.random() * zset.size)).member;
  }
  if (zset === undefined) return [];
  const places =
    count < 0 ? drawRepeating(context, zset.size, -count) : drawDistinct(context, zset.size, count);
  const drawn = places.map((place) => zset.pick(place));
  if (!withScores) return drawn.map(({ member }) => member);
  return new PairsReply(drawn.flatMap(({ member, score }): Reply[] => [member, new DoubleReply(score)]));
}
