// Every command of the machine, by its name in lower case. What runs on a connection alone (PING, HELLO, MULTI …) is
// not among them; docs/kv-commands.md lists both, and where they differ from Redis.

import { BIT_FIELD_COMMANDS } from './bit-fields.js';
import { BIT_COMMANDS } from './bits.js';
import type { RedisCommand } from './command.js';
import { COUNTER_COMMANDS } from './counters.js';
import { DUMP_COMMANDS } from './dump.js';
import { EXPIRY_COMMANDS } from './expiry.js';
import { HASH_COMMANDS } from './hashes.js';
import { KEY_COMMANDS } from './keys.js';
import { LCS_COMMANDS } from './lcs.js';
import { LIST_COMMANDS } from './lists.js';
import { OBJECT_COMMANDS } from './object.js';
import { publishCommand } from './publish.js';
import { SCAN_COMMANDS } from './scan.js';
import { SET_ALGEBRA_COMMANDS } from './set-algebra.js';
import { SET_COMMANDS } from './sets.js';
import { SORT_COMMANDS } from './sort.js';
import { SORTED_SET_ALGEBRA_COMMANDS } from './sorted-set-algebra.js';
import { SORTED_SET_RANGE_COMMANDS } from './sorted-set-ranges.js';
import { SORTED_SET_COMMANDS } from './sorted-sets.js';
import { STREAM_COMMANDS } from './streams.js';
import { STRING_COMMANDS } from './strings.js';

export type { CommandContext, CommandFlag, KeyPositions, RedisCommand } from './command.js';
export { keysOf } from './command.js';

const FAMILIES: readonly (readonly RedisCommand[])[] = [
  STRING_COMMANDS,
  COUNTER_COMMANDS,
  BIT_COMMANDS,
  BIT_FIELD_COMMANDS,
  LCS_COMMANDS,
  KEY_COMMANDS,
  EXPIRY_COMMANDS,
  SCAN_COMMANDS,
  OBJECT_COMMANDS,
  SORT_COMMANDS,
  DUMP_COMMANDS,
  HASH_COMMANDS,
  LIST_COMMANDS,
  SET_COMMANDS,
  SET_ALGEBRA_COMMANDS,
  SORTED_SET_COMMANDS,
  SORTED_SET_RANGE_COMMANDS,
  SORTED_SET_ALGEBRA_COMMANDS,
  STREAM_COMMANDS,
  [publishCommand],
];

export const commandTable: ReadonlyMap<string, RedisCommand> = new Map(
  FAMILIES.flat().map((each) => [each.name, each]),
);
