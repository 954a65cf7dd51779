// OBJECT: how Redis would keep a value. Clients ask for it to estimate memory; here values are kept otherwise, so the
// answers follow Redis's limits by what the value holds now.

import { textOf } from '../bytes.js';
import type { Reply } from '../reply.js';
import { isContainer } from '../slot.js';
import type { Value } from '../value.js';
import { HashValue } from '../values/hash-value.js';
import { SetValue } from '../values/set-value.js';
import { SortedSetValue } from '../values/sorted-set-value.js';
import { fail, failArity, optionAt } from './arguments.js';
import { type CommandContext, define, READ, type RedisCommand } from './command.js';
import { parseInteger } from './numbers.js';

export const OBJECT_COMMANDS: readonly RedisCommand[] = [
  define('object', -2, READ, { first: 2, last: 2, step: 1 }, 'Tells how Redis would keep a value.', object),
];

const HELP: readonly string[] = [
  'OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'ENCODING <key>',
  '    Return the kind of internal representation Redis would use for the value of <key>.',
  'FREQ <key>',
  '    Refused: access is not counted.',
  'IDLETIME <key>',
  '    Always 0: access times are not kept.',
  'REFCOUNT <key>',
  '    Always 1.',
  'HELP',
  '    Print this help.',
];

const SMALL_STRING_BYTES = 44;
const PACKED_ENTRIES_MAX = 128;
const PACKED_BYTES_MAX = 64;
const INTEGERS_MAX = 512;

function object({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const part = optionAt(args, 1);
  if (part === 'HELP' && args.length === 2) return HELP;
  if (!['ENCODING', 'FREQ', 'IDLETIME', 'REFCOUNT'].includes(part)) {
    fail(`ERR unknown subcommand '${args[1]!}'. Try OBJECT HELP.`);
  }
  if (args.length !== 3) failArity(`object|${part.toLowerCase()}`);
  const slot = keyspace.find(args[2]!);
  if (slot === undefined) return null;
  if (part === 'ENCODING') return encodingOf(slot.value);
  if (part === 'FREQ') {
    fail(
      'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching ' +
        'between policies at runtime LRU and LFU data will take some time to adjust.',
    );
  }
  return part === 'REFCOUNT' ? 1 : 0;
}

function encodingOf(value: Value): string {
  if (!isContainer(value)) {
    if (value.length <= 20 && parseInteger(textOf(value)) !== null) return 'int';
    return value.length <= SMALL_STRING_BYTES ? 'embstr' : 'raw';
  }
  if (value instanceof HashValue) {
    return isPacked(value.fields) && isPacked(value.values) ? 'listpack' : 'hashtable';
  }
  if (value instanceof SetValue) {
    const isSmall = value.size <= INTEGERS_MAX;
    return isSmall && value.members.every((member) => parseInteger(member) !== null) ? 'intset' : 'hashtable';
  }
  if (value instanceof SortedSetValue) {
    const isSmall = value.size <= PACKED_ENTRIES_MAX;
    return isSmall && isPacked(value.slice(0, value.size).map(({ member }) => member))
      ? 'listpack'
      : 'skiplist';
  }
  return value.type === 'list' ? 'quicklist' : 'stream';
}

function isPacked(texts: readonly string[]): boolean {
  return texts.length <= PACKED_ENTRIES_MAX && texts.every((text) => text.length <= PACKED_BYTES_MAX);
}
