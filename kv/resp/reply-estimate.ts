// About how large an answer will be, told from the state before the command runs.
// resp-client.ts asks where reads and writes go through the log together: all their answers are there at once, so a run
// ends before they become too many. The machine refuses what an estimate was wrong about (reply-budget.ts).

import type { Keyspace } from '../machine/keyspace.js';
import { isContainer } from '../machine/slot.js';
import type { Command } from './command-set.js';

const BRIEF_BYTES = 64;

/** Reads that answer with a number, a word or a key, whatever the value holds. */
export const BRIEF_READS: ReadonlySet<string> = new Set(
  `exists strlen llen scard hlen zcard xlen type ttl pttl expiretime pexpiretime touch dbsize randomkey object getbit
  bitcount bitpos hexists hstrlen sismember zscore zrank zrevrank zcount zlexcount lpos sintercard zintercard`.split(
    /\s+/,
  ),
);

/** Writes that answer with what a value holds or held. */
export const TELLING_WRITES: ReadonlySet<string> = new Set(
  'getex getset getdel lpop rpop spop zpopmin zpopmax lmpop zmpop sort'.split(' '),
);

/** Reads that answer with one element. */
const SINGLE: ReadonlySet<string> = new Set(['hget', 'lindex']);

/** Writes after which a short command may have made a long value. */
export const AMPLIFIERS: ReadonlySet<string> = new Set(
  `setrange setbit bitfield bitop copy rename renamenx restore sort sinterstore sunionstore sdiffstore zinterstore
  zunionstore zdiffstore zrangestore`.split(/\s+/),
);

/** For commands that are not brief. */
export function estimatedReplyBytes(keyspace: Keyspace, command: Command, args: readonly string[]): number {
  const keys = command.keysOf(args);
  if (keys.length === 0) return keyspace.size * BRIEF_BYTES; // KEYS, SCAN
  let bytes = BRIEF_BYTES;
  for (const key of keys) bytes += valueBytes(keyspace, key, elementsOf(command, args));
  return bytes;
}

/** How many elements are asked for; Infinity where that cannot be told. */
function elementsOf(command: Command, args: readonly string[]): number {
  if (SINGLE.has(command.name)) return 1;
  if (command.name === 'hmget') return args.length - 2;
  if (command.name !== 'lrange' && command.name !== 'zrange') return Infinity;
  const [first, last] = [Number(args[2]), Number(args[3])];
  return args.length === 4 && first >= 0 && last >= 0 ? Math.max(0, last - first + 1) : Infinity;
}

function valueBytes(keyspace: Keyspace, key: string, elements: number): number {
  const value = keyspace.find(key)?.value;
  if (value === undefined) return 0;
  if (!isContainer(value)) return value.length;
  const { memoryBytes, size } = value;
  return elements >= size ? memoryBytes : Math.ceil((memoryBytes / size) * elements);
}
