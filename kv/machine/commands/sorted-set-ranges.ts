// Ranges of sorted sets: by rank, score or member, from either end, with a limit; returned, stored, counted or removed.
// Each kind of bounds becomes a range of ranks first, and everything else is the same for all kinds.

import type { Keyspace } from '../keyspace.js';
import { PairsReply, DoubleReply, type Reply } from '../reply.js';
import { SortedSetValue } from '../values/sorted-set-value.js';
import { clampRange, fail, failSyntax, indexOf, optionAt } from './arguments.js';
import {
  type CommandContext,
  define,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  TWO_KEYS,
  WRITE,
  WRITE_GROW,
} from './command.js';
import { parseDouble } from './numbers.js';

type By = 'RANK' | 'SCORE' | 'LEX';

interface RangeRequest {
  key: string;
  by: By;
  /** As written: with `reverse` the first one is the upper one, except by rank. */
  bounds: readonly [string, string];
  reverse: boolean;
  offset: number;
  /** Negative for all. */
  limit: number;
  withScores: boolean;
}

/** Ranks from `start` up to but without `end`. */
interface Ranks {
  start: number;
  end: number;
}

export const SORTED_SET_RANGE_COMMANDS: readonly RedisCommand[] = [
  define('zrange', -4, READ, ONE_KEY, 'Returns a range of a sorted set.', (context, args) =>
    answer(context, requestOf(args, 1, { by: 'RANK', reverse: false, isFree: true })),
  ),
  define('zrevrange', -4, READ, ONE_KEY, 'Returns a range of ranks, the highest first.', (context, args) =>
    answer(context, requestOf(args, 1, { by: 'RANK', reverse: true })),
  ),
  define('zrangebyscore', -4, READ, ONE_KEY, 'Returns a range of scores.', (context, args) =>
    answer(context, requestOf(args, 1, { by: 'SCORE', reverse: false })),
  ),
  define(
    'zrevrangebyscore',
    -4,
    READ,
    ONE_KEY,
    'Returns a range of scores, the highest first.',
    (context, args) => answer(context, requestOf(args, 1, { by: 'SCORE', reverse: true })),
  ),
  define('zrangebylex', -4, READ, ONE_KEY, 'Returns a range of members of one score.', (context, args) =>
    answer(context, requestOf(args, 1, { by: 'LEX', reverse: false })),
  ),
  define(
    'zrevrangebylex',
    -4,
    READ,
    ONE_KEY,
    'Returns a range of members, the highest first.',
    (context, args) => answer(context, requestOf(args, 1, { by: 'LEX', reverse: true })),
  ),
  define('zrangestore', -5, WRITE_GROW, TWO_KEYS, 'Stores a range of a sorted set.', store),
  define('zcount', 4, READ_FAST, ONE_KEY, 'Counts the members in a range of scores.', (context, args) =>
    count(context, args, 'SCORE'),
  ),
  define('zlexcount', 4, READ_FAST, ONE_KEY, 'Counts the members in a range of members.', (context, args) =>
    count(context, args, 'LEX'),
  ),
  define('zremrangebyrank', 4, WRITE, ONE_KEY, 'Removes a range of ranks.', (context, args) =>
    remove(context.keyspace, args, 'RANK'),
  ),
  define('zremrangebyscore', 4, WRITE, ONE_KEY, 'Removes a range of scores.', (context, args) =>
    remove(context.keyspace, args, 'SCORE'),
  ),
  define('zremrangebylex', 4, WRITE, ONE_KEY, 'Removes a range of members.', (context, args) =>
    remove(context.keyspace, args, 'LEX'),
  ),
];

export function sortedSetAt(keyspace: Keyspace, key: string): SortedSetValue | undefined {
  return keyspace.container<SortedSetValue>(key, 'zset');
}

export function newSortedSet(): SortedSetValue {
  return new SortedSetValue();
}

/** `key first last` from `at` on and what follows. `isFree`: ZRANGE's own options choose kind and direction. */
function requestOf(
  args: readonly string[],
  at: number,
  form: { by: By; reverse: boolean; isFree?: boolean; isStored?: boolean },
): RangeRequest {
  const isFree = form.isFree === true;
  let { by, reverse } = form;
  let withScores = false;
  let offset = 0;
  let limit = -1;
  for (let place = at + 3; place < args.length; place += 1) {
    const option = optionAt(args, place);
    if (option === 'WITHSCORES' && form.isStored !== true) {
      withScores = true;
    } else if (option === 'LIMIT' && place + 2 < args.length) {
      offset = indexOf(args[place + 1]!);
      limit = indexOf(args[place + 2]!);
      place += 2;
    } else if (isFree && option === 'REV' && !reverse) {
      reverse = true;
    } else if (isFree && by === 'RANK' && (option === 'BYSCORE' || option === 'BYLEX')) {
      by = option === 'BYSCORE' ? 'SCORE' : 'LEX';
    } else {
      failSyntax();
    }
  }
  if (limit !== -1 && by === 'RANK') {
    fail('ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX');
  }
  if (withScores && by === 'LEX') {
    fail('ERR syntax error, WITHSCORES not supported in combination with BYLEX');
  }
  return { key: args[at]!, by, bounds: [args[at + 1]!, args[at + 2]!], reverse, offset, limit, withScores };
}

/** Reads the bounds; the result turns them into ranks of a set, which need not be there for them to be refused. */
function ranksBetween(by: By, first: string, last: string): (zset: SortedSetValue) => Ranks {
  if (by === 'RANK') {
    const [from, to] = [indexOf(first), indexOf(last)];
    return (zset) => clampRange(zset.size, from, to);
  }
  if (by === 'SCORE') {
    const low = scoreBound(first);
    const high = scoreBound(last);
    return (zset) => ({
      start: zset.countBelow(low.score, low.isOpen),
      end: zset.countBelow(high.score, !high.isOpen),
    });
  }
  const low = memberBound(first);
  const high = memberBound(last);
  return (zset) => ({
    start: low.below ? 0 : low.above ? zset.size : zset.countBelowMember(low.member, low.isOpen),
    end: high.above ? zset.size : high.below ? 0 : zset.countBelowMember(high.member, !high.isOpen),
  });
}

function scoreBound(text: string): { score: number; isOpen: boolean } {
  const isOpen = text[0] === '(';
  const number = isOpen ? text.slice(1) : text;
  // Nothing at all counts as 0, as in Redis.
  const score = number === '' ? 0 : (parseDouble(number) ?? fail('ERR min or max is not a float'));
  return { score, isOpen };
}

/** `-` is below all members, `+` above. */
function memberBound(text: string): { member: string; isOpen: boolean; below: boolean; above: boolean } {
  const [sign, member] = [text[0], text.slice(1)];
  if (sign !== '[' && sign !== '(' && text !== '-' && text !== '+') {
    fail('ERR min or max not valid string range item');
  }
  return { member, isOpen: sign === '(', below: text === '-', above: text === '+' };
}

/** The ranks asked for, cut by offset and limit; null without such a key. */
function select(keyspace: Keyspace, request: RangeRequest): { zset: SortedSetValue; ranks: Ranks } | null {
  const { key, by, bounds, reverse, offset, limit } = request;
  const swapped = reverse && by !== 'RANK';
  const ranksOf = ranksBetween(by, bounds[swapped ? 1 : 0], bounds[swapped ? 0 : 1]);
  const zset = sortedSetAt(keyspace, key);
  if (zset === undefined) return null;
  let { start, end } = ranksOf(zset);
  if (reverse && by === 'RANK') [start, end] = [zset.size - end, zset.size - start];
  // By rank there is no limit, but Redis takes one that says "all", and leaves its offset aside.
  if (by === 'RANK') return { zset, ranks: { start, end } };
  if (offset < 0 || start >= end) return { zset, ranks: { start: 0, end: 0 } };
  const most = limit < 0 ? Number.POSITIVE_INFINITY : limit;
  if (reverse) {
    end -= offset;
    start = Math.max(start, end - most);
  } else {
    start += offset;
    end = Math.min(end, start + most);
  }
  return { zset, ranks: { start, end: Math.max(start, end) } };
}

function answer({ keyspace }: CommandContext, request: RangeRequest): Reply {
  const selected = select(keyspace, request);
  if (selected === null) return [];
  const { zset, ranks } = selected;
  const flat: Reply[] = [];
  const { withScores } = request;
  zset.visit(ranks.start, ranks.end, request.reverse, (member, score) => {
    flat.push(member);
    if (withScores) flat.push(new DoubleReply(score));
  });
  return withScores ? new PairsReply(flat) : flat;
}

function store({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const request = requestOf(args, 2, { by: 'RANK', reverse: false, isFree: true, isStored: true });
  const selected = select(keyspace, request);
  const result = new SortedSetValue();
  selected?.zset.visit(selected.ranks.start, selected.ranks.end, false, (member, score) => {
    result.set(member, score);
  });
  if (result.size === 0) keyspace.delete(args[1]!);
  else keyspace.set(args[1]!, result);
  return result.size;
}

function count({ keyspace }: CommandContext, args: readonly string[], by: By): Reply {
  const ranksOf = ranksBetween(by, args[2]!, args[3]!);
  const zset = sortedSetAt(keyspace, args[1]!);
  if (zset === undefined) return 0;
  const { start, end } = ranksOf(zset);
  return Math.max(0, end - start);
}

function remove(keyspace: Keyspace, args: readonly string[], by: By): Reply {
  const ranksOf = ranksBetween(by, args[2]!, args[3]!);
  const found = sortedSetAt(keyspace, args[1]!);
  if (found === undefined) return 0;
  const { start, end } = ranksOf(found);
  if (start >= end) return 0;
  const zset = keyspace.writable(args[1]!, 'zset', newSortedSet);
  for (const { member } of zset.slice(start, end)) zset.delete(member);
  keyspace.changed(args[1]!);
  return end - start;
}
