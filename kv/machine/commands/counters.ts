// Counters in string values: INCR and its kin with signed 64-bit integers, INCRBYFLOAT with exact decimals.

import type { Reply } from '../reply.js';
import { fail, integerOf } from './arguments.js';
import { type CommandContext, define, ONE_KEY, type RedisCommand, WRITE_GROW_FAST } from './command.js';
import { addDecimals, addIntegers, type Integer, negated, parseDecimal } from './numbers.js';

export const COUNTER_COMMANDS: readonly RedisCommand[] = [
  define('incr', 2, WRITE_GROW_FAST, ONE_KEY, 'Adds one to an integer.', (context, args) =>
    increase(context, args[1]!, 1),
  ),
  define('decr', 2, WRITE_GROW_FAST, ONE_KEY, 'Takes one from an integer.', (context, args) =>
    increase(context, args[1]!, -1),
  ),
  define('incrby', 3, WRITE_GROW_FAST, ONE_KEY, 'Adds a number to an integer.', (context, args) =>
    increase(context, args[1]!, integerOf(args[2]!)),
  ),
  define('decrby', 3, WRITE_GROW_FAST, ONE_KEY, 'Takes a number from an integer.', (context, args) =>
    increase(context, args[1]!, negated(integerOf(args[2]!)) ?? fail('ERR decrement would overflow')),
  ),
  define(
    'incrbyfloat',
    3,
    WRITE_GROW_FAST,
    ONE_KEY,
    'Adds a decimal number to a number.',
    ({ keyspace }, args) => {
      const sum = decimalSum(keyspace.text(args[1]!), args[2]!, 'ERR value is not a valid float');
      keyspace.set(args[1]!, sum, KEEP_TTL);
      return sum;
    },
  ),
];

const KEEP_TTL = { keepTtl: true };

function increase({ keyspace }: CommandContext, key: string, by: Integer): Reply {
  const before = keyspace.text(key);
  const sum = addIntegers(before === null ? 0 : integerOf(before), by);
  if (sum === null) fail('ERR increment or decrement would overflow');
  if (before === null) keyspace.set(key, String(sum));
  else keyspace.set(key, String(sum), KEEP_TTL);
  return sum;
}

/** Shared with HINCRBYFLOAT. `before` null counts as 0. */
export function decimalSum(before: string | null, by: string, notDecimal: string): string {
  const old = before === null ? { units: 0n, scale: 0 } : (parseDecimal(before) ?? fail(notDecimal));
  const added = parseDecimal(by) ?? fail('ERR value is not a valid float');
  if (old === 'infinite' || added === 'infinite') fail('ERR increment would produce NaN or Infinity');
  return addDecimals(old, added);
}
