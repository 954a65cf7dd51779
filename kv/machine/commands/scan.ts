// SCAN and its kin inside of values. Cursors are places, not memories: any member answers any cursor.
// Keys go by their hashes (../scan-index.ts), members of values by their dense arrays (../values/dense-keys.ts).

import type { Reply } from '../reply.js';
import { scanDense } from '../values/dense-keys.js';
import type { HashValue } from '../values/hash-value.js';
import type { SetValue } from '../values/set-value.js';
import type { SortedSetValue } from '../values/sorted-set-value.js';
import { argumentAt, fail, failSyntax, indexOf, optionAt } from './arguments.js';
import { type CommandContext, define, NO_KEYS, ONE_KEY, READ, type RedisCommand } from './command.js';
import { globMatches } from './glob.js';
import { formatDouble } from './numbers.js';

export const SCAN_COMMANDS: readonly RedisCommand[] = [
  define('scan', -2, READ, NO_KEYS, 'Goes through the keys step by step.', scan),
  define('hscan', -3, READ, ONE_KEY, 'Goes through the fields of a hash step by step.', (context, args) => {
    const { cursor, count, matches } = optionsOf(args, 2);
    const hash = context.keyspace.container<HashValue>(args[1]!, 'hash');
    if (hash === undefined) return END;
    const found: string[] = [];
    const next = scanDense(hash.size, cursor, count, (place) => {
      if (matches(hash.fields[place]!)) found.push(hash.fields[place]!, hash.values[place]!);
    });
    return [String(next), found];
  }),
  define('sscan', -3, READ, ONE_KEY, 'Goes through the members of a set step by step.', (context, args) => {
    const { cursor, count, matches } = optionsOf(args, 2);
    const set = context.keyspace.container<SetValue>(args[1]!, 'set');
    if (set === undefined) return END;
    const found: string[] = [];
    const next = scanDense(set.size, cursor, count, (place) => {
      if (matches(set.members[place]!)) found.push(set.members[place]!);
    });
    return [String(next), found];
  }),
  define('zscan', -3, READ, ONE_KEY, 'Goes through a sorted set step by step.', (context, args) => {
    const { cursor, count, matches } = optionsOf(args, 2);
    const zset = context.keyspace.container<SortedSetValue>(args[1]!, 'zset');
    if (zset === undefined) return END;
    const found: string[] = [];
    const next = zset.scan(cursor, count, (member, score) => {
      if (matches(member)) found.push(member, formatDouble(score));
    });
    return [String(next), found];
  }),
];

const END: Reply = ['0', []];
const CURSOR_MAX = 0xffff_ffff;
const COUNT_DEFAULT = 10;

interface ScanOptions {
  cursor: number;
  count: number;
  matches: (text: string) => boolean;
  /** '' for any. */
  type: string;
}

function scan({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const { cursor, count, matches, type } = optionsOf(args, 1);
  const found: string[] = [];
  const next = keyspace.scanByHash(cursor, count, (key) => {
    if (matches(key) && (type === '' || keyspace.typeOf(key) === type)) found.push(key);
  });
  return [String(next), found];
}

/** `cursor [MATCH pattern] [COUNT count] [TYPE type]` from `at` on; TYPE for SCAN alone. */
function optionsOf(args: readonly string[], at: number): ScanOptions {
  const text = args[at]!;
  const cursor = /^\d{1,20}$/.test(text) ? Number(text) : -1;
  if (cursor < 0 || cursor > CURSOR_MAX) fail('ERR invalid cursor');
  const options: ScanOptions = { cursor, count: COUNT_DEFAULT, matches: () => true, type: '' };
  for (let place = at + 1; place < args.length; place += 2) {
    const option = optionAt(args, place);
    const argument = argumentAt(args, place + 1);
    if (option === 'COUNT') {
      options.count = indexOf(argument);
      if (options.count < 1) failSyntax();
    } else if (option === 'MATCH') {
      options.matches = argument === '*' ? () => true : (text) => globMatches(argument, text);
    } else if (option === 'TYPE' && at === 1) {
      options.type = argument.toLowerCase();
    } else {
      failSyntax();
    }
  }
  return options;
}
