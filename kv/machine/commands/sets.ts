// Sets. SSCAN is in scan.ts, unions and their kin in set-algebra.ts.

import type { Keyspace } from '../keyspace.js';
import { type Reply, SetReply } from '../reply.js';
import { SetValue } from '../values/set-value.js';
import { countOf, failSyntax } from './arguments.js';
import {
  type CommandContext,
  define,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  TWO_KEYS,
  WRITE_FAST,
  WRITE_GROW_FAST,
} from './command.js';
import { drawCountOf, drawDistinct, drawRepeating } from './draw.js';

export const SET_COMMANDS: readonly RedisCommand[] = [
  define('sadd', -3, WRITE_GROW_FAST, ONE_KEY, 'Adds members to a set.', ({ keyspace }, args) => {
    const set = keyspace.writable(args[1]!, 'set', newSet);
    let added = 0;
    for (let at = 2; at < args.length; at += 1) if (set.add(args[at]!)) added += 1;
    if (added > 0) keyspace.changed(args[1]!);
    return added;
  }),
  define('srem', -3, WRITE_FAST, ONE_KEY, 'Removes members from a set.', ({ keyspace }, args) => {
    if (setAt(keyspace, args[1]!) === undefined) return 0;
    const set = keyspace.writable(args[1]!, 'set', newSet);
    let removed = 0;
    for (let at = 2; at < args.length; at += 1) if (set.delete(args[at]!)) removed += 1;
    if (removed > 0) keyspace.changed(args[1]!);
    return removed;
  }),
  define('smembers', 2, READ, ONE_KEY, 'Returns all members of a set.', ({ keyspace }, args) => {
    return new SetReply(setAt(keyspace, args[1]!)?.members.slice() ?? []);
  }),
  define('sismember', 3, READ_FAST, ONE_KEY, 'Says whether a set has a member.', ({ keyspace }, args) => {
    return setAt(keyspace, args[1]!)?.has(args[2]!) === true ? 1 : 0;
  }),
  define('smismember', -3, READ_FAST, ONE_KEY, 'Says which members a set has.', ({ keyspace }, args) => {
    const set = setAt(keyspace, args[1]!);
    return args.slice(2).map((member) => (set?.has(member) === true ? 1 : 0));
  }),
  define('scard', 2, READ_FAST, ONE_KEY, 'Returns the number of members of a set.', ({ keyspace }, args) => {
    return setAt(keyspace, args[1]!)?.size ?? 0;
  }),
  define('spop', -2, WRITE_FAST, ONE_KEY, 'Takes random members from a set.', pop),
  define('srandmember', -2, READ, ONE_KEY, 'Returns random members of a set.', randomMembers),
  define('smove', 4, WRITE_FAST, TWO_KEYS, 'Moves a member from one set to another.', move),
];

export function newSet(): SetValue {
  return new SetValue();
}

export function setAt(keyspace: Keyspace, key: string): SetValue | undefined {
  return keyspace.container<SetValue>(key, 'set');
}

function pop(context: CommandContext, args: readonly string[]): Reply {
  const { keyspace } = context;
  if (args.length > 3) failSyntax();
  const count = args.length === 3 ? countOf(args[2]!) : null;
  const found = setAt(keyspace, args[1]!);
  if (found === undefined) return count === null ? null : new SetReply([]);
  if (count === 0) return new SetReply([]);
  const places =
    count === null ? [Math.floor(context.random() * found.size)] : drawDistinct(context, found.size, count);
  const popped = places.map((place) => found.members[place]!);
  if (popped.length === found.size) {
    keyspace.delete(args[1]!);
  } else {
    const set = keyspace.writable(args[1]!, 'set', newSet);
    for (const member of popped) set.delete(member);
    keyspace.changed(args[1]!);
  }
  return count === null ? popped[0]! : new SetReply(popped);
}

function randomMembers(context: CommandContext, args: readonly string[]): Reply {
  if (args.length > 3) failSyntax();
  const count = args.length === 3 ? drawCountOf(args[2]!) : null;
  const set = setAt(context.keyspace, args[1]!);
  if (count === null) {
    return set === undefined ? null : set.members[Math.floor(context.random() * set.size)]!;
  }
  if (set === undefined) return [];
  const places =
    count < 0 ? drawRepeating(context, set.size, -count) : drawDistinct(context, set.size, count);
  return places.map((place) => set.members[place]!);
}

function move({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const [, from, to, member] = args as readonly [string, string, string, string];
  const source = setAt(keyspace, from);
  if (source === undefined) return 0;
  const target = setAt(keyspace, to);
  if (!source.has(member)) return 0;
  if (source === target) return 1;
  keyspace.writable(from, 'set', newSet).delete(member);
  keyspace.changed(from);
  if (keyspace.writable(to, 'set', newSet).add(member)) keyspace.changed(to);
  return 1;
}
