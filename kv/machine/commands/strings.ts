// Strings: GET, SET and their kin, and what works on parts of a string. Counters are in counters.ts, bits in bits.ts.

import { textOf } from '../bytes.js';
import type { Keyspace } from '../keyspace.js';
import { OK, type Reply } from '../reply.js';
import {
  checkGathered,
  clampRange,
  failArity,
  fail,
  failSyntax,
  indexOf,
  integerOf,
  optionAt,
} from './arguments.js';
import {
  ALL_KEYS,
  type CommandContext,
  define,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  WRITE_FAST,
  WRITE_GROW,
  WRITE_GROW_FAST,
} from './command.js';
import { deadlineOf, isDeadlineUnit } from './deadline.js';

export const STRING_COMMANDS: readonly RedisCommand[] = [
  define('get', 2, READ_FAST, ONE_KEY, 'Returns the string value of a key.', ({ keyspace }, args) =>
    keyspace.text(args[1]!),
  ),
  define('set', -3, WRITE_GROW, ONE_KEY, 'Sets the string value of a key, whatever it held.', set),
  define('setnx', 3, WRITE_GROW_FAST, ONE_KEY, 'Sets a key that does not exist.', ({ keyspace }, args) => {
    if (keyspace.find(args[1]!) !== undefined) return 0;
    keyspace.set(args[1]!, args[2]!);
    return 1;
  }),
  define('setex', 4, WRITE_GROW, ONE_KEY, 'Sets a key and its time to live in seconds.', (context, args) =>
    setFor(context, args, 'EX', 'setex'),
  ),
  define('psetex', 4, WRITE_GROW, ONE_KEY, 'Sets a key and its time to live in ms.', (context, args) =>
    setFor(context, args, 'PX', 'psetex'),
  ),
  define(
    'getset',
    3,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Sets a key and returns its former value.',
    ({ keyspace }, args) => {
      const before = keyspace.text(args[1]!);
      keyspace.set(args[1]!, args[2]!);
      return before;
    },
  ),
  define(
    'getdel',
    2,
    WRITE_FAST,
    ONE_KEY,
    'Returns a string value and deletes its key.',
    ({ keyspace }, args) => {
      const before = keyspace.text(args[1]!);
      if (before !== null) keyspace.delete(args[1]!);
      return before;
    },
  ),
  define('getex', -2, WRITE_FAST, ONE_KEY, 'Returns a string value and changes its time to live.', getex),
  define(
    'mget',
    -2,
    READ_FAST,
    ALL_KEYS,
    'Returns the string values of several keys.',
    ({ keyspace }, args) => {
      const values: Reply[] = [];
      let bytes = 0;
      for (let at = 1; at < args.length; at += 1) {
        const value = keyspace.find(args[at]!)?.value;
        if (Buffer.isBuffer(value)) {
          bytes += value.length;
          checkGathered(bytes);
        }
        values.push(typeof value === 'string' ? value : Buffer.isBuffer(value) ? textOf(value) : null);
      }
      return values;
    },
  ),
  define(
    'mset',
    -3,
    WRITE_GROW,
    { first: 1, last: -1, step: 2 },
    'Sets several keys at once.',
    (context, args) => {
      setPairs(context.keyspace, args, 'mset');
      return OK;
    },
  ),
  define(
    'msetnx',
    -3,
    WRITE_GROW,
    { first: 1, last: -1, step: 2 },
    'Sets several keys, or none if one of them exists.',
    ({ keyspace }, args) => {
      if (args.length % 2 === 0) failArity('msetnx');
      for (let at = 1; at < args.length; at += 2) if (keyspace.find(args[at]!) !== undefined) return 0;
      setPairs(keyspace, args, 'msetnx');
      return 1;
    },
  ),
  define(
    'append',
    3,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Appends to a string, or creates it.',
    ({ keyspace, stringBytesMax }, args) => {
      const before = keyspace.string(args[1]!);
      if (before === undefined) {
        keyspace.set(args[1]!, args[2]!);
        return args[2]!.length;
      }
      checkLength(before.length + args[2]!.length, stringBytesMax);
      if (Buffer.isBuffer(before) && before.length > LONG_BYTES) {
        // It stays one: to and fro, each of them would copy all of it.
        const { length } = before;
        const bytes = keyspace.writableBytes(args[1]!, length + args[2]!.length);
        bytes.write(args[2]!, length, 'latin1');
        keyspace.changed(args[1]!);
        return bytes.length;
      }
      const after = textOf(before) + args[2]!;
      keyspace.set(args[1]!, after, KEEP_TTL);
      return after.length;
    },
  ),
  define('strlen', 2, READ_FAST, ONE_KEY, 'Returns the length of a string.', ({ keyspace }, args) => {
    return keyspace.string(args[1]!)?.length ?? 0;
  }),
  define('getrange', 4, READ, ONE_KEY, 'Returns a part of a string.', getRange),
  define('substr', 4, READ, ONE_KEY, 'Returns a part of a string; GETRANGE by its old name.', getRange),
  define('setrange', 4, WRITE_GROW, ONE_KEY, 'Overwrites a part of a string.', setRange),
];

const KEEP_TTL = { keepTtl: true };
/** A Buffer of more bytes is appended to where it lies. */
const LONG_BYTES = 4096;

function checkLength(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax) fail('ERR string exceeds maximum allowed size (proto-max-bulk-len)');
}

function set(context: CommandContext, args: readonly string[]): Reply {
  const { keyspace } = context;
  const key = args[1]!;
  const value = args[2]!;
  if (args.length === 3) {
    keyspace.set(key, value);
    return OK;
  }
  let condition = '';
  let wantsBefore = false;
  let keepTtl = false;
  let expireAtMs = 0;
  for (let at = 3; at < args.length; at += 1) {
    const option = optionAt(args, at);
    if (option === 'NX' || option === 'XX') {
      if (condition !== '' && condition !== option) failSyntax();
      condition = option;
    } else if (option === 'GET') {
      wantsBefore = true;
    } else if (option === 'KEEPTTL' && expireAtMs === 0) {
      keepTtl = true;
    } else if (isDeadlineUnit(option) && !keepTtl && expireAtMs === 0 && at + 1 < args.length) {
      at += 1;
      // Redis reads the number only when all options were understood.
      expireAtMs = at;
    } else {
      failSyntax();
    }
  }
  if (expireAtMs !== 0) {
    const at = expireAtMs;
    expireAtMs = deadlineOf(optionAt(args, at - 1), args[at]!, context.nowMs, 'set');
  }
  // With GET a value of another type is refused even where nothing will be set.
  const before = wantsBefore ? keyspace.text(key) : null;
  if (condition !== '' && (keyspace.find(key) !== undefined) !== (condition === 'XX')) {
    return before;
  }
  if (expireAtMs !== 0 && expireAtMs <= context.nowMs) keyspace.delete(key);
  else keyspace.set(key, value, expireAtMs === 0 ? { keepTtl } : { expireAtMs });
  return wantsBefore ? before : OK;
}

function setFor(context: CommandContext, args: readonly string[], unit: string, name: string): Reply {
  const expireAtMs = deadlineOf(unit, args[2]!, context.nowMs, name);
  context.keyspace.set(args[1]!, args[3]!, { expireAtMs });
  return OK;
}

function getex(context: CommandContext, args: readonly string[]): Reply {
  const { keyspace, nowMs } = context;
  const option = optionAt(args, 2);
  const hasUnit = isDeadlineUnit(option);
  if (args.length > 2 && !(hasUnit ? args.length === 4 : option === 'PERSIST' && args.length === 3))
    failSyntax();
  const value = keyspace.text(args[1]!);
  if (value === null) return null;
  if (hasUnit) {
    const expireAtMs = deadlineOf(option, args[3]!, nowMs, 'getex');
    if (expireAtMs <= nowMs) keyspace.delete(args[1]!);
    else keyspace.expire(args[1]!, expireAtMs);
  } else if (option === 'PERSIST') {
    keyspace.persist(args[1]!);
  }
  return value;
}

function setPairs(keyspace: Keyspace, args: readonly string[], name: string): void {
  if (args.length % 2 === 0) failArity(name);
  for (let at = 1; at < args.length; at += 2) keyspace.set(args[at]!, args[at + 1]!);
}

function getRange({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const first = indexOf(args[2]!);
  const last = indexOf(args[3]!);
  const value = keyspace.string(args[1]!);
  // Two ends from the end that cross name nothing, also where cutting them to size would leave a byte.
  if (value === undefined || (first < 0 && last < 0 && first > last)) return '';
  const from = Math.max(0, first < 0 ? value.length + first : first);
  const to = Math.max(0, last < 0 ? value.length + last : last);
  const { start, end } = clampRange(value.length, from, to);
  return typeof value === 'string' ? value.slice(start, end) : value.toString('latin1', start, end);
}

function setRange({ keyspace, stringBytesMax }: CommandContext, args: readonly string[]): Reply {
  const [, key, , part] = args as readonly [string, string, string, string];
  const offset = Number(integerOf(args[2]!));
  if (offset < 0) fail('ERR offset is out of range');
  const before = keyspace.string(key);
  if (part === '') return before?.length ?? 0;
  checkLength(offset + part.length, stringBytesMax);
  const bytes = keyspace.writableBytes(key, offset + part.length);
  bytes.write(part, offset, 'latin1');
  keyspace.changed(key);
  return bytes.length;
}
