// BITFIELD: integers of 1 to 64 bits anywhere in a string. All calculations are in bigints.

import { type Bytes } from '../bytes.js';
import type { Reply } from '../reply.js';
import { STRING_BYTES_MAX } from '../limits.js';
import { fail, failSyntax, integerOf, optionAt } from './arguments.js';
import { byteAt } from './bits.js';
import { type CommandContext, define, ONE_KEY, READ_FAST, type RedisCommand, WRITE_GROW } from './command.js';
import { parseInteger, shortest } from './numbers.js';

export const BIT_FIELD_COMMANDS: readonly RedisCommand[] = [
  define('bitfield', -2, WRITE_GROW, ONE_KEY, 'Reads and writes integers within a string.', (context, args) =>
    bitField(context, args, false),
  ),
  define('bitfield_ro', -2, READ_FAST, ONE_KEY, 'Reads integers within a string.', (context, args) =>
    bitField(context, args, true),
  ),
];

type Overflow = 'WRAP' | 'SAT' | 'FAIL';

interface Field {
  readonly signed: boolean;
  readonly bits: number;
  /** In bits from the start of the string. */
  readonly offset: number;
}

interface Step {
  readonly kind: 'GET' | 'SET' | 'INCRBY';
  readonly field: Field;
  readonly operand: bigint;
  readonly overflow: Overflow;
}

function bitField(
  { keyspace, stringBytesMax }: CommandContext,
  args: readonly string[],
  readOnly: boolean,
): Reply {
  const steps = stepsOf(args, readOnly);
  const key = args[1]!;
  let writesTo = 0;
  for (const { kind, field } of steps) if (kind !== 'GET') writesTo = Math.max(writesTo, endOf(field));
  if (writesTo > stringBytesMax) failOffset();
  let value: Bytes = keyspace.string(key) ?? '';
  if (writesTo > 0) value = keyspace.writableBytes(key, writesTo);
  const replies = steps.map((step): Reply => {
    const before = fieldAt(value, step.field);
    if (step.kind === 'GET') return shortest(before);
    const wanted = step.kind === 'SET' ? operandOf(step) : before + step.operand;
    const fitted = fit(wanted, step);
    if (fitted === null) return null;
    putField(value as Buffer, step.field, fitted); // a step that writes made it one
    return shortest(step.kind === 'SET' ? before : fitted);
  });
  if (writesTo > 0) keyspace.changed(key);
  return replies;
}

function stepsOf(args: readonly string[], readOnly: boolean): Step[] {
  const steps: Step[] = [];
  let overflow: Overflow = 'WRAP';
  for (let at = 2; at < args.length; ) {
    const kind = optionAt(args, at);
    if (kind === 'OVERFLOW' && at + 1 < args.length) {
      const way = optionAt(args, at + 1);
      if (way !== 'WRAP' && way !== 'SAT' && way !== 'FAIL') fail('ERR Invalid OVERFLOW type specified');
      overflow = way;
      at += 2;
      continue;
    }
    const length = kind === 'GET' ? 3 : 4;
    if ((kind !== 'GET' && kind !== 'SET' && kind !== 'INCRBY') || at + length > args.length) failSyntax();
    const field = fieldOf(args[at + 1]!, args[at + 2]!);
    if (kind !== 'GET' && readOnly) fail('ERR BITFIELD_RO only supports the GET subcommand');
    const operand = kind === 'GET' ? 0n : BigInt(integerOf(args[at + 3]!));
    steps.push({ kind, field, operand, overflow });
    at += length;
  }
  return steps;
}

function fieldOf(type: string, place: string): Field {
  const signed = type[0] === 'i';
  const bits = signed || type[0] === 'u' ? parseInteger(type.slice(1)) : null;
  if (typeof bits !== 'number' || bits < 1 || bits > (signed ? 64 : 63)) {
    fail('ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.');
  }
  const counted = place[0] === '#';
  const number = parseInteger(counted ? place.slice(1) : place);
  const offset = number === null ? -1 : Number(number) * (counted ? bits : 1);
  if (offset < 0 || offset + bits > STRING_BYTES_MAX * 8) failOffset();
  return { signed, bits, offset };
}

function failOffset(): never {
  fail('ERR bit offset is not an integer or out of range');
}

/** What SET is to store: for an unsigned field a negative number is a huge one. */
function operandOf({ field, operand }: Step): bigint {
  return field.signed ? operand : BigInt.asUintN(64, operand);
}

/** Bytes a string needs to hold the field. */
function endOf({ offset, bits }: Field): number {
  return Math.floor((offset + bits - 1) / 8) + 1;
}

function fieldAt(value: Bytes, { signed, bits, offset }: Field): bigint {
  let raw = 0n;
  const first = Math.floor(offset / 8);
  const end = endOf({ signed, bits, offset });
  for (let at = first; at < end; at += 1) {
    raw = (raw << 8n) | BigInt(at < value.length ? byteAt(value, at) : 0);
  }
  raw >>= BigInt(end * 8 - offset - bits);
  return signed ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits, raw);
}

function putField(bytes: Buffer, { bits, offset }: Field, value: bigint): void {
  let rest = BigInt.asUintN(bits, value);
  for (let at = offset + bits - 1; at >= offset; at -= 1) {
    const index = Math.floor(at / 8);
    const mask = 0x80 >> (at % 8);
    bytes[index] = (rest & 1n) === 1n ? bytes[index]! | mask : bytes[index]! & ~mask;
    rest >>= 1n;
  }
}

/** The value as the field can hold it, null when it may not. */
function fit(value: bigint, { field: { signed, bits }, overflow }: Step): bigint | null {
  const width = BigInt(bits);
  const least = signed ? -(1n << (width - 1n)) : 0n;
  const most = signed ? (1n << (width - 1n)) - 1n : (1n << width) - 1n;
  if (value >= least && value <= most) return value;
  if (overflow === 'FAIL') return null;
  if (overflow === 'SAT') return value < least ? least : most;
  return signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}
