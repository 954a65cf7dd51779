// Intersections, unions and differences of sets, returned, counted or stored.

import type { Keyspace } from '../keyspace.js';
import { type Reply, SetReply } from '../reply.js';
import { SetValue } from '../values/set-value.js';
import { checkWork, fail, failSyntax, keyListAt, optionAt } from './arguments.js';
import {
  ALL_KEYS,
  type CommandContext,
  COUNTED_KEYS,
  define,
  READ,
  READ_MOVABLE,
  type RedisCommand,
  WRITE_GROW,
} from './command.js';
import { parseIndex } from './numbers.js';
import { setAt } from './sets.js';

type Combine = (sets: readonly (SetValue | undefined)[]) => string[];

export const SET_ALGEBRA_COMMANDS: readonly RedisCommand[] = [
  ...both('inter', 'the members that all sets have', intersection),
  ...both('union', 'the members that any of the sets has', union),
  ...both('diff', 'the members of the first set that no other one has', difference),
  define(
    'sintercard',
    -3,
    READ_MOVABLE,
    COUNTED_KEYS,
    'Counts the members that all sets have.',
    countIntersection,
  ),
];

function both(name: string, what: string, combine: Combine): RedisCommand[] {
  return [
    define(`s${name}`, -2, READ, ALL_KEYS, `Returns ${what}.`, ({ keyspace }, args) => {
      return new SetReply(combine(setsAt(keyspace, args.slice(1))));
    }),
    define(`s${name}store`, -3, WRITE_GROW, ALL_KEYS, `Stores ${what}.`, ({ keyspace }, args) => {
      const members = combine(setsAt(keyspace, args.slice(2)));
      if (members.length === 0) keyspace.delete(args[1]!);
      else keyspace.set(args[1]!, SetValue.of(members));
      return members.length;
    }),
  ];
}

function setsAt(keyspace: Keyspace, keys: readonly string[]): (SetValue | undefined)[] {
  return keys.map((key) => setAt(keyspace, key));
}

function intersection(
  sets: readonly (SetValue | undefined)[],
  limit: number = Number.POSITIVE_INFINITY,
): string[] {
  if (sets.includes(undefined)) return [];
  const [smallest, ...others] = (sets as readonly SetValue[]).toSorted((a, b) => a.size - b.size);
  checkWork(smallest!.size * sets.length);
  const found: string[] = [];
  for (const member of smallest!.members) {
    if (!others.every((other) => other.has(member))) continue;
    found.push(member);
    if (found.length >= limit) break;
  }
  return found;
}

function union(sets: readonly (SetValue | undefined)[]): string[] {
  checkWork(sets.reduce((sum, set) => sum + (set?.size ?? 0), 0));
  const found = new Set<string>();
  for (const set of sets) for (const member of set?.members ?? []) found.add(member);
  return [...found];
}

function difference([first, ...others]: readonly (SetValue | undefined)[]): string[] {
  checkWork((first?.size ?? 0) * (others.length + 1));
  return (first?.members ?? []).filter((member) => !others.some((other) => other?.has(member) === true));
}

function countIntersection({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const { keys, next } = keyListAt(args, 1, "ERR Number of keys can't be greater than number of args");
  const limit = limitAt(args, next);
  return intersection(setsAt(keyspace, keys), limit).length;
}

/** `[LIMIT limit]` at the end of a command; 0 stands for none. */
export function limitAt(args: readonly string[], at: number): number {
  let limit = 0;
  for (let place = at; place < args.length; place += 2) {
    if (optionAt(args, place) !== 'LIMIT' || place + 1 === args.length) failSyntax();
    limit = parseIndex(args[place + 1]!) ?? -1;
    if (limit < 0) fail("ERR LIMIT can't be negative");
  }
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}
