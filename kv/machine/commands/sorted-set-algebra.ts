// Unions, intersections and differences of sorted sets and sets (whose members count as score 1).

import type { Keyspace } from '../keyspace.js';
import { DoubleReply, PairsReply, type Reply, WRONG_TYPE_FAILURE } from '../reply.js';
import { isContainer } from '../slot.js';
import { SetValue } from '../values/set-value.js';
import { SortedSetValue } from '../values/sorted-set-value.js';
import { checkWork, doubleOf, fail, failNotInteger, failSyntax, optionAt } from './arguments.js';
import {
  COUNTED_KEYS,
  define,
  KEY_AND_COUNTED,
  READ_MOVABLE,
  type RedisCommand,
  WRITE_GROW_MOVABLE,
} from './command.js';
import { parseIndex } from './numbers.js';
import { limitAt } from './set-algebra.js';

type Source = SortedSetValue | SetValue | undefined;
type Way = 'union' | 'inter' | 'diff';
type Aggregate = (a: number, b: number) => number;

interface Request {
  sources: Source[];
  weights: number[];
  aggregate: Aggregate;
  withScores: boolean;
}

export const SORTED_SET_ALGEBRA_COMMANDS: readonly RedisCommand[] = [
  ...both('union', 'the members that any of the sorted sets has'),
  ...both('inter', 'the members that all sorted sets have'),
  ...both('diff', 'the members of the first sorted set that no other one has'),
  define(
    'zintercard',
    -3,
    READ_MOVABLE,
    COUNTED_KEYS,
    'Counts the members that all sorted sets have.',
    (context, args) => {
      const { keys, next } = countedKeys(args, 1);
      const sources = keys.map((key) => sourceAt(context.keyspace, key));
      const limit = limitAt(args, next);
      let count = 0;
      intersect(sources, () => {
        count += 1;
        return count < limit;
      });
      return count;
    },
  ),
];

function both(way: Way, what: string): RedisCommand[] {
  return [
    define(`z${way}`, -3, READ_MOVABLE, COUNTED_KEYS, `Returns ${what}.`, ({ keyspace }, args) => {
      const request = requestOf(keyspace, args, 1, way, false);
      const flat: Reply[] = [];
      const result = combine(way, request);
      result.visit(0, result.size, false, (member, score) => {
        flat.push(member);
        if (request.withScores) flat.push(new DoubleReply(score));
      });
      return request.withScores ? new PairsReply(flat) : flat;
    }),
    define(
      `z${way}store`,
      -4,
      WRITE_GROW_MOVABLE,
      KEY_AND_COUNTED,
      `Stores ${what}.`,
      ({ keyspace }, args) => {
        const result = combine(way, requestOf(keyspace, args, 2, way, true));
        if (result.size === 0) keyspace.delete(args[1]!);
        else keyspace.set(args[1]!, result);
        return result.size;
      },
    ),
  ];
}

/** `numkeys key [key …]` from `at` on and the options behind it. */
function requestOf(
  keyspace: Keyspace,
  args: readonly string[],
  at: number,
  way: Way,
  isStored: boolean,
): Request {
  const { keys, next } = countedKeys(args, at);
  const count = keys.length;
  const sources = keys.map((key) => sourceAt(keyspace, key));
  const request: Request = { sources, weights: keys.map(() => 1), aggregate: sum, withScores: false };
  for (let place = next; place < args.length; place += 1) {
    const option = optionAt(args, place);
    if (option === 'WEIGHTS' && way !== 'diff' && place + count < args.length) {
      request.weights = keys.map((_, index) =>
        doubleOf(args[place + 1 + index]!, 'ERR weight value is not a float'),
      );
      place += count;
    } else if (option === 'AGGREGATE' && way !== 'diff' && place + 1 < args.length) {
      request.aggregate = AGGREGATES.get(optionAt(args, place + 1)) ?? failSyntax();
      place += 1;
    } else if (option === 'WITHSCORES' && !isStored) {
      request.withScores = true;
    } else {
      failSyntax();
    }
  }
  return request;
}

/** As keyListAt, in the words that these commands have for it. */
function countedKeys(args: readonly string[], at: number): { keys: string[]; next: number } {
  const count = parseIndex(args[at]!) ?? failNotInteger();
  if (count < 1) fail(`ERR at least 1 input key is needed for '${args[0]!.toLowerCase()}' command`);
  const next = at + 1 + count;
  if (next > args.length) failSyntax();
  return { keys: args.slice(at + 1, next), next };
}

/** Opposite infinities make 0, as in Redis. */
function sum(a: number, b: number): number {
  return Number.isNaN(a + b) ? 0 : a + b;
}

const AGGREGATES: ReadonlyMap<string, Aggregate> = new Map<string, Aggregate>([
  ['SUM', sum],
  ['MIN', (a, b) => Math.min(a, b)],
  ['MAX', (a, b) => Math.max(a, b)],
]);

function sourceAt(keyspace: Keyspace, key: string): Source {
  const value = keyspace.find(key)?.value;
  if (value === undefined) return undefined;
  if (isContainer(value)) {
    if (value.type === 'zset') return value as SortedSetValue; // its type says so
    if (value.type === 'set') return value as SetValue; // its type says so
  }
  throw WRONG_TYPE_FAILURE;
}

function combine(way: Way, { sources, weights, aggregate }: Request): SortedSetValue {
  const result = new SortedSetValue();
  if (way === 'diff') {
    const [first, ...others] = sources;
    checkWork(sizeOf(first) * sources.length);
    each(first, (member, score) => {
      if (!others.some((other) => scoreIn(other, member) !== undefined)) result.set(member, score);
      return true;
    });
    return result;
  }
  // From the smallest on, as Redis does: floating-point sums depend on it.
  const order = sources.map((_, index) => index).toSorted((a, b) => sizeOf(sources[a]) - sizeOf(sources[b]));
  if (way === 'union') {
    checkWork(sources.reduce((total, source) => total + sizeOf(source), 0));
    const scores = new Map<string, number>();
    for (const index of order) {
      each(sources[index], (member, score) => {
        const weighted = times(weights[index]!, score);
        const before = scores.get(member);
        scores.set(member, before === undefined ? weighted : aggregate(before, weighted));
        return true;
      });
    }
    for (const [member, score] of scores) result.set(member, score);
    return result;
  }
  intersect(sources, (member) => {
    let total: number | null = null;
    for (const index of order) {
      const weighted = times(weights[index]!, scoreIn(sources[index], member)!);
      total = total === null ? weighted : aggregate(total, weighted);
    }
    result.set(member, total!);
    return true;
  });
  return result;
}

/** Gives the members that all have until `take` says false. */
function intersect(sources: readonly Source[], take: (member: string) => boolean): void {
  const [smallest, ...others] = sources.toSorted((a, b) => sizeOf(a) - sizeOf(b));
  checkWork(sizeOf(smallest) * sources.length);
  each(smallest, (member) => {
    if (!others.every((other) => scoreIn(other, member) !== undefined)) return true;
    return take(member);
  });
}

function each(source: Source, take: (member: string, score: number) => boolean): void {
  if (source === undefined) return;
  for (let place = 0; place < source.size; place += 1) {
    if (source instanceof SetValue) {
      if (!take(source.members[place]!, 1)) return;
    } else {
      const { member, score } = source.pick(place);
      if (!take(member, score)) return;
    }
  }
}

function scoreIn(source: Source, member: string): number | undefined {
  if (source instanceof SetValue) return source.has(member) ? 1 : undefined;
  return source?.score(member);
}

function sizeOf(source: Source): number {
  return source?.size ?? 0;
}

/** 0 times infinity makes 0, as in Redis. */
function times(weight: number, score: number): number {
  const weighted = weight * score;
  return Number.isNaN(weighted) ? 0 : weighted;
}
