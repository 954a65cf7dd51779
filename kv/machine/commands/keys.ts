// The key space: deleting, renaming, copying, finding. SCAN is in scan.ts, deadlines in expiry.ts, OBJECT in object.ts.

import type { Keyspace } from '../keyspace.js';
import { ErrorReply, OK, type Reply, StatusReply } from '../reply.js';
import { isContainer } from '../slot.js';
import { fail, failNotInteger, failSyntax, optionAt } from './arguments.js';
import {
  ALL_KEYS,
  type CommandContext,
  define,
  NO_KEYS,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  TWO_KEYS,
  WRITE,
  WRITE_FAST,
  WRITE_GROW,
} from './command.js';
import { globMatches, globPrefix } from './glob.js';
import { parseIndex } from './numbers.js';

const TYPE_REPLIES = {
  none: new StatusReply('none'),
  string: new StatusReply('string'),
  hash: new StatusReply('hash'),
  list: new StatusReply('list'),
  set: new StatusReply('set'),
  zset: new StatusReply('zset'),
  stream: new StatusReply('stream'),
};

export const KEY_COMMANDS: readonly RedisCommand[] = [
  define('del', -2, WRITE, ALL_KEYS, 'Deletes keys.', (context, args) => deleteAll(context.keyspace, args)),
  define('unlink', -2, WRITE_FAST, ALL_KEYS, 'Deletes keys; the same as DEL here.', (context, args) =>
    deleteAll(context.keyspace, args),
  ),
  define('exists', -2, READ_FAST, ALL_KEYS, 'Counts the keys that exist.', (context, args) =>
    countExisting(context.keyspace, args),
  ),
  define(
    'touch',
    -2,
    READ_FAST,
    ALL_KEYS,
    'Counts the keys that exist; nothing is touched here.',
    (context, args) => countExisting(context.keyspace, args),
  ),
  define(
    'type',
    2,
    READ_FAST,
    ONE_KEY,
    'Returns the type of the value of a key.',
    ({ keyspace }, args) => TYPE_REPLIES[keyspace.typeOf(args[1]!)],
  ),
  define(
    'rename',
    3,
    WRITE,
    TWO_KEYS,
    'Renames a key, over another one if need be.',
    ({ keyspace }, args) => {
      return keyspace.rename(args[1]!, args[2]!) ? OK : fail('ERR no such key');
    },
  ),
  define(
    'renamenx',
    3,
    WRITE_FAST,
    TWO_KEYS,
    'Renames a key if no other one has the name.',
    ({ keyspace }, args) => {
      if (!keyspace.has(args[1]!)) fail('ERR no such key');
      if (keyspace.has(args[2]!)) return 0;
      keyspace.rename(args[1]!, args[2]!);
      return 1;
    },
  ),
  define('copy', -3, WRITE_GROW, TWO_KEYS, 'Copies the value of a key to another one.', copy),
  define('randomkey', 1, READ, NO_KEYS, 'Returns a random key.', (context) => {
    return context.keyspace.random(context.random())?.key ?? null;
  }),
  define('dbsize', 1, READ_FAST, NO_KEYS, 'Returns the number of keys.', ({ keyspace }) => keyspace.count()),
  define('keys', 2, READ, NO_KEYS, 'Returns the keys that match a pattern.', ({ keyspace }, args) => {
    const pattern = args[1]!;
    const found: string[] = [];
    keyspace.scan({ prefix: globPrefix(pattern) }, Number.POSITIVE_INFINITY, (key) => {
      if (globMatches(pattern, key)) found.push(key);
    });
    return found;
  }),
  define('flushall', -1, WRITE, NO_KEYS, 'Deletes all keys.', flush),
  define('flushdb', -1, WRITE, NO_KEYS, 'Deletes all keys.', flush),
  define('swapdb', 3, WRITE_FAST, NO_KEYS, 'Refused: there is one database only.', () => {
    return new ErrorReply('ERR DB index is out of range');
  }),
];

function deleteAll(keyspace: Keyspace, args: readonly string[]): Reply {
  let deleted = 0;
  for (let at = 1; at < args.length; at += 1) if (keyspace.delete(args[at]!)) deleted += 1;
  return deleted;
}

function countExisting(keyspace: Keyspace, args: readonly string[]): Reply {
  let found = 0;
  for (let at = 1; at < args.length; at += 1) if (keyspace.has(args[at]!)) found += 1;
  return found;
}

function copy({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const [, from, to] = args as readonly [string, string, string];
  let replaces = false;
  for (let at = 3; at < args.length; at += 1) {
    const option = optionAt(args, at);
    if (option === 'REPLACE') {
      replaces = true;
    } else if (option === 'DB' && at + 1 < args.length) {
      const database = parseIndex(args[at + 1]!) ?? failNotInteger();
      if (database !== 0) fail('ERR DB index is out of range');
      at += 1;
    } else {
      failSyntax();
    }
  }
  if (from === to) fail('ERR source and destination objects are the same');
  const slot = keyspace.find(from);
  if (slot === undefined || (!replaces && keyspace.has(to))) return 0;
  const { value, expireAtMs } = slot;
  const own = typeof value === 'string' ? value : isContainer(value) ? value.clone() : Buffer.from(value);
  keyspace.set(to, own, { expireAtMs });
  return 1;
}

function flush({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const option = optionAt(args, 1);
  if (args.length > 2 || (args.length === 2 && option !== 'ASYNC' && option !== 'SYNC')) failSyntax();
  keyspace.clear();
  return OK;
}
