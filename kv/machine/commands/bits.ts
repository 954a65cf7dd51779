// Bits of string values: single ones, counts, positions and BITOP. Bit 0 is the highest of the first byte.
// BITFIELD is in bit-fields.ts.

import type { Bytes } from '../bytes.js';
import type { Reply } from '../reply.js';
import { STRING_BYTES_MAX } from '../limits.js';
import { fail, failSyntax, indexOf, optionAt } from './arguments.js';
import {
  type CommandContext,
  define,
  ONE_KEY,
  READ,
  READ_FAST,
  type RedisCommand,
  WRITE_GROW,
} from './command.js';
import { parseIndex } from './numbers.js';

export const BIT_COMMANDS: readonly RedisCommand[] = [
  define('getbit', 3, READ_FAST, ONE_KEY, 'Returns a bit of a string.', ({ keyspace }, args) => {
    const offset = bitOffsetOf(args[2]!, STRING_BYTES_MAX);
    const value = keyspace.string(args[1]!);
    return value === undefined ? 0 : bitAt(value, offset);
  }),
  define('setbit', 4, WRITE_GROW, ONE_KEY, 'Sets a bit of a string and returns the former one.', setBit),
  define('bitcount', -2, READ, ONE_KEY, 'Counts the set bits of a string or of a part.', bitCount),
  define('bitpos', -3, READ, ONE_KEY, 'Finds the first set or clear bit of a string.', bitPosition),
  define(
    'bitop',
    -4,
    WRITE_GROW,
    { first: 2, last: -1, step: 1 },
    'Stores the AND, OR, XOR or NOT of strings.',
    bitOperation,
  ),
];

const ONES: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  let ones = 0;
  for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1;
  return ones;
});

/** Bytes that one BITOP looks at: every member's one thread does, without a break. */
const WORK_BYTES_MAX = 2 ** 28;

export function byteAt(value: Bytes, index: number): number {
  return typeof value === 'string' ? value.charCodeAt(index) : value[index]!;
}

/** A bit; 0 behind the end. */
function bitAt(value: Bytes, offset: number): number {
  const index = Math.floor(offset / 8);
  return index < value.length ? (byteAt(value, index) >> (7 - (offset % 8))) & 1 : 0;
}

function bitOffsetOf(text: string, bytesMax: number): number {
  const offset = parseIndex(text);
  if (offset === null || offset < 0 || offset >= bytesMax * 8) {
    fail('ERR bit offset is not an integer or out of range');
  }
  return offset;
}

function setBit({ keyspace, stringBytesMax }: CommandContext, args: readonly string[]): Reply {
  const offset = bitOffsetOf(args[2]!, stringBytesMax);
  if (args[3] !== '0' && args[3] !== '1') fail('ERR bit is not an integer or out of range');
  const index = Math.floor(offset / 8);
  const bytes = keyspace.writableBytes(args[1]!, index + 1);
  const mask = 0x80 >> (offset % 8);
  const before = (bytes[index]! & mask) === 0 ? 0 : 1;
  bytes[index] = args[3] === '1' ? bytes[index]! | mask : bytes[index]! & ~mask;
  keyspace.changed(args[1]!);
  return before;
}

interface BitRange {
  /** Bits, `end` not included. */
  start: number;
  end: number;
}

/** `start end [BYTE|BIT]` from `at` on as bits of a string; null when it names none. */
function bitRange(args: readonly string[], at: number, bytes: number): BitRange | null {
  if (args.length > at + 3) failSyntax();
  const first = indexOf(args[at]!);
  const unit = optionAt(args, at + 2);
  const hasUnit = args.length < at + 3 || unit === 'BIT' || unit === 'BYTE';
  // BITPOS refuses a wrong unit before a wrong end. BITCOUNT does so after it, and not where both ends cross.
  const isCount = at === 2;
  if (!hasUnit && !isCount) failSyntax();
  const last = at + 1 < args.length ? indexOf(args[at + 1]!) : -1;
  if (isCount && first < 0 && last < 0 && first > last) return null;
  if (!hasUnit) failSyntax();
  const scale = unit === 'BIT' ? 1 : 8;
  const size = (bytes * 8) / scale;
  const from = Math.max(0, first < 0 ? size + first : first);
  const to = Math.min(size - 1, Math.max(0, last < 0 ? size + last : last));
  return from > to ? null : { start: from * scale, end: (to + 1) * scale };
}

function bitCount({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const value = keyspace.string(args[1]!);
  if (value === undefined) return 0;
  if (args.length === 2) return countOnes(value, 0, value.length * 8);
  if (args.length === 3 || args.length > 5) failSyntax();
  const range = bitRange(args, 2, value.length);
  return range === null ? 0 : countOnes(value, range.start, range.end);
}

function countOnes(value: Bytes, start: number, end: number): number {
  let ones = 0;
  let at = start;
  for (; at < end && at % 8 !== 0; at += 1) ones += bitAt(value, at);
  for (; at + 8 <= end; at += 8) ones += ONES[byteAt(value, at / 8)]!;
  for (; at < end; at += 1) ones += bitAt(value, at);
  return ones;
}

function bitPosition({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const bit = indexOf(args[2]!);
  if (bit !== 0 && bit !== 1) fail('ERR The bit argument must be 1 or 0.');
  const value = keyspace.string(args[1]!);
  if (value === undefined) return bit === 1 ? -1 : 0;
  const range = args.length > 3 ? bitRange(args, 3, value.length) : { start: 0, end: value.length * 8 };
  if (range === null) return -1;
  const found = firstBit(value, bit, range);
  // Behind an open end there are only zeros.
  if (found === -1 && bit === 0 && args.length < 5 && value.length > 0) return value.length * 8;
  return found;
}

function firstBit(value: Bytes, bit: 0 | 1, { start, end }: BitRange): number {
  const without = bit === 1 ? 0 : 0xff;
  let at = start;
  while (at < end) {
    if (at % 8 === 0 && at + 8 <= end && byteAt(value, at / 8) === without) at += 8;
    else if (bitAt(value, at) === bit) return at;
    else at += 1;
  }
  return -1;
}

function bitOperation({ keyspace }: CommandContext, args: readonly string[]): Reply {
  const operation = optionAt(args, 1);
  const target = args[2]!;
  if (!['AND', 'OR', 'XOR', 'NOT'].includes(operation)) failSyntax();
  if (operation === 'NOT' && args.length !== 4)
    fail('ERR BITOP NOT must be called with a single source key.');
  const sources = args.slice(3).map((key) => keyspace.string(key) ?? '');
  let length = 0;
  for (const source of sources) length = Math.max(length, source.length);
  if (length * sources.length > WORK_BYTES_MAX) fail('ERR the strings of one BITOP are too long together');
  if (length === 0) {
    keyspace.delete(target);
    return 0;
  }
  const result = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) {
    let byte = at < sources[0]!.length ? byteAt(sources[0]!, at) : 0;
    for (let other = 1; other < sources.length; other += 1) {
      const operand = at < sources[other]!.length ? byteAt(sources[other]!, at) : 0;
      if (operation === 'AND') byte &= operand;
      else if (operation === 'OR') byte |= operand;
      else byte ^= operand;
    }
    result[at] = operation === 'NOT' ? ~byte : byte;
  }
  keyspace.set(target, result);
  return length;
}
