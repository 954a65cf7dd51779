// Hashes. HSCAN is in scan.ts.

import { MapReply, OK, PairsReply, type Reply } from '../reply.js';
import { HashValue } from '../values/hash-value.js';
import { fail, failArity, failSyntax, integerOf, optionAt } from './arguments.js';
import {
  type CommandContext,
  define,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  WRITE_FAST,
  WRITE_GROW_FAST,
} from './command.js';
import { decimalSum } from './counters.js';
import { addIntegers, parseDecimal, parseInteger } from './numbers.js';
import { drawDistinct, drawRepeating, drawCountOf } from './draw.js';

export const HASH_COMMANDS: readonly RedisCommand[] = [
  define(
    'hset',
    -4,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Sets fields of a hash; says how many are new.',
    (context, args) => setFields(context, args),
  ),
  define('hmset', -4, WRITE_GROW_FAST, ONE_KEY, 'Sets fields of a hash.', (context, args) => {
    setFields(context, args);
    return OK;
  }),
  define(
    'hsetnx',
    4,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Sets a field that a hash does not have.',
    ({ keyspace }, args) => {
      if (keyspace.container<HashValue>(args[1]!, 'hash')?.has(args[2]!) === true) return 0;
      keyspace.writable(args[1]!, 'hash', newHash).set(args[2]!, args[3]!);
      keyspace.changed(args[1]!);
      return 1;
    },
  ),
  define('hget', 3, READ_FAST, ONE_KEY, 'Returns the value of a field.', (context, args) => {
    return hashAt(context, args)?.get(args[2]!) ?? null;
  }),
  define('hmget', -3, READ_FAST, ONE_KEY, 'Returns the values of several fields.', (context, args) => {
    const hash = hashAt(context, args);
    return args.slice(2).map((field) => hash?.get(field) ?? null);
  }),
  define('hgetall', 2, READ, ONE_KEY, 'Returns all fields and values of a hash.', (context, args) => {
    const hash = hashAt(context, args);
    const flat: string[] = [];
    for (let place = 0; place < (hash?.size ?? 0); place += 1) {
      flat.push(hash!.fields[place]!, hash!.values[place]!);
    }
    return new MapReply(flat);
  }),
  define('hdel', -3, WRITE_FAST, ONE_KEY, 'Deletes fields of a hash.', ({ keyspace }, args) => {
    if (keyspace.container<HashValue>(args[1]!, 'hash') === undefined) return 0;
    const hash = keyspace.writable(args[1]!, 'hash', newHash);
    let deleted = 0;
    for (let at = 2; at < args.length; at += 1) if (hash.delete(args[at]!)) deleted += 1;
    if (deleted > 0) keyspace.changed(args[1]!);
    return deleted;
  }),
  define('hlen', 2, READ_FAST, ONE_KEY, 'Returns the number of fields of a hash.', (context, args) => {
    return hashAt(context, args)?.size ?? 0;
  }),
  define('hexists', 3, READ_FAST, ONE_KEY, 'Says whether a hash has a field.', (context, args) => {
    return hashAt(context, args)?.has(args[2]!) === true ? 1 : 0;
  }),
  define('hkeys', 2, READ, ONE_KEY, 'Returns all fields of a hash.', (context, args) => {
    return hashAt(context, args)?.fields.slice() ?? [];
  }),
  define('hvals', 2, READ, ONE_KEY, 'Returns all values of a hash.', (context, args) => {
    return hashAt(context, args)?.values.slice() ?? [];
  }),
  define('hstrlen', 3, READ_FAST, ONE_KEY, 'Returns the length of the value of a field.', (context, args) => {
    return hashAt(context, args)?.get(args[2]!)?.length ?? 0;
  }),
  define(
    'hincrby',
    4,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Adds a number to an integer in a field.',
    ({ keyspace }, args) => {
      const by = integerOf(args[3]!);
      const before = keyspace.container<HashValue>(args[1]!, 'hash')?.get(args[2]!) ?? '0';
      const sum = addIntegers(parseInteger(before) ?? fail('ERR hash value is not an integer'), by);
      if (sum === null) fail('ERR increment or decrement would overflow');
      keyspace.writable(args[1]!, 'hash', newHash).set(args[2]!, String(sum));
      keyspace.changed(args[1]!);
      return sum;
    },
  ),
  define(
    'hincrbyfloat',
    4,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Adds a decimal number to a field.',
    ({ keyspace }, args) => {
      const by = parseDecimal(args[3]!) ?? fail('ERR value is not a valid float');
      if (by === 'infinite') fail('ERR value is NaN or Infinity');
      const before = keyspace.container<HashValue>(args[1]!, 'hash')?.get(args[2]!) ?? null;
      const sum = decimalSum(before, args[3]!, 'ERR hash value is not a float');
      keyspace.writable(args[1]!, 'hash', newHash).set(args[2]!, sum);
      keyspace.changed(args[1]!);
      return sum;
    },
  ),
  define('hrandfield', -2, READ, ONE_KEY, 'Returns random fields of a hash.', randomFields),
];

function newHash(): HashValue {
  return new HashValue();
}

function hashAt({ keyspace }: CommandContext, args: readonly string[]): HashValue | undefined {
  return keyspace.container<HashValue>(args[1]!, 'hash');
}

function setFields({ keyspace }: CommandContext, args: readonly string[]): number {
  if (args.length % 2 === 1) failArity(args[0]!.toLowerCase());
  const hash = keyspace.writable(args[1]!, 'hash', newHash);
  let added = 0;
  for (let at = 2; at < args.length; at += 2) if (hash.set(args[at]!, args[at + 1]!)) added += 1;
  keyspace.changed(args[1]!);
  return added;
}

function randomFields(context: CommandContext, args: readonly string[]): Reply {
  const count = args.length > 2 ? drawCountOf(args[2]!) : null;
  const withValues = optionAt(args, 3) === 'WITHVALUES';
  if (args.length > 4 || (args.length === 4 && !withValues)) failSyntax();
  const hash = hashAt(context, args);
  if (count === null) {
    return hash === undefined ? null : hash.fields[Math.floor(context.random() * hash.size)]!;
  }
  if (hash === undefined) return [];
  const places =
    count < 0 ? drawRepeating(context, hash.size, -count) : drawDistinct(context, hash.size, count);
  if (!withValues) return places.map((place) => hash.fields[place]!);
  return new PairsReply(places.flatMap((place) => [hash.fields[place]!, hash.values[place]!]));
}
