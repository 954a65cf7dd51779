// DUMP and RESTORE: a value as bytes that any later version of this server reads again. Not the format of Redis.
// Payload: u8 version | u8 type | the value as in snapshots | u32 CRC-32C of all before, little-endian.

import { crc32c } from '../../wal/crc32c.js';
import { KvError } from '../../errors.js';
import { latin1 } from '../bytes.js';
import { OK, type Reply } from '../reply.js';
import { isContainer } from '../slot.js';
import { type ContainerType, type Value, ValueReader, ValueWriter } from '../value.js';
import { CONTAINER_DECODERS } from '../values/decoders.js';
import { isSound } from '../values/soundness.js';
import { fail, failSyntax, indexOf, optionAt } from './arguments.js';
import { type CommandContext, define, ONE_KEY, READ, type RedisCommand, WRITE_GROW } from './command.js';

export const DUMP_COMMANDS: readonly RedisCommand[] = [
  define(
    'dump',
    2,
    READ,
    ONE_KEY,
    'Returns the value of a key as bytes for RESTORE.',
    ({ keyspace }, args) => {
      const slot = keyspace.find(args[1]!);
      return slot === undefined ? null : dump(slot.value);
    },
  ),
  define('restore', -4, WRITE_GROW, ONE_KEY, 'Creates a key from the bytes of DUMP.', restore),
];

const VERSION = 1;
/** The place in this list is in the payload: append only. */
const TYPES: readonly ('string' | ContainerType)[] = ['string', 'hash', 'list', 'set', 'zset', 'stream'];
const CRC_BYTES = 4;

function dump(value: Value): string {
  const writer = new ValueWriter();
  writer.byte(VERSION);
  writer.byte(TYPES.indexOf(isContainer(value) ? value.type : 'string'));
  if (isContainer(value)) value.encode(writer);
  else writer.bytes(value);
  const body = writer.view();
  const check = Buffer.alloc(CRC_BYTES);
  check.writeUInt32LE(crc32c(body));
  return latin1(body, 0, body.length) + latin1(check, 0, CRC_BYTES);
}

function restore({ keyspace, nowMs }: CommandContext, args: readonly string[]): Reply {
  let replaces = false;
  let isAbsolute = false;
  for (let at = 4; at < args.length; at += 1) {
    const option = optionAt(args, at);
    if (option === 'REPLACE') {
      replaces = true;
    } else if (option === 'ABSTTL') {
      isAbsolute = true;
    } else if ((option === 'IDLETIME' || option === 'FREQ') && at + 1 < args.length) {
      // Read and left aside: access is not counted here.
      at += 1;
      if (indexOf(args[at]!) < 0) fail(`ERR Invalid ${option} value, must be >= 0`);
    } else {
      failSyntax();
    }
  }
  if (!replaces && keyspace.has(args[1]!)) fail('BUSYKEY Target key name already exists.');
  const ttlMs = indexOf(args[2]!);
  if (ttlMs < 0) fail('ERR Invalid TTL value, must be >= 0');
  const value = load(Buffer.from(args[3]!, 'latin1'));
  const expireAtMs = ttlMs === 0 || isAbsolute ? ttlMs : nowMs + ttlMs;
  if (expireAtMs !== 0 && expireAtMs <= nowMs) keyspace.delete(args[1]!);
  else keyspace.set(args[1]!, value, { expireAtMs: Math.min(expireAtMs, Number.MAX_SAFE_INTEGER) });
  return OK;
}

function load(payload: Buffer): Value {
  const end = payload.length - CRC_BYTES;
  if (end < 2 || payload[0] !== VERSION || payload.readUInt32LE(end) !== crc32c(payload, 0, end)) {
    fail('ERR DUMP payload version or checksum are wrong');
  }
  const reader = new ValueReader(payload, 2, end);
  const type = TYPES[payload[1]!];
  try {
    const decode = type === undefined || type === 'string' ? undefined : CONTAINER_DECODERS[type];
    const value = type === 'string' ? reader.string() : decode?.(reader);
    if (value !== undefined && reader.atEnd && (!isContainer(value) || isSound(value))) return value;
  } catch (error) {
    // Anybody can compute a checksum, so what is behind it may still be no value.
    if (!(error instanceof KvError)) throw error;
  }
  return fail('ERR Bad data format');
}
